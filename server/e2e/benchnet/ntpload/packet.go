// Package ntpload asks a time server as often as it answers, as many clients.
package ntpload

import (
	"encoding/binary"
	"net/netip"
)

// size of a packet without extension fields (RFC 5905, 7.3).
const size = 48

// cookie makes the transmit timestamp of our requests recognisable, with the request's number in its fraction.
const cookie = 0xe4a70000

// putRequest writes a client's request of version 4 with a number. The server gives the transmit timestamp back as the
// origin timestamp.
func putRequest(b []byte, number uint32) {
	clear(b[:size])
	b[0] = 4<<3 | 3 // version 4, mode 3: client
	binary.BigEndian.PutUint32(b[40:], cookie)
	binary.BigEndian.PutUint32(b[44:], number)
}

// kind is what came back.
type kind int

const (
	strange kind = iota // no answer to a request of ours
	refusal             // a kiss of death, or a server without the time
	answer
)

// parse judges a packet that was received.
func parse(b []byte) kind {
	if len(b) < size || b[0]&7 != 4 || binary.BigEndian.Uint32(b[24:]) != cookie {
		return strange
	}
	stratum, leap := b[1], b[0]>>6
	if stratum == 0 || stratum > 15 || leap == 3 || binary.BigEndian.Uint64(b[40:]) == 0 {
		return refusal
	}
	return answer
}

// source returns the number's address of a network, so that requests come from all of its hosts in turn.
func source(p netip.Prefix, number uint32) netip.Addr {
	a := p.Masked().Addr().As4()
	hosts := uint32(1)<<(32-p.Bits()) - 2 // without the network's and the broadcast address
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(a[:])+1+number%hosts)))
}
