package ra

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"time"
)

// ICMPv6 types (RFC 4861, sections 4.1 and 4.2) and option types (section 4.6).
const (
	typeSolicitation  = 133
	typeAdvertisement = 134

	optionSourceLinkLayer = 1
	optionPrefix          = 3
	optionMTU             = 5
	optionResolvers       = 25 // RFC 8106, section 5.1
	optionSearch          = 31 // section 5.2
)

const (
	flagManaged = 0x80
	flagOther   = 0x40

	prefixOnLink     = 0x80
	prefixAutonomous = 0x40
)

// Infinite is a lifetime without end (RFC 4861, section 4.6.2), as it is on the wire.
const Infinite = math.MaxUint32 * time.Second

// A Solicitation is what a host sends that wants an advertisement now.
type Solicitation struct {
	// SourceLinkLayer is the sender's hardware address; nil when it tells none.
	SourceLinkLayer net.HardwareAddr
}

// An Advertisement is what a router tells the hosts of a link.
type Advertisement struct {
	HopLimit        uint8 // for hosts to use; 0 says nothing of it
	Managed         bool  // addresses are to be had by DHCPv6
	Other           bool  // other configuration is to be had by DHCPv6
	RouterLifetime  time.Duration
	SourceLinkLayer net.HardwareAddr // 6 bytes, or nil for none
	MTU             uint32           // 0 for none
	Prefixes        []Prefix
	Resolvers       []Resolvers
	Search          []Search
}

// Resolvers is one Recursive DNS Server option (RFC 8106, section 5.1).
type Resolvers struct {
	Servers  []netip.Addr  // IPv6; one at least
	Lifetime time.Duration // 0: they must not be used any more
}

// A Search is one DNS Search List option (RFC 8106, section 5.2).
type Search struct {
	Domains  []string // one at least; lower case, without a dot at the end
	Lifetime time.Duration
}

// A Prefix is one Prefix Information option.
type Prefix struct {
	Prefix     netip.Prefix  // IPv6
	OnLink     bool          // its addresses are reached without a router
	Autonomous bool          // hosts may make themselves an address of it (SLAAC, RFC 4862); needs a /64 on Ethernet
	Valid      time.Duration // of the prefix and the addresses made of it; whole seconds
	Preferred  time.Duration // of those addresses for new connections; at most Valid
}

// errNotSolicitation is why a packet is ignored that may be well-formed but is something else.
var errNotSolicitation = errors.New("not a router solicitation")

// ParseSolicitation reads an ICMPv6 message, without its IPv6 header, as RFC 4861, section 6.1.1 has a router check
// it. The checksum is the kernel's business. source and hopLimit are those of the IPv6 header: a message that passed
// a router, and so may come from outside of the link, has a hop limit below 255.
func ParseSolicitation(message []byte, source netip.Addr, hopLimit int) (Solicitation, error) {
	var s Solicitation
	if len(message) < 1 || message[0] != typeSolicitation {
		return s, errNotSolicitation
	}
	if len(message) < 8 {
		return s, fmt.Errorf("router solicitation of %d bytes; want at least 8", len(message))
	}
	if hopLimit != 255 {
		return s, fmt.Errorf("router solicitation with hop limit %d; want 255: it is not from this link", hopLimit)
	}
	if message[1] != 0 {
		return s, fmt.Errorf("router solicitation with code %d; want 0", message[1])
	}
	err := eachOption(message[8:], func(kind byte, body []byte) {
		if kind == optionSourceLinkLayer && len(body) == 6 {
			s.SourceLinkLayer = net.HardwareAddr(append([]byte(nil), body...))
		}
	})
	if err != nil {
		return Solicitation{}, fmt.Errorf("router solicitation: %w", err)
	}
	if source.IsUnspecified() && s.SourceLinkLayer != nil {
		return Solicitation{}, errors.New("router solicitation from :: with a link-layer address")
	}
	return s, nil
}

// Marshal writes the solicitation with a checksum of zero, which the kernel fills in.
func (s Solicitation) Marshal() []byte {
	message := []byte{typeSolicitation, 0, 0, 0, 0, 0, 0, 0}
	return appendLinkLayer(message, s.SourceLinkLayer)
}

