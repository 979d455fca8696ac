package dhcp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Option codes that replies are put together by (RFC 2132, and as noted).
const (
	codeMask          = 1
	codeRouter        = 3
	codeDNS           = 6
	codeSyslog        = 7
	codeHostName      = 12
	codeDomain        = 15
	codeMTU           = 26
	codeBroadcast     = 28
	codeNTP           = 42
	codeVendor        = 43
	codeWanted        = 50
	codeLeaseTime     = 51
	codeMessageType   = 53
	codeServer        = 54
	codeAsked         = 55
	codeMessage       = 56
	codeMostBytes     = 57
	codeRenewal       = 58
	codeRebinding     = 59
	codeClass         = 60
	codeClientID      = 61
	codeBootServer    = 66
	codeBootFile      = 67
	codeRapidCommit   = 80  // RFC 4039
	codeFQDN          = 81  // RFC 4702
	codeRelay         = 82  // RFC 3046
	codeUUID          = 97  // RFC 4578, 2.3
	codeTimeZone      = 101 // RFC 4833
	codeSelection     = 118 // RFC 3011
	codeSearch        = 119 // RFC 3397
	codeRoutes        = 121 // RFC 3442
	codeIPXE          = 175
	codeRoutesWindows = 249 // as 121, for Windows before Vista
	codeWPAD          = 252
)

// mostCustom bounds the custom options of one client together, in bytes: with more of them and all the rest a reply
// would not go into one Ethernet frame.
const mostCustom = 1024

// notByHand says of codes why nobody may set them by hand: the protocol needs them, they are a client's to send, or
// there is a field for them.
func notByHand(code int) string {
	switch code {
	case 0, 255:
		return "it only fills up and ends the list of options"
	case codeMask:
		return "the subnet's CIDR tells it"
	case codeHostName:
		return "the name of the machine, device or reservation tells it"
	case codeWanted, codeAsked, codeMostBytes, codeClass, codeClientID, 77, codeFQDN, 90, 93, 94, codeUUID, codeSelection, 124:
		return "it belongs to the conversation with the client"
	case codeLeaseTime, codeRenewal, codeRebinding:
		return "dhcp.lease_seconds tells it"
	case 52, codeMessageType, codeServer, codeMessage, codeRapidCommit, codeRelay:
		return "the protocol itself needs it"
	case codeSyslog:
		return "set syslog"
	case codeMTU:
		return "set mtu"
	case codeBootServer:
		return "set boot_server"
	case codeBootFile:
		return "set boot_file"
	case 100, codeTimeZone:
		return "set time_zone"
	case codeWPAD:
		return "set wpad"
	}
	return ""
}

// listOfAddresses says that a client takes the value of a code for IPv4 addresses and nothing else (RFC 2132).
func listOfAddresses(code int) bool {
	switch code {
	case codeRouter, 4, 5, codeDNS, 8, 9, 10, 11, 41, codeNTP, 44, 45, 48, 49, 65, 68, 69, 70, 71, 72, 73, 74, 75, 76, 150:
		return true
	}
	return false
}

// CheckOptions says what of o cannot be told to a DHCPv4 client, as a metal.Invalid error, and nil where all can.
func CheckOptions(o metal.DHCPOptions) error {
	const leastMTU = 68 // RFC 791
	if o.MTU != 0 && (o.MTU < leastMTU || o.MTU > 1<<16-1) {
		return metal.Errorf(metal.Invalid, "DHCP option mtu: %d is not between %d and 65535", o.MTU, leastMTU)
	}
	for _, text := range []struct{ name, value string }{
		{"boot_server", o.BootServer}, {"boot_file", o.BootFile}, {"time_zone", o.TimeZone}, {"wpad", o.WPAD},
	} {
		if err := checkText(text.value); err != "" {
			return metal.Errorf(metal.Invalid, "DHCP option %s: %q %s", text.name, text.value, err)
		}
	}
	for _, a := range o.Syslog {
		if !a.Is4() {
			return metal.Errorf(metal.Invalid, "DHCP option syslog: %s is no IPv4 address", a)
		}
	}
	const mostServers = 60
	if len(o.Syslog) > mostServers {
		return metal.Errorf(metal.Invalid, "DHCP option syslog: %d addresses are more than the %d that fit", len(o.Syslog), mostServers)
	}
	if u, err := url.Parse(o.WPAD); o.WPAD != "" && (err != nil || u.Scheme == "" || u.Host == "") {
		return metal.Errorf(metal.Invalid, "DHCP option wpad: %q is no URL, as in http://proxy.example.net/wpad.dat", o.WPAD)
	}
	return checkCustom(o.Custom)
}

