package dhcp

import (
	"encoding/binary"
	"net/netip"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// teller puts options into a reply that the client asks for, and others that it must have.
type teller struct {
	asked   []byte // option 55; empty: the client leaves it to us
	options dhcpv4.Options
}

func (t teller) asks(code uint8) bool {
	for _, c := range t.asked {
		if c == code {
			return true
		}
	}
	return len(t.asked) == 0
}

// tell sets an option that has a value, where the client asks for it.
func (t teller) tell(code uint8, value []byte) {
	if len(value) > 0 && t.asks(code) {
		t.options[code] = value
	}
}

// tellNetwork sets what a client of the subnet is told of its network.
func tellNetwork(pkt, reply *dhcpv4.DHCPv4, v View) {
	s := v.Subnet.Spec
	t := teller{asked: pkt.Options[codeAsked], options: reply.Options}
	mask := binary.BigEndian.AppendUint32(nil, ^uint32(0)<<(32-max(0, s.CIDR.Bits())))
	t.options[codeMask] = mask // in any case: many clients fall back on the class of the address, which is of another age
	t.tell(codeRouter, one(s.Gateway))
	t.tell(codeDNS, addresses(s.DNS, v.Server))
	t.tell(codeNTP, addresses(s.NTP, v.Server))
	t.tell(codeDomain, []byte(v.Domain))
	t.tell(codeHostName, []byte(v.Hostname))
	t.tell(codeSearch, searchList(v.Search))
	if len(t.asked) > 0 {
		t.tell(codeBroadcast, broadcast(s.CIDR)) // every client can tell it from the mask
		t.tell(codeMTU, mtu(v.MTU))
	}
	routes := routes(s.Gateway, v.Routes)
	t.tell(codeRoutes, routes)
	if len(t.asked) > 0 {
		t.tell(codeRoutesWindows, routes)
	}
	t.tellOptions(v.Options)
	t.tellName(pkt, v)
}

// tellOptions sets what was declared beyond the network. Boot files are told elsewhere.
func (t teller) tellOptions(o metal.DHCPOptions) {
	t.tell(codeMTU, mtu(o.MTU))
	t.tell(codeSyslog, addresses(o.Syslog, netip.Addr{}))
	t.tell(codeTimeZone, []byte(o.TimeZone))
	t.tell(codeWPAD, []byte(o.WPAD))
	for _, c := range o.Custom {
		if c.Code < 1 || c.Code > 254 || notByHand(c.Code) != "" || !t.asks(uint8(c.Code)) {
			continue
		}
		if value, err := encode(c); err == nil { // it was refused when it was declared
			t.options[uint8(c.Code)] = value
		}
	}
}

// tellName answers a client that asks about its name in DNS (RFC 4702, 4): it has the one that we know, and enters
// none itself.
func (t teller) tellName(pkt *dhcpv4.DHCPv4, v View) {
	const (
		byServer, override, inLabels = 1, 2, 4 // flags S, O and E
		noResult                     = 255
	)
	sent := pkt.Options[codeFQDN]
	host := v.Hostname
	if host == "" {
		host = nameOf(pkt)
	}
	if len(sent) == 0 || host == "" || v.Domain == "" {
		return
	}
	flags := sent[0]&inLabels | byServer
	if sent[0]&byServer == 0 {
		flags |= override
	}
	value := []byte{flags, noResult, noResult}
	if flags&inLabels == 0 {
		t.options[codeFQDN] = append(value, host+"."+v.Domain...)
	} else if value, ok := appendName(value, host+"."+v.Domain, nil); ok {
		t.options[codeFQDN] = value
	}
}

// routes encodes static routes (RFC 3442). A client that reads them ignores the router option, so that the route to the
// gateway is among them.
func routes(gateway netip.Addr, list []metal.StaticRoute) (out []byte) {
	for _, r := range list {
		if r.Spec.Destination.Addr().Is4() && r.Spec.Gateway.Is4() {
			out = appendRoute(out, r.Spec.Destination, r.Spec.Gateway)
		}
	}
	if out != nil && gateway.Is4() {
		out = appendRoute(out, netip.PrefixFrom(netip.IPv4Unspecified(), 0), gateway)
	}
	return out
}

func appendRoute(b []byte, to netip.Prefix, gateway netip.Addr) []byte {
	net, via := to.Masked().Addr().As4(), gateway.As4()
	b = append(b, byte(to.Bits()))
	b = append(b, net[:(to.Bits()+7)/8]...) // only the bytes that count
	return append(b, via[:]...)
}

func mtu(bytes int) []byte {
	if bytes <= 0 || bytes > 1<<16-1 {
		return nil
	}
	return binary.BigEndian.AppendUint16(nil, uint16(bytes))
}

func one(a netip.Addr) []byte {
	if !a.Is4() {
		return nil
	}
	return a.AsSlice()
}

// addresses encodes the IPv4 ones of a list, or the fallback for want of any entry.
func addresses(list []netip.Addr, fallback netip.Addr) []byte {
	if len(list) == 0 {
		return one(fallback)
	}
	out := make([]byte, 0, 4*len(list))
	for _, a := range list {
		out = append(out, one(a)...)
	}
	return out
}

// broadcast is the last address of a network; none where all of them are hosts (RFC 3021).
func broadcast(p netip.Prefix) []byte {
	if !p.Addr().Is4() || p.Bits() > 30 {
		return nil
	}
	net := p.Masked().Addr().As4()
	return binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(net[:])|^uint32(0)>>p.Bits())
}
