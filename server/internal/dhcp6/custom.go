package dhcp6

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// encode writes the value of an option that a person declared (RFC 8415, 21.1). Addresses are IPv6.
func encode(o metal.DHCPOption) ([]byte, error) {
	refuse := func(want string) error {
		return metal.Errorf(metal.Invalid, "DHCPv6 option %d: %q is no %s: write %s", o.Code, o.Value, o.Type, want)
	}
	text := strings.TrimSpace(o.Value)
	switch o.Type {
	case "ip", "ips":
		var out []byte
		for part := range strings.SplitSeq(text, ",") {
			a, err := netip.ParseAddr(strings.TrimSpace(part))
			if err != nil || !a.Is6() || a.Zone() != "" || o.Type == "ip" && len(out) > 0 {
				return nil, refuse("an IPv6 address, or for ips several with commas between them")
			}
			out = append(out, a.AsSlice()...)
		}
		return out, nil
	case "uint8", "uint16", "uint32":
		bits, _ := strconv.Atoi(strings.TrimPrefix(o.Type, "uint"))
		n, err := strconv.ParseUint(text, 0, bits)
		if err != nil {
			return nil, refuse("a number of " + strconv.Itoa(bits) + " bits")
		}
		return binary.BigEndian.AppendUint32(nil, uint32(n))[4-bits/8:], nil
	case "bool":
		yes, err := strconv.ParseBool(text)
		if err != nil {
			return nil, refuse("true or false")
		}
		if yes {
			return []byte{1}, nil
		}
		return []byte{0}, nil
	case "text":
		return []byte(o.Value), nil
	case "fqdn":
		name, ok := wireName(text)
		if !ok {
			return nil, refuse("a domain name of labels of 63 bytes at most, 255 in all")
		}
		return name, nil
	case "hex":
		out, err := hex.DecodeString(strings.NewReplacer(":", "", " ", "").Replace(text))
		if err != nil {
			return nil, refuse("pairs of hex digits")
		}
		return out, nil
	}
	return nil, refuse("one of the types that options have")
}

// wireName writes a domain name without compression (RFC 8415, 10).
func wireName(name string) ([]byte, bool) {
	var out []byte
	for label := range strings.SplitSeq(strings.TrimSuffix(name, "."), ".") {
		if label == "" || len(label) > 63 {
			return nil, false
		}
		out = append(append(out, byte(len(label))), label...)
	}
	return append(out, 0), len(out) < 255
}
