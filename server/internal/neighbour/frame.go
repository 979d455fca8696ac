package neighbour

import (
	"encoding/binary"
	"net/netip"
)

const (
	etherLength = 14
	ipv6Length  = 40
	udpLength   = 8

	etherIPv4 = 0x0800
	etherARP  = 0x0806
	etherIPv6 = 0x86dd

	protocolUDP    = 17
	protocolICMPv6 = 58
)

// everyone is the Ethernet broadcast address.
func everyone() hardware { return hardware{0xff, 0xff, 0xff, 0xff, 0xff, 0xff} }

func appendEther(b []byte, to, from hardware, kind uint16) []byte {
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	return binary.BigEndian.AppendUint16(b, kind)
}

// sender returns the source address of a frame, which must have a whole Ethernet header.
func sender(frame []byte) hardware { return hardware(frame[6:12]) }

// appendIPv6 appends a header without extensions (RFC 8200, section 3). Neighbor Discovery asks for a hop limit of 255.
func appendIPv6(b []byte, from, to netip.Addr, protocol, hops byte, length int) []byte {
	b = append(b, 0x60, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(length))
	b = append(b, protocol, hops)
	b = append(b, from.AsSlice()...)
	return append(b, to.AsSlice()...)
}

// datagram4 is a whole frame with a UDP datagram over IPv4, broadcast from a host without an address.
func datagram4(from hardware, source, destination uint16, payload []byte) []byte {
	const header = 20
	b := appendEther(nil, everyone(), from, etherIPv4)
	b = append(b, 0x45, 0)
	b = binary.BigEndian.AppendUint16(b, uint16(header+udpLength+len(payload)))
	b = append(b, 0, 0, 0, 0, 64, protocolUDP, 0, 0) // identification, fragment, time to live, protocol, checksum
	b = append(b, 0, 0, 0, 0, 255, 255, 255, 255)
	binary.BigEndian.PutUint16(b[etherLength+10:], checksum(b[etherLength:], 0))
	b = binary.BigEndian.AppendUint16(b, source)
	b = binary.BigEndian.AppendUint16(b, destination)
	b = binary.BigEndian.AppendUint16(b, uint16(udpLength+len(payload)))
	at := len(b)
	b = append(b, 0, 0)
	b = append(b, payload...)
	datagram := b[at-6:]
	total := pseudo(b[etherLength+12:etherLength+20], protocolUDP, len(datagram))
	binary.BigEndian.PutUint16(b[at:], udpChecksum(datagram, total))
	return b
}

// datagram6 is a whole frame with a UDP datagram over IPv6 to a multicast group.
func datagram6(from hardware, source, group netip.AddrPort, payload []byte) []byte {
	b := appendEther(nil, groupHardware(group.Addr()), from, etherIPv6)
	b = appendIPv6(b, source.Addr(), group.Addr(), protocolUDP, 1, udpLength+len(payload))
	b = binary.BigEndian.AppendUint16(b, source.Port())
	b = binary.BigEndian.AppendUint16(b, group.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(udpLength+len(payload)))
	at := len(b)
	b = append(b, 0, 0)
	b = append(b, payload...)
	datagram := b[at-6:]
	total := pseudo(b[etherLength+8:etherLength+ipv6Length], protocolUDP, len(datagram))
	binary.BigEndian.PutUint16(b[at:], udpChecksum(datagram, total))
	return b
}

// groupHardware is the Ethernet address of an IPv6 multicast group (RFC 2464, section 7).
func groupHardware(group netip.Addr) hardware {
	a := group.As16()
	return hardware{0x33, 0x33, a[12], a[13], a[14], a[15]}
}

// payload4 returns the source address and the payload of an unfragmented UDP datagram over IPv4 to a port. Checksums
// are not looked at: frames from a virtual machine or a namespace on the same host come before theirs is filled in.
func payload4(frame []byte, port uint16) (from netip.Addr, payload []byte, ok bool) {
	if len(frame) < etherLength+20 || binary.BigEndian.Uint16(frame[12:]) != etherIPv4 {
		return from, nil, false
	}
	ip := frame[etherLength:]
	header, total := int(ip[0]&0xf)*4, int(binary.BigEndian.Uint16(ip[2:]))
	if ip[0]>>4 != 4 || header < 20 || total < header+udpLength || total > len(ip) || ip[9] != protocolUDP ||
		binary.BigEndian.Uint16(ip[6:])&0x3fff != 0 {
		return from, nil, false
	}
	payload, ok = udpPayload(ip[header:total], port)
	return netip.AddrFrom4([4]byte(ip[12:16])), payload, ok
}

// payload6 is payload4 for IPv6 without extension headers, which no DHCP server sends.
func payload6(frame []byte, port uint16) (from netip.Addr, payload []byte, ok bool) {
	if len(frame) < etherLength+ipv6Length || binary.BigEndian.Uint16(frame[12:]) != etherIPv6 {
		return from, nil, false
	}
	ip := frame[etherLength:]
	total := ipv6Length + int(binary.BigEndian.Uint16(ip[4:]))
	if ip[0]>>4 != 6 || total > len(ip) || ip[6] != protocolUDP {
		return from, nil, false
	}
	payload, ok = udpPayload(ip[ipv6Length:total], port)
	return netip.AddrFrom16([16]byte(ip[8:24])), payload, ok
}

func udpPayload(datagram []byte, port uint16) ([]byte, bool) {
	if len(datagram) < udpLength || binary.BigEndian.Uint16(datagram[2:]) != port {
		return nil, false
	}
	length := int(binary.BigEndian.Uint16(datagram[4:]))
	if length < udpLength || length > len(datagram) {
		return nil, false
	}
	return datagram[udpLength:length], true
}

// pseudo sums the pseudo-header (RFC 768; RFC 8200, section 8.1): both addresses, the protocol and the length, in
// bytes, of what follows.
func pseudo(addresses []byte, protocol byte, length int) uint32 {
	return sum(addresses) + uint32(protocol) + uint32(length)
}

// checksum is the Internet checksum (RFC 1071) of b and of what was summed before.
func checksum(b []byte, before uint32) uint16 {
	total := before + sum(b)
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return ^uint16(total)
}

// udpChecksum writes a checksum of zero as ones, since zero means that there is none (RFC 768).
func udpChecksum(b []byte, before uint32) uint16 {
	if c := checksum(b, before); c != 0 {
		return c
	}
	return 0xffff
}

func sum(b []byte) (total uint32) {
	for ; len(b) > 1; b = b[2:] {
		total += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		total += uint32(b[0]) << 8
	}
	return total
}
