package metal

import (
	"encoding/hex"
	"strings"
)

// MAC is an Ethernet address in canonical form: six lower-case pairs of hex digits with colons. The zero value means none.
type MAC string

// ParseMAC reads a MAC address written with colons, dashes, dots (Cisco) or nothing between the digits.
// It returns an Invalid error for anything else, and for the zero and group addresses, which no NIC may own (IEEE 802-2014, 8.2).
func ParseMAC(s string) (MAC, error) {
	raw, err := hex.DecodeString(strings.Map(digit, strings.TrimSpace(s)))
	if err != nil || len(raw) != 6 {
		return "", Errorf(Invalid, "%q is not a MAC address: write six pairs of hex digits, as in 52:54:00:12:34:56", s)
	}
	if raw[0]&1 != 0 {
		return "", Errorf(Invalid, "%q is a group (multicast) address: a NIC's own address has an even first byte", s)
	}
	if [6]byte(raw) == ([6]byte{}) {
		return "", Errorf(Invalid, "%q is the zero address: no NIC has it", s)
	}
	return MACOf(raw), nil
}

// digit leaves out what may stand between the digits.
func digit(r rune) rune {
	if r == ':' || r == '-' || r == '.' {
		return -1
	}
	return r
}

// MACOf returns the MAC of raw bytes, without checks; empty when raw is not six bytes long.
func MACOf(raw []byte) MAC {
	if len(raw) != 6 {
		return ""
	}
	const digits = "0123456789abcdef"
	var text [17]byte
	for i, c := range raw {
		if i > 0 {
			text[3*i-1] = ':'
		}
		text[3*i], text[3*i+1] = digits[c>>4], digits[c&15]
	}
	return MAC(text[:])
}

// UnmarshalText parses and canonicalises, so that a MAC read from JSON or a file is always canonical. Empty text is
// the zero value, as MarshalText writes it.
func (m *MAC) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*m = ""
		return nil
	}
	parsed, err := ParseMAC(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}

// MarshalText returns the canonical form.
func (m MAC) MarshalText() ([]byte, error) { return []byte(m), nil }
