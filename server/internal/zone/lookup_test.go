package zone

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// rich is a declared zone with everything that lookups must get right, and a few hosts.
const rich = `
	subnet rack 172.31.0.0/24
	subnet deep 10.0.0.0/24 deep.lab.example
	machine m1 n1
	addr rack 172.31.0.11 m:m1
	machine m2 n2
	addr deep 10.0.0.12 m:m2
	zone rich.test 300 5 ns2.example.net
	set rich.test @ 0 MX 10 mail | 20 mail.example.net.
	set rich.test @ 0 TXT "v=spf1 -all"
	set rich.test mail 0 A 192.0.2.25
	set rich.test mail 0 AAAA 2001:db8::25
	set rich.test _ldap._tcp 0 SRV 0 5 389 mail
	set rich.test quick 7 A 192.0.2.7
	set rich.test www 0 CNAME mail
	set rich.test host 0 CNAME n1.lab.example.
	set rich.test far 0 CNAME www.example.com.
	set rich.test lost 0 CNAME nosuch
	set rich.test bare 0 CNAME empty.non.terminal
	set rich.test x.empty.non.terminal 0 A 192.0.2.1
	set rich.test one 0 CNAME two
	set rich.test two 0 CNAME one
	set rich.test *.wild 0 A 192.0.2.99
	set rich.test real.wild 0 TXT real
	set rich.test below.ent.wild 0 TXT below
	set rich.test *.alias 0 CNAME mail
	set rich.test child 0 NS ns1.child | ns.example.net.
	set rich.test ns1.child 0 A 192.0.2.53
	set rich.test www.child 0 A 192.0.2.54
	set rich.test into 0 CNAME x.child
	set rich.test c1 0 CNAME c2
	set rich.test c2 0 CNAME c3
	set rich.test c3 0 CNAME c4
	set rich.test c4 0 CNAME c5
	set rich.test c5 0 CNAME c6
	set rich.test c6 0 CNAME c7
	set rich.test c7 0 CNAME c8
	set rich.test c8 0 CNAME c9
	set rich.test c9 0 CNAME ca
	set rich.test ca 0 A 192.0.2.10
`

