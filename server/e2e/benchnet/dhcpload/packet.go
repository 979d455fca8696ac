// Package dhcpload is a load of DHCPv4 clients on the server's own link, which perfdhcp cannot make: it is always a
// relay agent. It also measures how long each exchange takes.
package dhcpload

import (
	"encoding/binary"
	"net/netip"
)

// Message types (RFC 2132, 9.6).
const (
	discover = 1
	offer    = 2
	request  = 3
	ack      = 5
	nak      = 6
)

// Options (RFC 2132).
const (
	optRequestedAddr = 50
	optMessageType   = 53
	optServerID      = 54
	optParameters    = 55
	optEnd           = 255
	optPad           = 0
)

const (
	fixed   = 240 // bytes before the options, the magic cookie included (RFC 2131, figure 1; RFC 2132, 2)
	minimum = 300 // bytes of a BOOTP message (RFC 951), which some servers insist on
)

// A Client is one that the load comes from, by its number.
type Client uint32

// MAC is its address, of those that are locally administered.
func (c Client) MAC() [6]byte {
	mac := [6]byte{0x02, 0xdc}
	binary.BigEndian.PutUint32(mac[2:], uint32(c))
	return mac
}

// begin writes what DISCOVER and REQUEST have in common: a client without an address that hears broadcasts only.
func begin(b []byte, c Client, xid uint32, kind byte) []byte {
	b = append(b[:0], make([]byte, fixed)...)
	b[0], b[1], b[2] = 1, 1, 6 // BOOTREQUEST, Ethernet
	binary.BigEndian.PutUint32(b[4:], xid)
	b[10] = 0x80 // broadcast flag
	mac := c.MAC()
	copy(b[28:], mac[:])
	binary.BigEndian.PutUint32(b[236:], 0x63825363)
	return append(b, optMessageType, 1, kind)
}

func finish(b []byte) []byte {
	b = append(b, optParameters, 4, 1, 3, 6, 15, optEnd) // mask, router, name servers, domain
	for len(b) < minimum {
		b = append(b, optPad)
	}
	return b
}

func appendDiscover(b []byte, c Client, xid uint32) []byte { return finish(begin(b, c, xid, discover)) }

func appendRequest(b []byte, c Client, xid uint32, r reply) []byte {
	b = begin(b, c, xid, request)
	b = append(append(b, optRequestedAddr, 4), r.addr.AsSlice()...)
	b = append(append(b, optServerID, 4), r.server.AsSlice()...)
	return finish(b)
}

// reply is what matters of a server's message.
type reply struct {
	kind   byte
	xid    uint32
	mac    [6]byte
	addr   netip.Addr // yiaddr
	server netip.Addr // option 54
}

// parse reads a server's message; false when it is none.
func parse(b []byte) (r reply, ok bool) {
	if len(b) < fixed || b[0] != 2 || b[1] != 1 || b[2] != 6 || binary.BigEndian.Uint32(b[236:]) != 0x63825363 {
		return r, false
	}
	r.xid = binary.BigEndian.Uint32(b[4:])
	r.mac = [6]byte(b[28:34])
	r.addr = netip.AddrFrom4([4]byte(b[16:20]))
	for rest := b[fixed:]; len(rest) > 0 && rest[0] != optEnd; {
		if rest[0] == optPad {
			rest = rest[1:]
			continue
		}
		if len(rest) < 2 || len(rest) < 2+int(rest[1]) {
			return r, false
		}
		value := rest[2 : 2+rest[1]]
		switch {
		case rest[0] == optMessageType && len(value) == 1:
			r.kind = value[0]
		case rest[0] == optServerID && len(value) == 4:
			r.server = netip.AddrFrom4([4]byte(value))
		}
		rest = rest[2+len(value):]
	}
	return r, r.kind != 0 && r.server.IsValid()
}
