package ipam

import (
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// What the protocol itself says in a message cannot be set as an option: padding, addresses, lease times, message
// types, identifiers and relay information (RFC 2132, RFC 3046; RFC 8415, 21).
var (
	protocol4 = map[int]bool{0: true, 50: true, 51: true, 52: true, 53: true, 54: true, 55: true, 57: true, 58: true, 59: true, 61: true, 82: true}
	protocol6 = map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true, 6: true, 7: true, 8: true, 9: true, 11: true, 12: true, 13: true, 14: true, 18: true, 19: true, 20: true, 25: true, 26: true, 37: true}
)

const (
	mostCode4 = 254 // 255 ends the options
	mostCode6 = 65535
)

// ValidateOptions returns everything that is wrong with what clients of a subnet's family are told in one Invalid
// error; nil when nothing is.
func ValidateOptions(o metal.DHCPOptions, six bool) error {
	var f faults
	optionFaults(o, six, &f)
	return f.err()
}

func optionFaults(o metal.DHCPOptions, six bool, f *faults) {
	for _, a := range o.Syslog {
		if !a.IsValid() || a.Is6() != six || a.IsMulticast() || a.Zone() != "" {
			f.add("log server %s is not an address of the subnet's family", a)
		}
	}
	for name, text := range map[string]string{"boot_server": o.BootServer, "boot_file": o.BootFile, "time_zone": o.TimeZone, "wpad": o.WPAD} {
		if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			f.add("%s has a control character in it", name)
		}
		if !six && len(text) > 255 {
			f.add("%s has %d bytes: an option of DHCPv4 holds 255", name, len(text))
		}
	}
	managed, most := protocol4, mostCode4
	if six {
		managed, most = protocol6, mostCode6
	}
	seen := map[int]bool{}
	for _, c := range o.Custom {
		switch {
		case c.Code < 1 || c.Code > most:
			f.add("there is no option %d: 1 to %d", c.Code, most)
		case managed[c.Code]:
			f.add("option %d is the protocol's own: metald sets it", c.Code)
		case seen[c.Code]:
			f.add("option %d is there twice", c.Code)
		}
		seen[c.Code] = true
		if why := valueFault(c, six); why != "" {
			f.add("option %d: %s", c.Code, why)
		}
	}
}

// valueFault says why the value of an option cannot be what its type says; empty when it can.
func valueFault(o metal.DHCPOption, six bool) string {
	number := func(bits int) string {
		if _, err := strconv.ParseUint(o.Value, 10, bits); err != nil {
			return strconv.Quote(o.Value) + " is not a number of " + strconv.Itoa(bits) + " bits"
		}
		return ""
	}
	switch o.Type {
	case "ip", "ips":
		list := strings.Split(o.Value, ",")
		if o.Type == "ip" && len(list) != 1 {
			return "the type ip holds one address: use ips"
		}
		for _, text := range list {
			if a, err := netip.ParseAddr(strings.TrimSpace(text)); err != nil || a.Is6() != six || a.Zone() != "" {
				return strconv.Quote(text) + " is not an address of the subnet's family"
			}
		}
	case "uint8":
		return number(8)
	case "uint16":
		return number(16)
	case "uint32":
		return number(32)
	case "bool":
		if o.Value != "true" && o.Value != "false" {
			return strconv.Quote(o.Value) + " is neither true nor false"
		}
	case "text":
		if o.Value == "" || !six && len(o.Value) > 255 {
			return "its text has " + strconv.Itoa(len(o.Value)) + " bytes: 1 to 255"
		}
	case "fqdn":
		return nameFault(strings.TrimSuffix(o.Value, "."))
	case "hex":
		if raw, err := hex.DecodeString(strings.ReplaceAll(o.Value, ":", "")); err != nil || len(raw) == 0 || !six && len(raw) > 255 {
			return strconv.Quote(o.Value) + " is not 1 to 255 pairs of hex digits"
		}
	default:
		return "there is no type " + strconv.Quote(o.Type)
	}
	return ""
}

// nameFault says why a text is not a domain name (RFC 1035, 2.3.4); empty when it is one.
func nameFault(name string) string {
	if len(name) > 253 {
		return "a domain name has 253 characters at most"
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) < 1 || len(label) > 63 || strings.ContainsFunc(label, func(r rune) bool { return r <= ' ' || r > '~' }) {
			return strconv.Quote(name) + " is not a domain name"
		}
	}
	return ""
}
