package network

import (
	"encoding/binary"
	"net/netip"
)

// Ports of DHCP (RFC 2131, 4.1).
const (
	serverPort = 67
	clientPort = 68
)

const (
	ipHeaderLength  = 20
	udpHeaderLength = 8
	protocolUDP     = 17
)

// broadcastDatagram wraps a payload in the UDP and IPv4 headers of a client without an address: from 0.0.0.0 to
// 255.255.255.255. The UDP checksum is left out, as RFC 768 allows.
func broadcastDatagram(payload []byte) []byte {
	length := ipHeaderLength + udpHeaderLength + len(payload)
	b := make([]byte, length)
	b[0] = 0x45 // version 4, five words
	binary.BigEndian.PutUint16(b[2:], uint16(length))
	b[8] = 64 // time to live
	b[9] = protocolUDP
	copy(b[16:], []byte{255, 255, 255, 255})
	binary.BigEndian.PutUint16(b[10:], checksum(b[:ipHeaderLength]))
	udp := b[ipHeaderLength:]
	binary.BigEndian.PutUint16(udp[0:], clientPort)
	binary.BigEndian.PutUint16(udp[2:], serverPort)
	binary.BigEndian.PutUint16(udp[4:], uint16(udpHeaderLength+len(payload)))
	copy(udp[udpHeaderLength:], payload)
	return b
}

// clientPayload returns what an IPv4 packet carries for a DHCP client, and false for any other packet. The UDP
// checksum is not looked at: a packet socket sees packets of the same host before the NIC would have filled it in.
func clientPayload(b []byte) ([]byte, bool) {
	if len(b) < ipHeaderLength || b[0]>>4 != 4 || b[9] != protocolUDP {
		return nil, false
	}
	header, total := int(b[0]&15)*4, int(binary.BigEndian.Uint16(b[2:]))
	if header < ipHeaderLength || total > len(b) || total < header+udpHeaderLength {
		return nil, false
	}
	if binary.BigEndian.Uint16(b[6:])&0x3fff != 0 { // a fragment
		return nil, false
	}
	udp := b[header:total]
	length := int(binary.BigEndian.Uint16(udp[4:]))
	if length < udpHeaderLength || length > len(udp) || binary.BigEndian.Uint16(udp[2:]) != clientPort {
		return nil, false
	}
	return udp[udpHeaderLength:length], true
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// maskBits returns the length of a netmask's prefix; false when the ones are not all in front.
func maskBits(mask netip.Addr) (int, bool) {
	if !mask.Is4() {
		return 0, false
	}
	raw := mask.As4()
	bits := binary.BigEndian.Uint32(raw[:])
	n := 0
	for bits&0x80000000 != 0 {
		n++
		bits <<= 1
	}
	return n, bits == 0
}
