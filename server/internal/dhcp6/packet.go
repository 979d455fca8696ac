package dhcp6

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	clientPort = 546
	serverPort = 547

	// maxRelays is how many relay agents a message may have come through. RFC 8415, 7.6 has agents stop at 8, RFC 3315,
	// 5.5 at 32.
	maxRelays = 32
	// maxIAs bounds what one message can ask for; the rest is left unanswered. A router asks for two.
	maxIAs = 8
)

// Packet is a client's message, and what the relay agents between it and us put around it.
type Packet struct {
	Message *dhcpv6.Message
	Relays  []*dhcpv6.RelayMessage // ours first, the client's last
	From    netip.AddrPort         // who sent it to us: the client, or a relay agent
	To      netip.Addr             // what it was sent to: a multicast group, or an address of ours
	IfIndex int
}

// Unwrap reads a datagram. It refuses what is not for a server and what no client means.
func Unwrap(payload []byte) (Packet, error) {
	var p Packet
	for len(payload) > 0 && dhcpv6.MessageType(payload[0]) == dhcpv6.MessageTypeRelayForward {
		if len(p.Relays) == maxRelays {
			return p, fmt.Errorf("more than %d relay agents", maxRelays)
		}
		r, err := relay(payload)
		if err != nil {
			return p, err
		}
		p.Relays = append(p.Relays, r)
		if payload = find(payload[dhcpv6.RelayHeaderSize:], dhcpv6.OptionRelayMsg); payload == nil {
			return p, errors.New("a relay agent's message with nothing in it")
		}
	}
	m, err := message(payload)
	if err != nil {
		return p, err
	}
	if m.MessageType == dhcpv6.MessageTypeRelayReply {
		return p, fmt.Errorf("%s is not for a server", m.MessageType)
	}
	p.Message = m
	return p, nil
}

// Wrap puts around a reply what must go back to each relay agent, and returns the bytes to send (RFC 8415, 19.3).
func (p *Packet) Wrap(reply *dhcpv6.Message) []byte {
	var out dhcpv6.DHCPv6 = reply
	for _, from := range slices.Backward(p.Relays) {
		back := &dhcpv6.RelayMessage{
			MessageType: dhcpv6.MessageTypeRelayReply, HopCount: from.HopCount, LinkAddr: from.LinkAddr, PeerAddr: from.PeerAddr,
		}
		for _, code := range returned(from) {
			if o := from.Options.GetOne(code); o != nil {
				back.AddOption(o)
			}
		}
		back.AddOption(dhcpv6.OptRelayMessage(out))
		out = back
	}
	return out.ToBytes()
}

// returned lists the options that a relay agent wants back: the interface (RFC 8415, 21.18), the port it listens on
// (RFC 8357, 5.2), and whatever it asks for (RFC 4994, 4).
func returned(r *dhcpv6.RelayMessage) []dhcpv6.OptionCode {
	codes := []dhcpv6.OptionCode{dhcpv6.OptionInterfaceID, dhcpv6.OptionRelayPort}
	asked := r.Options.GetOne(dhcpv6.OptionEchoRequest)
	if asked == nil {
		return codes
	}
	for list := asked.ToBytes(); len(list) >= 2; list = list[2:] {
		code := dhcpv6.OptionCode(binary.BigEndian.Uint16(list))
		if code != dhcpv6.OptionRelayMsg && !slices.Contains(codes, code) {
			codes = append(codes, code)
		}
	}
	return codes
}

// Destination is where the reply goes: to the relay agent that is next to us, or to the client (RFC 8415, 7.2 and
// 18.3.10). An agent that asked for it is answered on the port it sent from (RFC 8357, 5.2).
func (p *Packet) Destination() netip.AddrPort {
	switch {
	case len(p.Relays) == 0:
		return netip.AddrPortFrom(p.From.Addr(), clientPort)
	case p.Relays[0].Options.RelayPort() != nil:
		return p.From
	default:
		return netip.AddrPortFrom(p.From.Addr(), serverPort)
	}
}

// Query reads out of the packet who asks from where. ours is our own address on the interface it came by.
func (p *Packet) Query(ours netip.Addr) Query {
	q := Query{Client: p.client(), MAC: p.mac(), Link: ours, Ours: ours, IfIndex: p.IfIndex, IAs: p.ias()}
	if len(p.Relays) == 0 {
		return q
	}
	q.Relay = p.From.Addr()
	for _, r := range slices.Backward(p.Relays) {
		// An agent that is a mere switch has none to tell (RFC 6221, 5.3.2).
		if a, ok := netip.AddrFromSlice(r.LinkAddr); ok && !a.IsUnspecified() && !a.IsLinkLocalUnicast() && !a.IsMulticast() {
			q.Link, q.Relay = a, a
			break
		}
	}
	return q
}

