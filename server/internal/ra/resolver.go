package ra

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"time"
)

// append appends the option (RFC 8106, section 5.1).
func (r Resolvers) append(b []byte) []byte {
	b = append(b, optionResolvers, byte(1+2*len(r.Servers)), 0, 0)
	b = binary.BigEndian.AppendUint32(b, seconds(r.Lifetime))
	for _, server := range r.Servers {
		address := server.As16()
		b = append(b, address[:]...)
	}
	return b
}

func parseResolvers(body []byte) Resolvers {
	r := Resolvers{Lifetime: time.Duration(binary.BigEndian.Uint32(body[2:])) * time.Second}
	for list := body[6:]; len(list) >= 16; list = list[16:] {
		r.Servers = append(r.Servers, netip.AddrFrom16([16]byte(list)))
	}
	return r
}

// append appends the option (RFC 8106, section 5.2), filled up with zeros to a multiple of 8 bytes.
func (s Search) append(b []byte) []byte {
	var names []byte
	for _, domain := range s.Domains {
		names = appendName(names, domain)
	}
	for len(names)%8 != 0 {
		names = append(names, 0)
	}
	b = append(b, optionSearch, byte(1+len(names)/8), 0, 0)
	b = binary.BigEndian.AppendUint32(b, seconds(s.Lifetime))
	return append(b, names...)
}

// appendName appends a domain name without compression (RFC 1035, section 3.1).
func appendName(b []byte, domain string) []byte {
	for label := range strings.SplitSeq(domain, ".") {
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// parseSearch reads names up to the zeros that fill the option. It says false where there is none, or what is there is
// none.
func parseSearch(body []byte) (Search, bool) {
	s := Search{Lifetime: time.Duration(binary.BigEndian.Uint32(body[2:])) * time.Second}
	var labels []string
	for list := body[6:]; len(list) > 0; {
		size := int(list[0])
		switch {
		case size == 0 && len(labels) == 0: // the rest is filling
			return s, len(s.Domains) > 0
		case size == 0:
			s.Domains, labels, list = append(s.Domains, strings.Join(labels, ".")), nil, list[1:]
		case size > longestLabel || size >= len(list) || strings.Contains(string(list[1:1+size]), "."):
			return Search{}, false
		default:
			labels, list = append(labels, string(list[1:1+size])), list[1+size:]
		}
	}
	return s, len(labels) == 0 && len(s.Domains) > 0
}

const (
	longestLabel = 63
	longestName  = 253 // written with dots
)

// isName says whether a text can stand in a search list.
func isName(domain string) bool {
	if domain == "" || len(domain) > longestName {
		return false
	}
	for label := range strings.SplitSeq(domain, ".") {
		if label == "" || len(label) > longestLabel {
			return false
		}
	}
	return true
}