func TestLookups(t *testing.T) {
	const denied = `
		authority
		rich.test. 5 IN SOA metald.lab.example. hostmaster.rich.test. 102 3600 600 604800 5`
	const mail = `
		additional
		mail.rich.test. 300 IN A 192.0.2.25
		mail.rich.test. 300 IN AAAA 2001:db8::25`
	const referral = `
		authority
		child.rich.test. 300 IN NS ns.example.net.
		child.rich.test. 300 IN NS ns1.child.rich.test.
		additional
		ns1.child.rich.test. 300 IN A 192.0.2.53`
	cases := []struct{ name, question, want string }{
		{"an address, with the zone's TTL", "mail.rich.test. A", `NOERROR aa
			mail.rich.test. 300 IN A 192.0.2.25`},
		{"with its own", "quick.rich.test. A", `NOERROR aa
			quick.rich.test. 7 IN A 192.0.2.7`},
		{"the question's capitals", "MaiL.riCh.test. AAAA", `NOERROR aa
			MaiL.riCh.test. 300 IN AAAA 2001:db8::25`},
		{"mail servers, with the addresses that we know", "rich.test. MX", `NOERROR aa
			rich.test. 300 IN MX 10 mail.rich.test.
			rich.test. 300 IN MX 20 mail.example.net.` + mail},
		{"a service, with the addresses of its host", "_ldap._tcp.rich.test. SRV", `NOERROR aa
			_ldap._tcp.rich.test. 300 IN SRV 0 5 389 mail.rich.test.` + mail},
		{"a name server that is not ours", "rich.test. NS", `NOERROR aa
			rich.test. 300 IN NS ns2.example.net.
			rich.test. 300 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"the zone's SOA record", "rich.test. SOA", `NOERROR aa
			rich.test. 300 IN SOA metald.lab.example. hostmaster.rich.test. 102 3600 600 604800 5`},
		{"no record of the type", "mail.rich.test. TXT", "NOERROR aa" + denied},
		{"an apex without an address", "rich.test. A", "NOERROR aa" + denied},
		{"no such name", "nosuch.rich.test. A", "NXDOMAIN aa" + denied},
		{"a name below one without names below it", "x.mail.rich.test. A", "NXDOMAIN aa" + denied},
		{"an empty non-terminal", "empty.non.terminal.rich.test. A", "NOERROR aa" + denied},
		{"another one", "_tcp.rich.test. SRV", "NOERROR aa" + denied},
		{"everything", "rich.test. ANY", `NOERROR aa
			rich.test. 300 IN HINFO "RFC8482" ""`},
		{"everything of an alias", "www.rich.test. ANY", `NOERROR aa
			www.rich.test. 300 IN HINFO "RFC8482" ""`},
		{"everything of an empty non-terminal", "non.terminal.rich.test. ANY", "NOERROR aa" + denied},

		{"an alias", "www.rich.test. A", `NOERROR aa
			www.rich.test. 300 IN CNAME mail.rich.test.
			mail.rich.test. 300 IN A 192.0.2.25`},
		{"the alias itself", "www.rich.test. CNAME", `NOERROR aa
			www.rich.test. 300 IN CNAME mail.rich.test.`},
		{"an alias into another zone of ours", "host.rich.test. A", `NOERROR aa
			host.rich.test. 300 IN CNAME n1.lab.example.
			n1.lab.example. 60 IN A 172.31.0.11`},
		{"an alias of a name elsewhere", "far.rich.test. A", `NOERROR aa
			far.rich.test. 300 IN CNAME www.example.com.`},
		{"an alias of nothing (RFC 6604)", "lost.rich.test. A", `NXDOMAIN aa
			lost.rich.test. 300 IN CNAME nosuch.rich.test.` + denied},
		{"an alias of an empty non-terminal", "bare.rich.test. A", `NOERROR aa
			bare.rich.test. 300 IN CNAME empty.non.terminal.rich.test.` + denied},
		{"aliases in a ring", "one.rich.test. A", `NOERROR aa
			one.rich.test. 300 IN CNAME two.rich.test.
			two.rich.test. 300 IN CNAME one.rich.test.`},
		{"eight aliases in a row", "c2.rich.test. A", `NOERROR aa
			c2.rich.test. 300 IN CNAME c3.rich.test.
			c3.rich.test. 300 IN CNAME c4.rich.test.
			c4.rich.test. 300 IN CNAME c5.rich.test.
			c5.rich.test. 300 IN CNAME c6.rich.test.
			c6.rich.test. 300 IN CNAME c7.rich.test.
			c7.rich.test. 300 IN CNAME c8.rich.test.
			c8.rich.test. 300 IN CNAME c9.rich.test.
			c9.rich.test. 300 IN CNAME ca.rich.test.
			ca.rich.test. 300 IN A 192.0.2.10`},
		{"of nine the client follows the last", "c1.rich.test. A", `NOERROR aa
			c1.rich.test. 300 IN CNAME c2.rich.test.
			c2.rich.test. 300 IN CNAME c3.rich.test.
			c3.rich.test. 300 IN CNAME c4.rich.test.
			c4.rich.test. 300 IN CNAME c5.rich.test.
			c5.rich.test. 300 IN CNAME c6.rich.test.
			c6.rich.test. 300 IN CNAME c7.rich.test.
			c7.rich.test. 300 IN CNAME c8.rich.test.
			c8.rich.test. 300 IN CNAME c9.rich.test.
			c9.rich.test. 300 IN CNAME ca.rich.test.`},

		{"a wildcard", "Any.wild.rich.test. A", `NOERROR aa
			Any.wild.rich.test. 300 IN A 192.0.2.99`},
		{"a wildcard, several labels down", "a.b.c.wild.rich.test. A", `NOERROR aa
			a.b.c.wild.rich.test. 300 IN A 192.0.2.99`},
		{"a wildcard without the type", "any.wild.rich.test. TXT", "NOERROR aa" + denied},
		{"the wildcard itself", "*.wild.rich.test. A", `NOERROR aa
			*.wild.rich.test. 300 IN A 192.0.2.99`},
		{"a name that is there is no wildcard's", "real.wild.rich.test. A", "NOERROR aa" + denied},
		{"nor is an empty non-terminal", "ent.wild.rich.test. A", "NOERROR aa" + denied},
		{"nor what is below it", "x.ent.wild.rich.test. A", "NXDOMAIN aa" + denied},
		{"nor what is below a name that is there", "x.real.wild.rich.test. A", "NXDOMAIN aa" + denied},
		{"nor the name that it is below", "wild.rich.test. A", "NOERROR aa" + denied},
		{"a wildcard that is an alias", "any.alias.rich.test. A", `NOERROR aa
			any.alias.rich.test. 300 IN CNAME mail.rich.test.
			mail.rich.test. 300 IN A 192.0.2.25`},

		{"a name below a delegation", "a.b.child.rich.test. A", "NOERROR" + referral},
		{"the delegation itself", "child.rich.test. A", "NOERROR" + referral},
		{"its name servers are told by itself", "child.rich.test. NS", "NOERROR" + referral},
		{"a name whose address we have, but not to tell", "www.child.rich.test. A", "NOERROR" + referral},
		{"glue is not an answer", "ns1.child.rich.test. A", "NOERROR" + referral},
		{"everything below it", "child.rich.test. ANY", "NOERROR" + referral},
		{"whether it is signed, we tell", "child.rich.test. DS", "NOERROR aa" + denied},
		{"whether what is below it is, we do not", "x.child.rich.test. DS", "NOERROR" + referral},
		{"an alias of a name below it", "into.rich.test. A", `NOERROR aa
			into.rich.test. 300 IN CNAME x.child.rich.test.` + referral},

		{"a machine in a subnet's domain", "n2.deep.lab.example. A", `NOERROR aa
			n2.deep.lab.example. 60 IN A 10.0.0.12`},
		{"a zone of ours below another is answered, not delegated", "deep.lab.example. NS", `NOERROR aa
			deep.lab.example. 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"whether it is signed, the one above tells", "deep.lab.example. DS", `NOERROR aa
			authority
			lab.example. 10 IN SOA metald.lab.example. hostmaster.lab.example. 102 3600 600 604800 10`},
		{"elsewhere", "www.example.com. A", "elsewhere"},
		{"above our zones", "test. SOA", "elsewhere"},
		{"the root", ". NS", "elsewhere"},
	}
	z := empty(t)
	do(t, z, rich)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(written(c.want), shown(ask(t, z.Now(), c.question))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.question, diff)
			}
		})
	}
}

