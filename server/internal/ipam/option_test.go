package ipam

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestOptionsAreWhatTheirTypesSay(t *testing.T) {
	for _, tt := range []struct {
		code        int
		kind, value string
		six         bool
		says        string // empty: it is valid
	}{
		{3, "ip", "192.0.2.1", false, ""},
		{3, "ip", "192.0.2.1,192.0.2.2", false, "use ips"},
		{6, "ips", "192.0.2.1, 192.0.2.2", false, ""},
		{6, "ips", "192.0.2.1,", false, `"" is not an address`},
		{6, "ips", "2001:db8::1", false, "not an address of the subnet's family"},
		{23, "ips", "2001:db8::1", true, ""},
		{23, "ip", "fe80::1%eth0", true, "not an address"},
		{23, "uint8", "255", false, ""},
		{23, "uint8", "256", false, "not a number of 8 bits"},
		{26, "uint16", "65535", false, ""},
		{26, "uint16", "-1", false, "not a number of 16 bits"},
		{2, "uint32", "4294967295", false, ""},
		{2, "uint32", "0x10", false, "not a number of 32 bits"},
		{19, "bool", "true", false, ""},
		{19, "bool", "yes", false, "neither true nor false"},
		{67, "text", "a file", false, ""},
		{67, "text", "", false, "0 bytes"},
		{67, "text", strings.Repeat("x", 256), false, "256 bytes"},
		{15, "fqdn", "example.com.", false, ""},
		{15, "fqdn", "a..b", false, "not a domain name"},
		{15, "fqdn", strings.Repeat("a.", 130), false, "253 characters"},
		{43, "hex", "01:02:ff", false, ""},
		{43, "hex", "0102FF", false, ""},
		{43, "hex", "1", false, "pairs of hex digits"},
		{43, "blob", "x", false, `no type "blob"`},
		{255, "hex", "00", false, "1 to 254"},
		{0, "hex", "00", false, "1 to 254"},
		{255, "hex", "00", true, ""},
		{65536, "hex", "00", true, "1 to 65535"},
		{51, "uint32", "60", false, "the protocol's own"},
		{82, "hex", "00", false, "the protocol's own"},
		{9, "hex", "00", true, "the protocol's own"},
	} {
		err := ValidateOptions(metal.DHCPOptions{Custom: []metal.DHCPOption{{Code: tt.code, Type: tt.kind, Value: tt.value}}}, tt.six)
		if tt.says == "" && err != nil || tt.says != "" && (metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("option %d as %s %.40q: got %v; want %q", tt.code, tt.kind, tt.value, err, tt.says)
		}
	}
}

func TestTypedOptionsFitTheirFamily(t *testing.T) {
	for says, o := range map[string]metal.DHCPOptions{
		"log server 2001:db8::1":            {Syslog: []netip.Addr{addr("2001:db8::1")}},
		"boot_file has a control character": {BootFile: "a\nb"},
		"wpad has 300 bytes":                {WPAD: strings.Repeat("x", 300)},
		"option 43 is there twice":          {Custom: []metal.DHCPOption{{Code: 43, Type: "hex", Value: "00"}, {Code: 43, Type: "hex", Value: "01"}}},
	} {
		if err := ValidateOptions(o, false); metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v; want invalid with %q", err, says)
		}
	}
	good := metal.DHCPOptions{BootServer: "10.0.0.1", BootFile: "x", Syslog: []netip.Addr{addr("10.0.0.2")}, TimeZone: "Europe/Paris", WPAD: "http://wpad/wpad.dat"}
	if err := ValidateOptions(good, false); err != nil {
		t.Errorf("got %v; want none", err)
	}
}
