package ipmi

import (
	"net"
	"strconv"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a name gets the default port", "bmc7.example.net", "bmc7.example.net:623"},
		{"a name keeps its port", "bmc7.example.net:6230", "bmc7.example.net:6230"},
		{"an IPv4 address gets the default port", "192.0.2.7", "192.0.2.7:623"},
		{"an IPv4 address keeps its port", "192.0.2.7:1", "192.0.2.7:1"},
		{"an IPv6 address needs no brackets", "2001:db8::7", "[2001:db8::7]:623"},
		{"an IPv6 address may have brackets", "[2001:db8::7]", "[2001:db8::7]:623"},
		{"an IPv6 address keeps its port", "[2001:db8::7]:65535", "[2001:db8::7]:65535"},
		{"a link-local address keeps its zone", "[fe80::1%eth0]:623", "[fe80::1%eth0]:623"},
		{"nothing is no address", "", ""},
		{"a port alone is no address", ":623", ""},
		{"a port is a number", "bmc:ipmi", ""},
		{"a port is not zero", "bmc:0", ""},
		{"a port has 16 bits", "bmc:65536", ""},
		{"a port is there after the colon", "bmc:", ""},
		{"a URL is no address", "https://bmc", ""},
		{"a path is no address", "bmc/1", ""},
		{"blanks are no address", "b mc", ""},
		{"brackets are closed", "[2001:db8::7", ""},
		{"a name in brackets is no address", "[bmc]", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseAddress(c.in)
			if got != c.want || (err != nil) != (c.want == "") {
				t.Errorf("parseAddress(%q): got %q, %v; want %q", c.in, got, err, c.want)
			}
			if err != nil && metal.CodeOf(err) != metal.Invalid {
				t.Errorf("code of %v: got %s; want %s", err, metal.CodeOf(err), metal.Invalid)
			}
		})
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"bmc", "bmc:623", "192.0.2.7", "::1", "[::1]:623", "[fe80::1%eth0]", ":", "[", "]", "[]:1", "a:b:c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseAddress(s)
		if err != nil {
			return
		}
		host, port, err := net.SplitHostPort(got)
		if n, perr := strconv.Atoi(port); err != nil || host == "" || perr != nil || n < 1 || n > 65535 {
			t.Errorf("parseAddress(%q): got %q, which is not host:port", s, got)
		}
		if again, err := parseAddress(got); again != got || err != nil {
			t.Errorf("parseAddress(%q): got %q, %v; want it unchanged", got, again, err)
		}
	})
}