func checkCustom(list []metal.DHCPOption) error {
	seen, size := map[int]bool{}, 0
	for _, c := range list {
		if c.Code < 0 || c.Code > 255 {
			return metal.Errorf(metal.Invalid, "DHCP option %d: the codes of DHCPv4 are 1 to 254", c.Code)
		}
		if why := notByHand(c.Code); why != "" {
			return metal.Errorf(metal.Invalid, "DHCP option %d cannot be set by hand: %s", c.Code, why)
		}
		if seen[c.Code] {
			return metal.Errorf(metal.Invalid, "DHCP option %d is there twice: give both values in one, separated by a comma", c.Code)
		}
		seen[c.Code] = true
		value, err := encode(c)
		if err != nil {
			return err
		}
		if listOfAddresses(c.Code) && (len(value) == 0 || len(value)%4 != 0) {
			return metal.Errorf(metal.Invalid, "DHCP option %d: clients read addresses in it, and %q of type %s is none: use type ips", c.Code, c.Value, c.Type)
		}
		size += 2 + len(value)
	}
	if size > mostCustom {
		return metal.Errorf(metal.Invalid, "DHCP options: the custom ones have %d bytes together, more than the %d that fit into a packet", size, mostCustom)
	}
	return nil
}

// checkText says what is wrong with text that a client gets as it is; empty for nothing.
func checkText(s string) string {
	const most = 255
	switch {
	case len(s) > most:
		return "is longer than " + strconv.Itoa(most) + " bytes"
	case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "has a control character in it"
	}
	return ""
}

// encode returns a custom option's value as it is sent, or a metal.Invalid error where it is not of its type.
func encode(c metal.DHCPOption) ([]byte, error) {
	wrong := func(want string) error {
		return metal.Errorf(metal.Invalid, "DHCP option %d: %q is not %s", c.Code, c.Value, want)
	}
	number := func(bits int) (uint64, error) {
		n, err := strconv.ParseUint(c.Value, 10, bits)
		if err != nil {
			return 0, wrong("a number of " + strconv.Itoa(bits) + " bits")
		}
		return n, nil
	}
	switch c.Type {
	case "ip":
		a, err := netip.ParseAddr(c.Value)
		if err != nil || !a.Is4() {
			return nil, wrong("an IPv4 address")
		}
		return a.AsSlice(), nil
	case "ips":
		return encodeAddresses(c.Value, wrong)
	case "uint8":
		n, err := number(8)
		return []byte{byte(n)}, err
	case "uint16":
		n, err := number(16)
		return binary.BigEndian.AppendUint16(nil, uint16(n)), err
	case "uint32":
		n, err := number(32)
		return binary.BigEndian.AppendUint32(nil, uint32(n)), err
	case "bool":
		switch c.Value {
		case "true":
			return []byte{1}, nil
		case "false":
			return []byte{0}, nil
		}
		return nil, wrong("true or false")
	case "text":
		if c.Value == "" || strings.ContainsRune(c.Value, 0) {
			return nil, wrong("text: it is empty or has a zero byte in it")
		}
		return []byte(c.Value), nil
	case "fqdn":
		name, ok := appendName(nil, c.Value, nil)
		if !ok {
			return nil, wrong("a domain name")
		}
		return name, nil
	case "hex":
		b, err := hex.DecodeString(c.Value)
		if err != nil {
			return nil, wrong("an even number of hex digits")
		}
		return b, nil
	default:
		return nil, metal.Errorf(metal.Invalid, "DHCP option %d: there is no type %q: use ip, ips, uint8, uint16, uint32, bool, text, fqdn or hex", c.Code, c.Type)
	}
}

func encodeAddresses(list string, wrong func(string) error) (out []byte, err error) {
	for text := range strings.SplitSeq(list, ",") {
		a, err := netip.ParseAddr(strings.TrimSpace(text))
		if err != nil || !a.Is4() {
			return nil, wrong("a list of IPv4 addresses separated by commas")
		}
		out = append(out, a.AsSlice()...)
	}
	return out, nil
}
