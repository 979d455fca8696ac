package lease

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// isc reads dhcpd.leases (dhcpd.leases(5)).
func (im *importer) isc(text string) error {
	s := &iscScanner{rest: text, line: 1}
	for s.rest != "" && s.fault == "" {
		words, block := s.statement()
		switch {
		case words == nil && s.rest != "" && s.fault == "":
			s.fault = "a block ends that did not begin"
		case words == nil:
		case words[0] == "lease" && block && len(words) == 2:
			im.iscLease(s, words[1])
		case (words[0] == "ia-na" || words[0] == "ia-pd") && block && len(words) == 2:
			im.iscAssociation(s, words[1])
		case words[0] == "authoring-byte-order" && len(words) == 2:
			s.big = words[1] == "big-endian"
		case block:
			s.skip(1)
		}
	}
	if s.fault != "" {
		return metal.Errorf(metal.Invalid, "import leases of ISC dhcpd: line %d: %s: give a dhcpd.leases or dhcpd6.leases file", s.line, s.fault)
	}
	return nil
}

// iscLease reads the inside of a lease of IPv4.
func (im *importer) iscLease(s *iscScanner, name string) {
	l := metal.Lease{}
	addr, err := netip.ParseAddr(name)
	fault := ""
	if err != nil || !addr.Is4() {
		fault = "it is no IPv4 address"
	}
	l.Addr = addr
	state := ""
	s.block(func(words []string) {
		switch {
		case len(words) == 3 && words[0] == "binding" && words[1] == "state":
			state = words[2]
		case words[0] == "starts":
			l.StartedAt, _ = iscTime(words[1:])
		case words[0] == "ends":
			var ok bool
			if l.ExpiresAt, ok = iscTime(words[1:]); !ok {
				fault = "its end is not a time"
			}
		case len(words) == 3 && words[0] == "hardware" && words[1] == "ethernet":
			if l.MAC, err = metal.ParseMAC(words[2]); err != nil && fault == "" {
				fault = err.Error()
			}
		case len(words) == 2 && words[0] == "uid":
			raw, ok := s.bytes(words[1])
			if l.ClientID = hex.EncodeToString(raw); !ok && fault == "" {
				fault = "its client identifier is odd"
			}
		case len(words) == 2 && words[0] == "client-hostname":
			l.Hostname = label(unquote(words[1]))
		}
	})
	gone := state != "active" && state != ""
	switch {
	case fault != "":
		im.refuse(name, "%s", fault)
	case gone:
		im.add(l, true)
	case l.ExpiresAt.IsZero():
		im.refuse(name, "it has no end")
	case l.MAC == "" && l.ClientID == "":
		im.refuse(name, "it names no client")
	default:
		im.add(l, false)
	}
}

// iscAssociation reads the inside of an identity association of IPv6. Its name is the IAID in the byte order of the
// host that wrote it, and behind that the DUID.
func (im *importer) iscAssociation(s *iscScanner, name string) {
	raw, ok := s.bytes(name)
	const iaid = 4
	for {
		words, block := s.statement()
		if words == nil {
			return
		}
		if !block {
			continue
		}
		if len(words) != 2 || words[0] != "iaaddr" && words[0] != "iaprefix" {
			s.skip(1)
			continue
		}
		l := metal.Lease{}
		if ok && len(raw) > iaid {
			l.IAID, l.ClientID, l.MAC = binary.LittleEndian.Uint32(raw), hex.EncodeToString(raw[iaid:]), macOfDUID(raw[iaid:])
			if s.big {
				l.IAID = binary.BigEndian.Uint32(raw)
			}
		}
		im.iscBinding(s, l, words[0] == "iaprefix", words[1])
	}
}

// iscBinding reads the inside of an address or prefix of an identity association.
func (im *importer) iscBinding(s *iscScanner, l metal.Lease, prefix bool, name string) {
	state, ended := "", false
	s.block(func(words []string) {
		switch {
		case len(words) == 3 && words[0] == "binding" && words[1] == "state":
			state = words[2]
		case words[0] == "ends":
			l.ExpiresAt, ended = iscTime(words[1:])
		}
	})
	where, fault := name, ""
	if prefix {
		p, err := netip.ParsePrefix(name)
		if l.Addr, l.Bits = p.Addr(), p.Bits(); err != nil || p.Masked() != p || l.Bits < 1 {
			fault = "it is no IPv6 prefix"
		}
	} else {
		var err error
		if l.Addr, err = netip.ParseAddr(name); err != nil || l.Addr.Zone() != "" {
			fault = "it is no IPv6 address"
		}
	}
	switch {
	case fault == "" && (!l.Addr.Is6() || l.Addr.Is4In6()):
		im.refuse(where, "it is of the wrong family")
	case fault != "":
		im.refuse(where, "%s", fault)
	case state != "active":
		im.add(l, true)
	case !ended:
		im.refuse(where, "it has no end")
	case l.ClientID == "":
		im.refuse(where, "it names no client")
	default:
		im.add(l, false)
	}
}

// iscTime reads "4 2030/01/02 03:04:05", "epoch 1893553445" or "never".
func iscTime(words []string) (time.Time, bool) {
	switch {
	case len(words) == 1 && words[0] == "never":
		return unlimited(), true
	case len(words) == 2 && words[0] == "epoch":
		n, err := strconv.ParseInt(words[1], 10, 64)
		return time.Unix(n, 0).UTC(), err == nil && n >= 0 && n <= latest
	case len(words) == 3:
		t, err := time.Parse("2006/01/02 15:04:05", words[1]+" "+words[2])
		return t, err == nil
	}
	return time.Time{}, false
}

// unquote returns what stands in quotes, with its escapes read; another word as it is.
func unquote(word string) string {
	if len(word) < 2 || word[0] != '"' {
		return word
	}
	word = word[1 : len(word)-1]
	var b strings.Builder
	for i := 0; i < len(word); i++ {
		if word[i] != '\\' || i+1 == len(word) {
			b.WriteByte(word[i])
			continue
		}
		if i+3 < len(word) {
			if n, err := strconv.ParseUint(word[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		i++
		b.WriteByte(word[i])
	}
	return b.String()
}
