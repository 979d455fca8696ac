package neighbour

import (
	"encoding/binary"
	"net/netip"
)

const (
	neighbourSolicitation  = 135
	neighbourAdvertisement = 136

	ndpHops   = 255 // a router would have lowered it: the sender is on the link (RFC 4861, section 3.1)
	ndpLength = 24  // without options

	optionSource = 1 // link-layer address of the sender
	optionTarget = 2 // link-layer address of the target
)

// ndp is a neighbour solicitation or advertisement (RFC 4861, sections 4.3 and 4.4).
type ndp struct {
	kind         byte
	from, target netip.Addr
	// hardware is what the option of the kind tells, and else the sender of the frame.
	hardware hardware
}

// ndpProbe is the solicitation of duplicate address detection (RFC 4862, section 5.4.2): from the unspecified address
// to the solicited-node group of the target, without an option.
func ndpProbe(from hardware, target netip.Addr) []byte {
	group := solicitedNode(target)
	b := appendEther(make([]byte, 0, etherLength+ipv6Length+ndpLength), groupHardware(group), from, etherIPv6)
	b = appendIPv6(b, netip.IPv6Unspecified(), group, protocolICMPv6, ndpHops, ndpLength)
	b = append(b, neighbourSolicitation, 0, 0, 0, 0, 0, 0, 0)
	b = append(b, target.AsSlice()...)
	seal(b)
	return b
}

// seal writes the checksum of an ICMPv6 message into its frame.
func seal(frame []byte) {
	ip, message := frame[etherLength:], frame[etherLength+ipv6Length:]
	binary.BigEndian.PutUint16(message[2:], 0)
	binary.BigEndian.PutUint16(message[2:], checksum(message, pseudo(ip[8:ipv6Length], protocolICMPv6, len(message))))
}

// solicitedNode is ff02::1:ff00:0/104 with the last 24 bits of the address (RFC 4291, section 2.7.1).
func solicitedNode(addr netip.Addr) netip.Addr {
	a := addr.As16()
	return netip.AddrFrom16([16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: a[13], 14: a[14], 15: a[15]})
}

// parseNDP reads a whole frame, with the checks that every receiver must make (RFC 4861, sections 7.1.1 and 7.1.2).
func parseNDP(frame []byte) (ndp, bool) {
	if len(frame) < etherLength+ipv6Length+ndpLength || binary.BigEndian.Uint16(frame[12:]) != etherIPv6 {
		return ndp{}, false
	}
	ip := frame[etherLength:]
	length := int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || ip[6] != protocolICMPv6 || ip[7] != ndpHops || length < ndpLength || ipv6Length+length > len(ip) {
		return ndp{}, false
	}
	message := ip[ipv6Length : ipv6Length+length]
	if message[1] != 0 || checksum(message, pseudo(ip[8:ipv6Length], protocolICMPv6, length)) != 0 {
		return ndp{}, false
	}
	n := ndp{
		kind: message[0], from: netip.AddrFrom16([16]byte(ip[8:24])), target: netip.AddrFrom16([16]byte(message[8:24])),
		hardware: sender(frame),
	}
	to := netip.AddrFrom16([16]byte(ip[24:40]))
	option, whole := linkLayerOptions(message[ndpLength:])
	if !whole || n.target.IsMulticast() {
		return ndp{}, false
	}
	switch n.kind {
	case neighbourSolicitation:
		given, has := option[optionSource]
		if n.from.IsUnspecified() && (has || to != solicitedNode(n.target)) {
			return ndp{}, false
		}
		if has {
			n.hardware = given
		}
	case neighbourAdvertisement:
		if solicited := message[4]&0x40 != 0; solicited && to.IsMulticast() || !unicast(n.from) {
			return ndp{}, false
		}
		if given, has := option[optionTarget]; has {
			n.hardware = given
		}
	default:
		return ndp{}, false
	}
	return n, true
}

// linkLayerOptions returns the link-layer addresses among the options, by type. whole is false where an option has the
// length 0 or goes beyond the end, which makes the message invalid.
func linkLayerOptions(b []byte) (addresses map[byte]hardware, whole bool) {
	addresses = map[byte]hardware{}
	for len(b) > 0 {
		if len(b) < 2 || b[1] == 0 || int(b[1])*8 > len(b) {
			return nil, false
		}
		if (b[0] == optionSource || b[0] == optionTarget) && b[1] == 1 {
			addresses[b[0]] = hardware(b[2:8])
		}
		b = b[int(b[1])*8:]
	}
	return addresses, true
}

// claim says who uses which address by this message: a solicitation tells of its sender, an advertisement of its
// target, and a solicitation from nobody of who wants the target.
func (n ndp) claim() (claim, bool) {
	c := claim{addr: n.target, hardware: n.hardware}
	if n.kind == neighbourSolicitation {
		c.tentative = n.from.IsUnspecified()
		if !c.tentative {
			c.addr = n.from
		}
	}
	return c, c.hardware.own() && unicast(c.addr)
}
