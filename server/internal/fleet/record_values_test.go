package fleet

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// FuzzRecordValue: whatever somebody sends as a value, what is kept of it is one record of that name and type, and
// reads as itself again.
func FuzzRecordValue(f *testing.F) {
	for _, seed := range [][2]string{
		{"A", "192.0.2.1"}, {"A", "192.0.2.1 ; x"}, {"A", "\n$INCLUDE /etc/passwd"}, {"AAAA", "2001:db8::1"}, {"CNAME", "www"}, {"CNAME", "@"},
		{"CNAME", `a\.b\010c.`}, {"MX", "10 mail"}, {"MX", "10 \"mail\""}, {"TXT", `"a" "b\"c\\" "\200"`}, {"TXT", `plain \" text`}, {"TXT", strings.Repeat("é", 200)},
		{"SRV", "0 0 0 ."}, {"CAA", `0 issue "x; y=z"`}, {"SSHFP", "1 1 00"}, {"NS", "ns.sub"}, {"PTR", "_a.b/c"}, {"A", `\# 4 C0000201`}, {"TXT", `""`}, {"TXT", ""},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, kind, value string) {
		if dns.StringToType[kind] == 0 || !isRecordType(kind) {
			return
		}
		kept, err := recordValue("example.com", "x.example.com", kind, value)
		if err != nil {
			if metal.CodeOf(err) != metal.Invalid {
				t.Fatalf("%s %q: got %v; want invalid", kind, value, err)
			}
			return
		}
		rr, err := dns.NewRR("x.example.com. 60 IN " + kind + " " + kept)
		if err != nil || rr == nil || rr.Header().Rrtype != dns.StringToType[kind] || rr.Header().Name != "x.example.com." {
			t.Fatalf("%s %q: kept as %q, which reads as %v, %v", kind, value, kept, rr, err)
		}
		again, err := recordValue("example.com", "x.example.com", kind, kept)
		if err != nil || again != kept {
			t.Fatalf("%s %q: kept as %q, and that as %q, %v", kind, value, kept, again, err)
		}
		if _, err := dns.PackRR(rr, make([]byte, dns.MaxMsgSize), 0, nil, false); err != nil {
			t.Fatalf("%s %q: kept as %q, which cannot be sent: %v", kind, value, kept, err)
		}
	})
}

func isRecordType(kind string) bool {
	for _, k := range metal.RecordTypes {
		if k == kind {
			return true
		}
	}
	return false
}

func TestPointedAddrReadsReverseNames(t *testing.T) {
	for name, want := range map[string]string{
		"7.2.0.192.in-addr.arpa": "192.0.2.7", "77.64/26.2.0.192.in-addr.arpa": "192.0.2.77", "77.64-127.2.0.192.in-addr.arpa": "192.0.2.77",
		"2.0.192.in-addr.arpa": "", "x.2.0.192.in-addr.arpa": "", "300.2.0.192.in-addr.arpa": "", "07.2.0.192.in-addr.arpa": "", "example.com": "", "in-addr.arpa": "",
		"1." + strings.Repeat("0.", 23) + "8.b.d.0.1.0.0.2.ip6.arpa": "2001:db8::1", "1.8.b.d.0.1.0.0.2.ip6.arpa": "", strings.Repeat("x.", 32) + "ip6.arpa": "",
	} {
		got, ok := pointedAddr(name)
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: got %s, %v; want %q", name, got, ok, want)
		}
	}
}