// client returns the client's DUID in hex; empty for none.
func (p *Packet) client() string {
	id := p.Message.Options.ClientID()
	if id == nil {
		return ""
	}
	return hex.EncodeToString(id.ToBytes())
}

// mac returns the hardware address of the interface that asks: as the relay agent saw it (RFC 6939), as its link-local
// address shows it (RFC 4291, appendix A), else as the DUID has it. The DUID comes last since one host has one for all
// of its interfaces, made of any of them (RFC 8415, 11).
func (p *Packet) mac() metal.MAC {
	peer := p.From.Addr()
	if last := len(p.Relays) - 1; last >= 0 {
		if kind, hardware := p.Relays[last].Options.ClientLinkLayerAddress(); kind == iana.HWTypeEthernet {
			if mac, err := metal.ParseMAC(hardware.String()); err == nil {
				return mac
			}
		}
		peer, _ = netip.AddrFromSlice(p.Relays[last].PeerAddr)
	}
	if mac := ofLinkLocal(peer); mac != "" {
		return mac
	}
	return ofDUID(p.Message.Options.ClientID())
}

// ofLinkLocal returns the MAC address that a link-local address is made of, if it is.
func ofLinkLocal(a netip.Addr) metal.MAC {
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		return ""
	}
	b := a.As16()
	if b[11] != 0xff || b[12] != 0xfe {
		return ""
	}
	mac, err := metal.ParseMAC(hex.EncodeToString([]byte{b[8] ^ 2, b[9], b[10], b[13], b[14], b[15]}))
	if err != nil {
		return ""
	}
	return mac
}

func ofDUID(id dhcpv6.DUID) metal.MAC {
	var text string
	switch d := id.(type) {
	case *dhcpv6.DUIDLL:
		text = d.LinkLayerAddr.String()
	case *dhcpv6.DUIDLLT:
		text = d.LinkLayerAddr.String()
	}
	mac, err := metal.ParseMAC(text)
	if err != nil {
		return ""
	}
	return mac
}

// ias lists what the client asks for, each IA once (RFC 8415, 21.4 and 21.21), in the order of the message.
func (p *Packet) ias() []IA {
	var list []IA
	for _, option := range p.Message.Options.Options {
		var ia IA
		switch o := option.(type) {
		case *dhcpv6.OptIANA:
			ia = IA{Kind: Address, IAID: binary.BigEndian.Uint32(o.IaId[:])}
			for _, a := range o.Options.Addresses() {
				if addr, ok := netip.AddrFromSlice(a.IPv6Addr); ok {
					ia.Wanted = append(ia.Wanted, netip.PrefixFrom(addr, 128))
				}
			}
		case *dhcpv6.OptIAPD:
			ia = IA{Kind: Prefix, IAID: binary.BigEndian.Uint32(o.IaId[:])}
			for _, x := range o.Options.Prefixes() {
				if x.Prefix == nil {
					continue
				}
				addr, ok := netip.AddrFromSlice(x.Prefix.IP)
				bits, of := x.Prefix.Mask.Size()
				if ok && of == 128 {
					ia.Wanted = append(ia.Wanted, netip.PrefixFrom(addr, bits).Masked())
				}
			}
		default:
			continue
		}
		same := func(other IA) bool { return other.Kind == ia.Kind && other.IAID == ia.IAID }
		if len(list) < maxIAs && !slices.ContainsFunc(list, same) {
			list = append(list, ia)
		}
	}
	return list
}

// duidOf finds the client's DUID in a datagram without reading the rest; nil where there is none. One client's
// packets are handled in their order, and floods are dropped, by it.
func duidOf(payload []byte) []byte {
	const header, relayHeader = 4, dhcpv6.RelayHeaderSize
	for range maxRelays + 1 {
		if len(payload) < header {
			return nil
		}
		if kind := dhcpv6.MessageType(payload[0]); kind != dhcpv6.MessageTypeRelayForward {
			return find(payload[header:], dhcpv6.OptionClientID)
		}
		if len(payload) < relayHeader {
			return nil
		}
		payload = find(payload[relayHeader:], dhcpv6.OptionRelayMsg)
	}
	return nil
}

// find returns the value of the first option with a code.
func find(options []byte, code dhcpv6.OptionCode) []byte {
	for len(options) >= 4 {
		kind, size := dhcpv6.OptionCode(binary.BigEndian.Uint16(options)), int(binary.BigEndian.Uint16(options[2:]))
		if len(options) < 4+size {
			return nil
		}
		if kind == code {
			return options[4 : 4+size]
		}
		options = options[4+size:]
	}
	return nil
}
