package zone

import (
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestRecordSetsAreReadAsInAZoneFile(t *testing.T) {
	cases := []struct{ name, rrtype, value, want string }{
		{"@", "A", "192.0.2.1", "rich.test. 0 IN A 192.0.2.1"},
		{"a", "AAAA", "2001:db8::1", "a.rich.test. 0 IN AAAA 2001:db8::1"},
		{"A.b", "CNAME", "c", "a.b.rich.test. 0 IN CNAME c.rich.test."},
		{"a", "CNAME", "@", "a.rich.test. 0 IN CNAME rich.test."},
		{"a", "CNAME", "c.example.com.", "a.rich.test. 0 IN CNAME c.example.com."},
		{"@", "MX", "10 mail", "rich.test. 0 IN MX 10 mail.rich.test."},
		{"@", "CAA", `0 issue "ca.example.net"`, `rich.test. 0 IN CAA 0 issue "ca.example.net"`},
		{"sub", "NS", "ns1.sub", "sub.rich.test. 0 IN NS ns1.sub.rich.test."},
		{"*", "TXT", `"a b" c`, `*.rich.test. 0 IN TXT "a b" "c"`},
		{"_x._tcp", "SRV", "0 5 389 host", "_x._tcp.rich.test. 0 IN SRV 0 5 389 host.rich.test."},
		{"a", "SSHFP", "4 2 ab12", "a.rich.test. 0 IN SSHFP 4 2 AB12"},
		{"a", "PTR", "b", "a.rich.test. 0 IN PTR b.rich.test."},
	}
	for _, c := range cases {
		rrs, err := parseRecordSet(metal.RecordSet{Zone: "rich.test", Name: c.name, Type: c.rrtype, Spec: metal.RecordSetSpec{Values: []string{c.value}}})
		if err != nil || len(rrs) != 1 || oneLine(rrs[0]) != c.want {
			t.Errorf("%s %s %s: got %v, %v; want %s", c.name, c.rrtype, c.value, rrs, err, c.want)
		}
	}
}

func TestRecordSetsThatAreNone(t *testing.T) {
	long := strings.Repeat("x", 64)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprintf(`"%0100d"`, i)
	}
	cases := []struct {
		name, owner, rrtype string
		values              []string
	}{
		{"an owner with an empty label", "a..b", "A", []string{"192.0.2.1"}},
		{"a label that is too long", long, "A", []string{"192.0.2.1"}},
		{"a type that nobody may declare", "a", "SOA", []string{"a. b. 1 2 3 4 5"}},
		{"a type that is none", "a", "X", []string{"1"}},
		{"an IPv6 address as A", "a", "A", []string{"2001:db8::1"}},
		{"an IPv4 address as AAAA", "a", "AAAA", []string{"192.0.2.1"}},
		{"nothing", "a", "A", []string{""}},
		{"two addresses in one value", "a", "A", []string{"192.0.2.1 192.0.2.2"}},
		{"two lines", "a", "TXT", []string{"x\nb 0 IN A 192.0.2.1"}},
		{"an open bracket", "a", "A", []string{"( 192.0.2.1"}},
		{"another type in the value", "a", "MX", []string{"A 192.0.2.1"}},
		{"two aliases", "a", "CNAME", []string{"b", "c"}},
		{"more than an answer carries", "a", "TXT", many},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r := metal.RecordSet{Zone: "rich.test", Name: c.owner, Type: c.rrtype, Spec: metal.RecordSetSpec{Values: c.values}}
			if rrs, err := parseRecordSet(r); metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %v, %v; want invalid", rrs, err)
			}
			z := empty(t)
			z.Change(func(b *Batch) { b.SetZone(metal.Zone{Name: "rich.test"}); b.SetRecordSet(r) })
			if found, _ := z.Now().Zone("rich.test"); found.nodes.size != 1 {
				t.Errorf("got %d names in the zone; want its own", found.nodes.size)
			}
		})
	}
}

func FuzzRecordSet(f *testing.F) {
	for _, seed := range [][3]string{
		{"a", "A", "192.0.2.1"}, {"@", "TXT", `"a\"b" c`}, {"*", "SRV", "0 0 1 ."}, {"x", "CAA", `0 issue ";"`}, {"$INCLUDE", "TXT", "x"},
		{"a", "SSHFP", "1 1 ab"}, {"a", "MX", "10 b ; comment"}, {"a", "TXT", "( a )"}, {`a\.b`, "CNAME", `c\032d`},
	} {
		f.Add(seed[0], seed[1], seed[2])
	}
	f.Fuzz(func(t *testing.T, owner, rrtype, value string) {
		r := metal.RecordSet{Zone: "rich.test", Name: owner, Type: rrtype, Spec: metal.RecordSetSpec{Values: []string{value}}}
		rrs, err := parseRecordSet(r)
		if err != nil {
			return
		}
		want, _ := ownerOf(r)
		for _, rr := range rrs {
			if got, ok := parseName(rr.Header().Name); !ok || got != want || rr.Header().Rrtype != dns.StringToType[rrtype] {
				t.Errorf("got %s; want a %s record of %s", rr, rrtype, want.text())
			}
		}
		z := empty(t)
		z.Change(func(b *Batch) { b.SetZone(metal.Zone{Name: "rich.test"}); b.SetRecordSet(r) })
		z.Change(func(b *Batch) { b.DropRecordSet(r.Zone, r.Name, r.Type) })
		if found, _ := z.Now().Zone("rich.test"); found.nodes.size != 1 {
			t.Errorf("got %d names after it was removed; want the zone's own", found.nodes.size)
		}
	})
}
