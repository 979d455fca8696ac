package dhcp6

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const base = "http://[fd00:31::1]:7080"

var (
	now        = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ours       = ip("fd00:31::1")
	linkLocal  = ip("fe80::5054:ff:fe00:1")
	mac        = metal.MAC("52:54:00:00:00:01")
	serverDUID = &dhcpv6.DUIDUUID{UUID: [16]byte{1, 2, 3}}
	otherDUID  = &dhcpv6.DUIDUUID{UUID: [16]byte{9}}
	clientDUID = &dhcpv6.DUIDEN{EnterpriseNumber: 43793, EnterpriseIdentifier: []byte{1, 2, 3, 4, 5, 6, 7, 8}}
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }
func network(s string) netip.Prefix {
	return netip.MustParsePrefix(s)
}

// one is the network of one address.
func one(s string) netip.Prefix { return netip.PrefixFrom(ip(s), 128) }

type change func(*Packet)

// client makes a packet of a client on our own link, as it would come by multicast; changes follow.
func client(kind dhcpv6.MessageType, changes ...change) *Packet {
	p := &Packet{
		Message: &dhcpv6.Message{MessageType: kind, TransactionID: dhcpv6.TransactionID{1, 2, 3}},
		From:    netip.AddrPortFrom(linkLocal, clientPort), To: ip("ff02::1:2"), IfIndex: 2,
	}
	p.Message.AddOption(dhcpv6.OptClientID(clientDUID))
	for _, c := range changes {
		c(p)
	}
	return p
}

func saying(options ...dhcpv6.Option) change {
	return func(p *Packet) {
		for _, o := range options {
			p.Message.AddOption(o)
		}
	}
}

func choosing(id dhcpv6.DUID) change { return saying(dhcpv6.OptServerID(id)) }

func asking(codes ...dhcpv6.OptionCode) change { return saying(dhcpv6.OptRequestedOption(codes...)) }

func nameless(p *Packet) { p.Message.Options.Del(dhcpv6.OptionClientID) }

// unicast sends the packet to our own address.
func unicast(p *Packet) { p.To = ours }

func rapidly(p *Packet) {
	p.Message.AddOption(&dhcpv6.OptionGeneric{OptionCode: dhcpv6.OptionRapidCommit})
}

func iaid(n uint32) (id [4]byte) {
	binary.BigEndian.PutUint32(id[:], n)
	return id
}

// na asks for addresses, or has them.
func na(id uint32, have ...string) change {
	ia := &dhcpv6.OptIANA{IaId: iaid(id)}
	for _, a := range have {
		ia.Options.Add(&dhcpv6.OptIAAddress{IPv6Addr: net.ParseIP(a)})
	}
	return saying(ia)
}

// pd asks for a prefix, or has some.
func pd(id uint32, have ...string) change {
	ia := &dhcpv6.OptIAPD{IaId: iaid(id)}
	for _, p := range have {
		n := network(p)
		ia.Options.Add(&dhcpv6.OptIAPrefix{Prefix: &net.IPNet{IP: n.Addr().AsSlice(), Mask: net.CIDRMask(n.Bits(), 128)}})
	}
	return saying(ia)
}

func ta(id uint32) change { return saying(&dhcpv6.OptIATA{IaId: iaid(id)}) }

func named(flags uint8, name string) change {
	return saying(&dhcpv6.OptFQDN{Flags: flags, DomainName: &rfc1035label.Labels{Labels: []string{name}}})
}

// relayed puts a relay agent around the packet: the client's first.
func relayed(link, peer string, options ...dhcpv6.Option) change {
	return func(p *Packet) {
		r := &dhcpv6.RelayMessage{
			MessageType: dhcpv6.MessageTypeRelayForward, HopCount: uint8(len(p.Relays)), LinkAddr: net.ParseIP(link), PeerAddr: net.ParseIP(peer),
		}
		var inner dhcpv6.DHCPv6 = p.Message
		if len(p.Relays) > 0 {
			inner = p.Relays[0]
		}
		for _, o := range options {
			r.AddOption(o)
		}
		r.AddOption(dhcpv6.OptRelayMessage(inner))
		p.Relays = slices.Insert(p.Relays, 0, r)
		p.From = netip.AddrPortFrom(ip("fd00:99::1"), serverPort)
	}
}

// wireOf is the packet as it comes in a datagram.
func wireOf(p *Packet) []byte {
	if len(p.Relays) > 0 {
		return p.Relays[0].ToBytes()
	}
	return p.Message.ToBytes()
}