// Marshal writes the advertisement with a checksum of zero, which the kernel fills in.
func (a Advertisement) Marshal() []byte {
	message := []byte{typeAdvertisement, 0, 0, 0, a.HopLimit, 0}
	if a.Managed {
		message[5] |= flagManaged
	}
	if a.Other {
		message[5] |= flagOther
	}
	message = binary.BigEndian.AppendUint16(message, uint16(min(a.RouterLifetime/time.Second, math.MaxUint16)))
	message = append(message, make([]byte, 8)...) // reachable time, retransmission timer: unspecified
	message = appendLinkLayer(message, a.SourceLinkLayer)
	if a.MTU != 0 {
		message = append(message, optionMTU, 1, 0, 0)
		message = binary.BigEndian.AppendUint32(message, a.MTU)
	}
	for _, p := range a.Prefixes {
		message = p.append(message)
	}
	for _, r := range a.Resolvers {
		message = r.append(message)
	}
	for _, s := range a.Search {
		message = s.append(message)
	}
	return message
}

// append appends the option (RFC 4861, section 4.6.2).
func (p Prefix) append(b []byte) []byte {
	var flags byte
	if p.OnLink {
		flags |= prefixOnLink
	}
	if p.Autonomous {
		flags |= prefixAutonomous
	}
	b = append(b, optionPrefix, 4, byte(p.Prefix.Bits()), flags)
	b = binary.BigEndian.AppendUint32(b, seconds(p.Valid))
	b = binary.BigEndian.AppendUint32(b, seconds(p.Preferred))
	b = append(b, 0, 0, 0, 0)
	address := p.Prefix.Masked().Addr().As16()
	return append(b, address[:]...)
}

// ParseAdvertisement reads an ICMPv6 message as RFC 4861, section 6.1.2 has a host check it, but for the hop limit,
// the source and the checksum. Options it does not know are skipped.
func ParseAdvertisement(message []byte) (Advertisement, error) {
	var a Advertisement
	if len(message) < 1 || message[0] != typeAdvertisement {
		return a, errors.New("not a router advertisement")
	}
	if len(message) < 16 {
		return a, fmt.Errorf("router advertisement of %d bytes; want at least 16", len(message))
	}
	if message[1] != 0 {
		return a, fmt.Errorf("router advertisement with code %d; want 0", message[1])
	}
	a.HopLimit = message[4]
	a.Managed = message[5]&flagManaged != 0
	a.Other = message[5]&flagOther != 0
	a.RouterLifetime = time.Duration(binary.BigEndian.Uint16(message[6:])) * time.Second
	err := eachOption(message[16:], func(kind byte, body []byte) {
		switch {
		case kind == optionSourceLinkLayer && len(body) == 6:
			a.SourceLinkLayer = net.HardwareAddr(append([]byte(nil), body...))
		case kind == optionMTU && len(body) == 6:
			a.MTU = binary.BigEndian.Uint32(body[2:])
		case kind == optionPrefix && len(body) == 30 && body[0] <= 128:
			a.Prefixes = append(a.Prefixes, Prefix{
				Prefix:     netip.PrefixFrom(netip.AddrFrom16([16]byte(body[14:])), int(body[0])).Masked(),
				OnLink:     body[1]&prefixOnLink != 0,
				Autonomous: body[1]&prefixAutonomous != 0,
				Valid:      time.Duration(binary.BigEndian.Uint32(body[2:])) * time.Second,
				Preferred:  time.Duration(binary.BigEndian.Uint32(body[6:])) * time.Second,
			})
		case kind == optionResolvers && len(body) >= 22:
			a.Resolvers = append(a.Resolvers, parseResolvers(body))
		case kind == optionSearch && len(body) >= 14:
			if s, ok := parseSearch(body); ok {
				a.Search = append(a.Search, s)
			}
		}
	})
	if err != nil {
		return Advertisement{}, fmt.Errorf("router advertisement: %w", err)
	}
	return a, nil
}

// eachOption walks options of the form type, length in units of 8 bytes, body (RFC 4861, section 4.6). A length of
// zero or one beyond the end makes the whole message invalid.
func eachOption(options []byte, visit func(kind byte, body []byte)) error {
	for len(options) > 0 {
		if len(options) < 2 || options[1] == 0 {
			return errors.New("an option without a length")
		}
		size := int(options[1]) * 8
		if size > len(options) {
			return fmt.Errorf("option %d of %d bytes with %d left", options[0], size, len(options))
		}
		visit(options[0], options[2:size])
		options = options[size:]
	}
	return nil
}

// appendLinkLayer appends the source link-layer option where there is an Ethernet address.
func appendLinkLayer(b []byte, mac net.HardwareAddr) []byte {
	if len(mac) != 6 {
		return b
	}
	return append(append(b, optionSourceLinkLayer, 1), mac...)
}

// seconds is a lifetime on the wire.
func seconds(d time.Duration) uint32 {
	return uint32(min(max(d, 0)/time.Second, math.MaxUint32))
}
