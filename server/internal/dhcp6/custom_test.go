package dhcp6

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestDeclaredOptionsOnTheWire(t *testing.T) {
	cases := []struct{ kind, value, want string }{
		{"ip", "fd00::1", "fd000000000000000000000000000001"},
		{"ips", "fd00::1, fd00::2", "fd000000000000000000000000000001" + "fd000000000000000000000000000002"},
		{"uint8", "255", "ff"},
		{"uint16", "0x102", "0102"},
		{"uint32", "4294967295", "ffffffff"},
		{"bool", "true", "01"},
		{"bool", "false", "00"},
		{"text", " as it is ", hex.EncodeToString([]byte(" as it is "))},
		{"text", "", ""},
		{"fqdn", "a.test.", "0161047465737400"},
		{"hex", "01:02 aF", "0102af"},
	}
	for _, c := range cases {
		t.Run(c.kind+" "+c.value, func(t *testing.T) {
			got, err := encode(metal.DHCPOption{Code: 300, Type: c.kind, Value: c.value})
			if err != nil || hex.EncodeToString(got) != c.want {
				t.Errorf("got %x, %v; want %s", got, err, c.want)
			}
		})
	}
}

func TestDeclaredOptionsThatSayNothing(t *testing.T) {
	cases := []struct{ kind, value string }{
		{"ip", "10.0.0.1"}, {"ip", "fd00::1,fd00::2"}, {"ip", ""}, {"ip", "fe80::1%eth0"}, {"ips", "fd00::1,"},
		{"uint8", "256"}, {"uint8", "-1"}, {"uint16", "x"}, {"uint32", "4294967296"}, {"bool", "maybe"},
		{"fqdn", ""}, {"fqdn", "a..b"}, {"fqdn", strings.Repeat("x", 64) + ".test"}, {"fqdn", strings.Repeat("abcdefg.", 40)},
		{"hex", "0"}, {"hex", "zz"}, {"float", "1"},
	}
	for _, c := range cases {
		t.Run(c.kind+" "+c.value, func(t *testing.T) {
			got, err := encode(metal.DHCPOption{Code: 300, Type: c.kind, Value: c.value})
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "300") {
				t.Errorf("got %x, %v; want %s that names the option", got, err, metal.Invalid)
			}
		})
	}
}