// view is a subnet with room for one address IA and one prefix IA, in this order; changes follow.
func view(changes ...func(*View)) View {
	v := View{
		Subnet: &metal.Subnet{Name: "rack6", Spec: metal.SubnetSpec{
			CIDR: network("fd00:31::/64"),
			DHCP: metal.DHCPSpec{
				Mode:       metal.DHCPAuthoritative,
				Ranges:     []metal.AddrRange{{First: ip("fd00:31::100"), Last: ip("fd00:31::1ff")}},
				Delegation: &metal.PrefixPool{CIDR: network("fd00:40::/32"), Length: 56},
			},
		}},
		OnLink: []netip.Prefix{network("fd00:31::/64")}, Server: ours, DUID: serverDUID, Domain: "metal.test", Search: []string{"metal.test"},
		BootURL: base,
		Holds:   []Hold{{Free: one("fd00:31::100"), FreeIn: "rack6"}, {Free: network("fd00:40:0:100::/56"), FreeIn: "rack6"}},
	}
	for _, change := range changes {
		change(&v)
	}
	return v
}

func machine(v *View) { v.Assigned, v.Hostname = []netip.Addr{ip("fd00:31::10")}, "node-1" }
func full(v *View)    { v.Holds[0].Free, v.Holds[1].Free = netip.Prefix{}, netip.Prefix{} }
func unserved(v *View) {
	v.Subnet = nil
}
func mode(m metal.DHCPMode) func(*View) { return func(v *View) { v.Subnet.Spec.DHCP.Mode = m } }
func forSeconds(n int) func(*View)      { return func(v *View) { v.Subnet.Spec.DHCP.LeaseSeconds = n } }

// leased has the first IA hold an address.
func leased(addr string, state metal.LeaseState, until time.Time, free bool) func(*View) {
	return func(v *View) {
		v.Holds[0].Lease = &metal.Lease{Subnet: "rack6", Addr: ip(addr), IAID: 1, State: state, StartedAt: now.Add(-time.Hour), ExpiresAt: until}
		v.Holds[0].LeaseFree = free
	}
}

// delegated has the second IA hold a prefix.
func delegated(v *View) {
	v.Holds[1].Lease = &metal.Lease{Subnet: "rack6", Addr: ip("fd00:40:0:200::"), Bits: 56, IAID: 2, State: metal.LeaseActive, ExpiresAt: now.Add(time.Minute)}
	v.Holds[1].LeaseFree = true
}

var (
	active   = leased("fd00:31::150", metal.LeaseActive, now.Add(5*time.Minute), true)
	offered  = leased("fd00:31::150", metal.LeaseOffered, now.Add(20*time.Second), true)
	expired  = leased("fd00:31::150", metal.LeaseActive, now.Add(-time.Hour), true)
	lost     = leased("fd00:31::150", metal.LeaseActive, now.Add(-time.Hour), false)
	declined = leased("fd00:31::150", metal.LeaseDeclined, now.Add(time.Hour), true)
)

// said is a reply in short: the kind, the status, and each IA with its status, and each thing in it with its lifetime
// in seconds.
func said(m *dhcpv6.Message) string {
	if m == nil {
		return ""
	}
	parts := []string{m.MessageType.String()}
	if s := m.Options.Status(); s != nil {
		parts = append(parts, statusName(s))
	}
	for _, o := range m.Options.Options {
		switch ia := o.(type) {
		case *dhcpv6.OptIANA:
			text := fmt.Sprintf("na%d", binary.BigEndian.Uint32(ia.IaId[:]))
			for _, a := range ia.Options.Addresses() {
				text += fmt.Sprintf(" %s/%d", a.IPv6Addr, int(a.ValidLifetime.Seconds()))
			}
			parts = append(parts, text+iaStatus(ia.Options.Status()))
		case *dhcpv6.OptIAPD:
			text := fmt.Sprintf("pd%d", binary.BigEndian.Uint32(ia.IaId[:]))
			for _, p := range ia.Options.Prefixes() {
				text += fmt.Sprintf(" %s/%d", p.Prefix, int(p.ValidLifetime.Seconds()))
			}
			parts = append(parts, text+iaStatus(ia.Options.Status()))
		case *dhcpv6.OptIATA:
			parts = append(parts, fmt.Sprintf("ta%d", binary.BigEndian.Uint32(ia.IaId[:]))+iaStatus(ia.Options.Status()))
		}
	}
	return strings.Join(parts, "; ")
}

func iaStatus(s *dhcpv6.OptStatusCode) string {
	if s == nil {
		return ""
	}
	return " " + statusName(s)
}

func statusName(s *dhcpv6.OptStatusCode) string {
	return map[iana.StatusCode]string{
		iana.StatusSuccess: "Success", iana.StatusNoAddrsAvail: "NoAddrsAvail", iana.StatusNoBinding: "NoBinding",
		iana.StatusNotOnLink: "NotOnLink", iana.StatusUseMulticast: "UseMulticast", iana.StatusNoPrefixAvail: "NoPrefixAvail",
	}[s.StatusCode]
}

// kept is what is stored, in short: what, its state, and for how many seconds.
func kept(leases []metal.Lease) string {
	var parts []string
	for _, l := range leases {
		text := l.Addr.String()
		if l.Bits > 0 {
			text = whatOf(l).String()
		}
		parts = append(parts, fmt.Sprintf("%s %s %d", text, l.State, int(l.ExpiresAt.Sub(now).Seconds())))
	}
	return strings.Join(parts, "; ")
}
