package redfish

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestParseAddress(t *testing.T) {
	for _, c := range []struct {
		name, in string
		plain    bool
		want     target
	}{
		{"a name", "bmc7.example.net", false, target{"https://bmc7.example.net", ""}},
		{"a name with a port", "bmc7.example.net:8443", false, target{"https://bmc7.example.net:8443", ""}},
		{"an IPv4 address", "192.0.2.7", false, target{"https://192.0.2.7", ""}},
		{"an IPv6 address", "2001:db8::7", false, target{"https://[2001:db8::7]", ""}},
		{"an IPv6 address with a port", "[2001:db8::7]:8443", false, target{"https://[2001:db8::7]:8443", ""}},
		{"a URL", "https://bmc7", false, target{"https://bmc7", ""}},
		{"a URL with a slash", "https://bmc7/", false, target{"https://bmc7", ""}},
		{"a URL of the service", "https://bmc7/redfish/v1/", false, target{"https://bmc7", ""}},
		{"a URL of a system", "https://bmc7/redfish/v1/Systems/437XR1138R2/", false, target{"https://bmc7", "/redfish/v1/Systems/437XR1138R2"}},
		{"a system without a scheme", "bmc7/redfish/v1/Systems/1", false, target{"https://bmc7", "/redfish/v1/Systems/1"}},
		{"http where it is allowed", "http://127.0.0.1:8000", true, target{"http://127.0.0.1:8000", ""}},
		{"http where it is not", "http://127.0.0.1:8000", false, target{}},
		{"another scheme", "ipmi://bmc7", true, target{}},
		{"nothing", "", false, target{}},
		{"a port alone", ":8443", false, target{}},
		{"port zero", "bmc7:0", false, target{}},
		{"an empty port", "bmc7:", false, target{}},
		{"a port of more than 16 bits", "bmc7:65536", false, target{}},
		{"a port that is no number", "bmc7:https", false, target{}},
		{"a blank", "b mc", false, target{}},
		{"a user", "https://admin:hunter2@bmc7", false, target{}},
		{"a user without a scheme", "admin:hunter2@bmc7", false, target{}},
		{"a password that breaks the URL", "https://admin:hunter2%zz@bmc7", false, target{}},
		{"a query", "https://bmc7/?password=hunter2", false, target{}},
		{"a fragment", "https://bmc7/#hunter2", false, target{}},
		{"another path", "https://bmc7/rest/v1", false, target{}},
		{"a path below a system", "https://bmc7/redfish/v1/Systems/1/Bios", false, target{}},
		{"a path that climbs", "https://bmc7/redfish/v1/Systems/..", false, target{}},
		{"a path with an escape", "https://bmc7/redfish/v1/Systems/a%2Fb", false, target{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseAddress(c.in, c.plain)
			if got != c.want || (err != nil) != (c.want == target{}) {
				t.Errorf("parseAddress(%q): got %+v, %v; want %+v", c.in, got, err, c.want)
			}
			if err != nil && (metal.CodeOf(err) != metal.Invalid || strings.Contains(err.Error(), "hunter2")) {
				t.Errorf("got error %v (%s); want an invalid one without the password", err, metal.CodeOf(err))
			}
		})
	}
}

func TestParseFingerprint(t *testing.T) {
	const plain = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
	want, err := parseFingerprint(plain)
	if err != nil {
		t.Fatal(err)
	}
	colons := strings.ToUpper(plain[:2])
	for i := 2; i < len(plain); i += 2 {
		colons += ":" + strings.ToUpper(plain[i:i+2])
	}
	for _, s := range []string{strings.ToUpper(plain), colons} {
		if got, err := parseFingerprint(s); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("parseFingerprint(%q): got %x, %v; want %x", s, got, err, want)
		}
	}
	for _, s := range []string{"", plain[:62], plain + "00", "sha256:" + plain, strings.Repeat("x", 64)} {
		if _, err := parseFingerprint(s); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("parseFingerprint(%q): got %v; want an invalid error", s, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, s := range []string{"bmc", "bmc:443", "::1", "[::1]:443", "https://bmc/redfish/v1/Systems/1", "http://a@b", "bmc/%2e%2e", "//", "https://[fe80::1%25eth0]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := parseAddress(s, false)
		if err != nil {
			return
		}
		u, err := url.Parse(got.endpoint + got.system)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != got.system {
			t.Fatalf("parseAddress(%q): got %+v, which does not make a URL (%v)", s, got, err)
		}
		again, err := parseAddress(got.endpoint+got.system, false)
		if err != nil || again != got {
			t.Errorf("parseAddress(%q): got %+v, and of that %+v, %v", s, got, again, err)
		}
	})
}

func FuzzMessage(f *testing.F) {
	f.Add("<html>\n\t<body>\x00 no such page</body></html>")
	f.Add(strings.Repeat("é", maxMessage))
	f.Fuzz(func(t *testing.T, s string) {
		got := oneLine(s)
		if len(got) > maxMessage+3+2 || strings.ContainsAny(got, "\r\n\t") || strings.ToValidUTF8(got, "") != got {
			t.Errorf("oneLine(%q): got %q", s, got)
		}
	})
}
