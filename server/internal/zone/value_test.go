package zone

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestWhatARecordMayHave(t *testing.T) {
	sha1, sha256 := strings.Repeat("ab", 20), strings.Repeat("ab", 32)
	for _, c := range []struct {
		name, record string
		says         string // empty where nothing is wrong
	}{
		{"an address", "A 192.0.2.1", ""},
		{"text", `TXT "anything at all"`, ""},
		{"a name", "CNAME Node-1.example.", ""},
		{"a name with a blank", `CNAME node\0321.example.`, "no domain name"},
		{"the root as an alias", "CNAME .", "empty label"},
		{"a server with a hyphen at the end", "NS ns-.example.", "hyphen"},
		{"a reverse zone without a class", "PTR 0/25.2.0.192.in-addr.arpa.", ""},
		{"a wildcard as a pointer", "PTR *.example.", "no domain name"},
		{"mail", "MX 10 mail.example.", ""},
		{"no mail at all", "MX 0 .", ""},
		{"mail to an address with an at sign", "MX 10 a@b.example.", "no domain name"},
		{"a service", "SRV 0 0 53 ns.example.", ""},
		{"no such service", "SRV 0 0 0 .", ""},
		{"a service with a bad name", `SRV 0 0 53 n\000.example.`, "no domain name"},
		{"a CAA record that is not critical", `CAA 0 issue "ca.example"`, ""},
		{"one that is", `CAA 128 issue "ca.example"`, ""},
		{"flags that mean nothing", `CAA 7 issue "ca.example"`, "0 or 128"},
		{"a fingerprint by SHA-1", "SSHFP 1 1 " + sha1, ""},
		{"a fingerprint by SHA-256", "SSHFP 4 2 " + sha256, ""},
		{"a fingerprint of a kind not known", "SSHFP 4 9 ab", ""},
		{"a fingerprint that is too short", "SSHFP 4 2 " + sha1, "fingerprint"},
		{"one that is too long", "SSHFP 4 1 " + sha256, "fingerprint"},
	} {
		t.Run(c.name, func(t *testing.T) {
			rr, err := dns.NewRR("x.example. 0 IN " + c.record)
			if err != nil {
				t.Fatal(err)
			}
			err = CheckValue(rr)
			if c.says == "" && err != nil || c.says != "" && (metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.says)) {
				t.Errorf("got %v; want %q", err, c.says)
			}
		})
	}
}

func TestWhatADomainNameMayHave(t *testing.T) {
	label := strings.Repeat("a", 63)
	for name, want := range map[string]bool{
		"example": true, "_dmarc.example": true, "0/25.2.0.192.in-addr.arpa": true, label + "." + label: true,
		"": false, "a..b": false, ".a": false, "a.": false, "-a": false, "a-.b": false, "A": false, "ä": false, "a b": false, "*.a": false,
		label + "a": false, strings.Repeat("a.", 127) + "a": false,
	} {
		if err := CheckName(name); (err == nil) != want {
			t.Errorf("%q: got %v; want it to be one: %v", name, err, want)
		}
	}
}
