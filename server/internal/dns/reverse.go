package dns

import (
	"net/netip"
	"strings"
)

const (
	arpa4 = "in-addr.arpa."
	arpa6 = "ip6.arpa."
)

// A reverseName is what a name below in-addr.arpa or ip6.arpa says: the first labels of an address, which fit an
// octet each, or a nibble.
type reverseName struct {
	prefix netip.Prefix // the address as far as it is told
	below  bool         // there are labels before it that belong to no address
}

// whole says whether the name is that of one address.
func (r reverseName) whole() bool { return r.prefix.IsSingleIP() && !r.below }

// parseReverse reads a name, in lower case; it is false for one that is not below in-addr.arpa or ip6.arpa (RFC 1035,
// section 3.5; RFC 3596, section 2.5).
func parseReverse(name string) (reverseName, bool) {
	if rest, ok := strings.CutSuffix(name, "."+arpa4); ok {
		var addr [4]byte
		bits, below := fill(rest, len(addr)*8, 8, func(label string, at int) bool {
			octet, ok := parseOctet(label)
			addr[at/8] = octet
			return ok
		})
		return reverseName{netip.PrefixFrom(netip.AddrFrom4(addr), bits), below}, true
	}
	if rest, ok := strings.CutSuffix(name, "."+arpa6); ok {
		var addr [16]byte
		bits, below := fill(rest, len(addr)*8, 4, func(label string, at int) bool {
			nibble, ok := parseNibble(label)
			addr[at/8] |= nibble << (4 - at%8)
			return ok
		})
		return reverseName{netip.PrefixFrom(netip.AddrFrom16(addr), bits), below}, true
	}
	return reverseName{}, false
}

// fill gives the labels of rest, from the last to the first, to set, with the bit they stand for, until set refuses
// one or the address has all its bits. It returns how many bits were set, and whether labels were left.
func fill(rest string, size, step int, set func(label string, at int) bool) (bits int, below bool) {
	for bits < size {
		dot := strings.LastIndexByte(rest, '.')
		if dot > 0 && rest[dot-1] == '\\' { // it belongs to a label, which then is no number
			return bits, true
		}
		if !set(rest[dot+1:], bits) {
			return bits, true
		}
		bits += step
		if dot < 0 {
			return bits, false
		}
		rest = rest[:dot]
	}
	return bits, true
}

// parseOctet reads a number of 0 to 255 without leading zeros.
func parseOctet(label string) (byte, bool) {
	if label == "" || len(label) > 3 || (label[0] == '0' && len(label) > 1) {
		return 0, false
	}
	value := 0
	for i := range len(label) {
		if label[i] < '0' || label[i] > '9' {
			return 0, false
		}
		value = value*10 + int(label[i]-'0')
	}
	return byte(value), value <= 255
}

// parseNibble reads one hexadecimal digit in lower case.
func parseNibble(label string) (byte, bool) {
	if len(label) != 1 {
		return 0, false
	}
	switch c := label[0]; {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	}
	return 0, false
}

// reverseLabels is how many labels before the arpa domain the reverse zones of a subnet have. Zones are cut on octets
// for IPv4 and on nibbles for IPv6: a /24 is one zone, a /22 is four of three octets, and a /26 is served from the one
// of three octets that encloses it. A single address is never a zone of its own.
func reverseLabels(subnet netip.Prefix) int {
	if subnet.Addr().Is4() {
		return min(max((subnet.Bits()+7)/8, 1), 3)
	}
	return min(max((subnet.Bits()+3)/4, 1), 31)
}

// reverseZone returns the apex of our reverse zone that the name is in: the one with most labels. name is the text
// that parsed was read from.
func reverseZone(name string, parsed reverseName, subnets []netip.Prefix) (apex string, ok bool) {
	labels := 0
	step := 4
	if parsed.prefix.Addr().Is4() {
		step = 8
	}
	for _, subnet := range subnets {
		n := reverseLabels(subnet)
		if n <= labels || parsed.prefix.Bits() < n*step {
			continue
		}
		cut, err := parsed.prefix.Addr().Prefix(n * step)
		if err == nil && cut.Overlaps(subnet) {
			labels = n
		}
	}
	if labels == 0 {
		return "", false
	}
	return lastLabels(name, labels+2), true // the two of the arpa domain
}

// lastLabels returns the last n labels of a fully qualified name that has as many.
func lastLabels(name string, n int) string {
	at := len(name) - 1 // the trailing dot
	for range n {
		at = strings.LastIndexByte(name[:at], '.')
		if at < 0 {
			return name
		}
	}
	return name[at+1:]
}

// within says whether name is the zone's apex or below it. Both are fully qualified and in lower case.
func within(name, zone string) bool {
	above, ok := strings.CutSuffix(name, zone)
	if !ok {
		return false
	}
	if above == "" {
		return true
	}
	label, ok := strings.CutSuffix(above, ".")
	if !ok {
		return false
	}
	// A dot behind an odd number of backslashes belongs to its label.
	escapes := len(label) - len(strings.TrimRight(label, `\`))
	return escapes%2 == 0
}

// forwardZone returns the longest of the zones that the name is in.
func forwardZone(name string, zones []string) (apex string, ok bool) {
	for _, zone := range zones {
		if len(zone) > len(apex) && within(name, zone) {
			apex = zone
		}
	}
	return apex, apex != ""
}