// ask looks up "name type".
func ask(t testing.TB, v *View, question string) Answer {
	t.Helper()
	qname, rrtype, _ := strings.Cut(question, " ")
	qtype, ok := dns.StringToType[rrtype]
	if !ok {
		t.Fatalf("%q has no type", question)
	}
	return v.Lookup(qname, qtype)
}

// shown writes an answer as tests do.
func shown(a Answer) string {
	if a.Zone == nil {
		return "elsewhere\n"
	}
	var b strings.Builder
	b.WriteString(dns.RcodeToString[a.Rcode])
	if a.Authoritative {
		b.WriteString(" aa")
	}
	b.WriteByte('\n')
	for _, section := range []struct {
		heading string
		records []dns.RR
	}{{"", a.Answer}, {"authority\n", a.Authority}, {"additional\n", a.Additional}} {
		if len(section.records) > 0 {
			b.WriteString(section.heading)
		}
		for _, rr := range section.records {
			fmt.Fprintln(&b, oneLine(rr))
		}
	}
	return b.String()
}

func TestNamesThatCannotBeSentAreElsewhere(t *testing.T) {
	z := empty(t)
	for _, qname := range []string{strings.Repeat("a.", 120) + "very.long.name.lab.example.", strings.Repeat("x", 64) + ".lab.example.", "a..lab.example.", ""} {
		if a := z.Now().Lookup(qname, dns.TypeA); a.Zone != nil {
			t.Errorf("%q: got zone %s; want none", qname, a.Zone.Name())
		}
		if found, ok := z.Now().Find(qname); ok {
			t.Errorf("%q: found zone %s; want none", qname, found.Name())
		}
	}
}

func TestWhatIsFoundPlainlyIsWhatLookupSays(t *testing.T) {
	z := empty(t)
	do(t, z, rich)
	v := z.Now()
	plain := 0
	for e := range z.state.entries {
		for _, n := range []name{e, labels("nosuch") + e, e.wildcard()} {
			for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA, dns.TypePTR, dns.TypeTXT, dns.TypeSOA, dns.TypeCNAME, dns.TypeNS, dns.TypeMX, dns.TypeANY, dns.TypeDS} {
				found, set, exists, ok := v.Plain([]byte(n), qtype)
				if !ok {
					continue
				}
				plain++
				want := v.Lookup(n.text(), qtype)
				got := Answer{Zone: found, Authoritative: true}
				if set != nil {
					got.Answer = set.RRs
				} else {
					got.Authority = found.denial.RRs
				}
				if !exists {
					got.Rcode = dns.RcodeNameError
				}
				if diff := cmp.Diff(shown(want), shown(got)); diff != "" {
					t.Errorf("%s %s (-lookup +plain):\n%s", n.text(), dns.TypeToString[qtype], diff)
				}
			}
		}
	}
	if plain < 100 {
		t.Errorf("got %d plain answers; want most", plain)
	}
}
