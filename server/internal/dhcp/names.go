package dhcp

import (
	"encoding/binary"
	"strings"
)

// searchList encodes domains as RFC 3397, 2 wants them: in DNS form, a domain that ends as an earlier one did pointing
// there. Names that are none are left out.
func searchList(domains []string) (out []byte) {
	seen := map[string]int{}
	for _, domain := range domains {
		if next, ok := appendName(out, domain, seen); ok {
			out = next
		}
	}
	return out
}

// appendName appends a domain name in DNS form (RFC 1035, 3.1). seen has where in b each ending of an earlier name
// stands, for compression (RFC 1035, 4.1.4), and gets those of this one; nil: do not compress. Where it says false,
// name is no domain name, and b and seen are as before.
func appendName(b []byte, name string, seen map[string]int) ([]byte, bool) {
	const (
		mostLabel, mostName = 63, 253
		farthest            = 1<<14 - 1 // what a pointer reaches
		pointer             = 0xc000
	)
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if name == "" || len(name) > mostName {
		return b, false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > mostLabel || strings.ContainsFunc(label, notInName) {
			return b, false
		}
	}
	for rest := name; rest != ""; {
		if at, ok := seen[rest]; ok {
			return binary.BigEndian.AppendUint16(b, uint16(pointer|at)), true
		}
		if seen != nil && len(b) <= farthest {
			seen[rest] = len(b)
		}
		var label string
		label, rest, _ = strings.Cut(rest, ".")
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0), true
}

// notInName takes the underscore for a letter: names of services have it (RFC 2782).
func notInName(c rune) bool {
	return !(c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '-' || c == '_')
}
