package dns

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

func TestForwardZones(t *testing.T) {
	const denied = `authority
		lab.example. 10 IN SOA metald.lab.example. hostmaster.lab.example. 7 3600 600 604800 10`
	cases := []struct{ name, query, want string }{
		{"an address", "n2.lab.example. A", `
			NOERROR aa
			n2.lab.example. 60 IN A 172.31.0.12`},
		{"an IPv6 address", "n1.lab.example. AAAA", `
			NOERROR aa
			n1.lab.example. 60 IN AAAA fd00:31::11`},
		{"a mix of capitals is given back (0x20)", "N1.lAb.ExAmPlE. A", `
			NOERROR aa
			N1.lAb.ExAmPlE. 60 IN A 172.31.0.11`},
		{"a name without an address of that family", "six.lab.example. A", `NOERROR aa
			` + denied},
		{"a name without a record of that type", "n1.lab.example. MX", `NOERROR aa
			` + denied},
		{"a type nobody knows yet", "n1.lab.example. TYPE65280", `NOERROR aa
			` + denied},
		{"a name that is not there", "nosuch.lab.example. A", `NXDOMAIN aa
			` + denied},
		{"a name below a machine's", "eth0.n2.lab.example. A", `NXDOMAIN aa
			` + denied},
		{"an empty non-terminal", "b.c.lab.example. A", `NOERROR aa
			` + denied},
		{"another one", "c.lab.example. ANY", `NOERROR aa
			` + denied},
		{"a name that ends in the zone's without being in it", "xlab.example. A", `REFUSED`},
		{"a dot that belongs to a label", `x\.lab.example. A`, `REFUSED`},
		{"a name in the longest zone that fits", "n1.deep.lab.example. A", `
			NOERROR aa
			n1.deep.lab.example. 60 IN A 192.0.2.65`},
		{"one that is not there is denied by that zone", "n2.deep.lab.example. A", `
			NXDOMAIN aa
			authority
			deep.lab.example. 10 IN SOA metald.lab.example. hostmaster.deep.lab.example. 7 3600 600 604800 10`},
		{"a zone's SOA", "lab.example. SOA", `
			NOERROR aa
			lab.example. 60 IN SOA metald.lab.example. hostmaster.lab.example. 7 3600 600 604800 10`},
		{"a zone's name server, and its addresses", "lab.example. NS", `
			NOERROR aa
			lab.example. 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"a name server in another zone of ours, and its addresses", "rack.test. NS", `
			NOERROR aa
			rack.test. 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"a zone has no address", "lab.example. A", `NOERROR aa
			` + denied},
		{"a zone's keys, which it has not", "lab.example. DNSKEY", `NOERROR aa
			` + denied},
		{"NS of a name that is no zone", "n1.lab.example. NS", `NOERROR aa
			` + denied},
		{"the server's own address", "metald.lab.example. A", `
			NOERROR aa
			metald.lab.example. 60 IN A 172.31.0.1`},
		{"everything of a machine is one record that says no", "n1.lab.example. ANY", `
			NOERROR aa
			n1.lab.example. 60 IN HINFO "RFC8482" ""`},
		{"everything of a zone", "lab.example. ANY", `
			NOERROR aa
			lab.example. 60 IN HINFO "RFC8482" ""`},
		{"everything of a name that is not there", "nosuch.lab.example. ANY", `NXDOMAIN aa
			` + denied},
		{"a name elsewhere", "www.example.com. A", `REFUSED`},
		{"the parent", "example. SOA", `REFUSED`},
		{"the root", ". NS", `REFUSED`},
	}
	view := rack(t).Now()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(lines(c.want), text(Answer(query(t, c.query), view, labSelf))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.query, diff)
			}
		})
	}
}

func TestReverseZones(t *testing.T) {
	const denied = `authority
		0.31.172.in-addr.arpa. 10 IN SOA metald.lab.example. hostmaster.0.31.172.in-addr.arpa. 7 3600 600 604800 10`
	const zone6 = "0.0.0.0.0.0.0.0.1.3.0.0.0.0.d.f.ip6.arpa."
	cases := []struct{ name, query, want string }{
		{"an address of a /24", "11.0.31.172.in-addr.arpa. PTR", `
			NOERROR aa
			11.0.31.172.in-addr.arpa. 60 IN PTR n1.lab.example.`},
		{"one without a name", "99.0.31.172.in-addr.arpa. PTR", `NXDOMAIN aa
			` + denied},
		{"another type of one with a name", "11.0.31.172.in-addr.arpa. A", `NOERROR aa
			` + denied},
		{"everything of one", "11.0.31.172.in-addr.arpa. ANY", `
			NOERROR aa
			11.0.31.172.in-addr.arpa. 60 IN HINFO "RFC8482" ""`},
		{"a number that no octet holds", "256.0.31.172.in-addr.arpa. PTR", `NXDOMAIN aa
			` + denied},
		{"an octet with a leading zero", "011.0.31.172.in-addr.arpa. PTR", `NXDOMAIN aa
			` + denied},
		{"a label that is no number", "lb._dns-sd._udp.0.31.172.in-addr.arpa. PTR", `NXDOMAIN aa
			` + denied},
		{"an escaped dot in a label", `1\.11.0.31.172.in-addr.arpa. PTR`, `NXDOMAIN aa
			` + denied},
		{"a label before a whole address", "1.11.0.31.172.in-addr.arpa. PTR", `NXDOMAIN aa
			` + denied},
		{"the zone's SOA", "0.31.172.in-addr.arpa. SOA", `
			NOERROR aa
			0.31.172.in-addr.arpa. 60 IN SOA metald.lab.example. hostmaster.0.31.172.in-addr.arpa. 7 3600 600 604800 10`},
		{"the zone's name server", "0.31.172.in-addr.arpa. NS", `
			NOERROR aa
			0.31.172.in-addr.arpa. 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"the zone above is not ours", "31.172.in-addr.arpa. SOA", `REFUSED`},
		{"the next /24 is not ours", "1.1.31.172.in-addr.arpa. PTR", `REFUSED`},
		{"a /22 has four zones, of which this is the third", "11.2.4.10.in-addr.arpa. PTR", `
			NOERROR aa
			11.2.4.10.in-addr.arpa. 60 IN PTR bmc.n1.lab.example.`},
		{"the fourth", "3.4.10.in-addr.arpa. NS", `
			NOERROR aa
			3.4.10.in-addr.arpa. 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"there is no fifth", "1.4.4.10.in-addr.arpa. PTR", `REFUSED`},
		{"a /26 is served from the /24 that encloses it", "65.2.0.192.in-addr.arpa. PTR", `
			NOERROR aa
			65.2.0.192.in-addr.arpa. 60 IN PTR n1.deep.lab.example.`},
		{"where other addresses have no name", "1.2.0.192.in-addr.arpa. PTR", `
			NXDOMAIN aa
			authority
			2.0.192.in-addr.arpa. 10 IN SOA metald.lab.example. hostmaster.2.0.192.in-addr.arpa. 7 3600 600 604800 10`},
		{"and from its own, that whoever has the /24 can point to (RFC 2317)", "65.64/26.2.0.192.in-addr.arpa. PTR", `
			NOERROR aa
			65.64/26.2.0.192.in-addr.arpa. 60 IN PTR n1.deep.lab.example.`},
		{"a /16 is one zone", "9.5.16.10.in-addr.arpa. PTR", `
			NOERROR aa
			9.5.16.10.in-addr.arpa. 60 IN PTR a.b.c.lab.example.`},
		{"a name between it and its addresses", "5.16.10.in-addr.arpa. PTR", `
			NOERROR aa
			authority
			16.10.in-addr.arpa. 10 IN SOA metald.lab.example. hostmaster.16.10.in-addr.arpa. 7 3600 600 604800 10`},
		{"one with no address below it that has a name", "77.16.10.in-addr.arpa. PTR", `
			NXDOMAIN aa
			authority
			16.10.in-addr.arpa. 10 IN SOA metald.lab.example. hostmaster.16.10.in-addr.arpa. 7 3600 600 604800 10`},
		{"an IPv6 address, in both cases of letters", "1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0." + "0.0.0.0.0.0.0.0.1.3.0.0.0.0.D.F.IP6.ARPA. PTR", `
			NOERROR aa
			1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.3.0.0.0.0.D.F.IP6.ARPA. 60 IN PTR n1.lab.example.`},
		{"an IPv6 zone", zone6 + " NS", `
			NOERROR aa
			` + zone6 + ` 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"a letter that is no digit", "g." + zone6 + " PTR", `
			NXDOMAIN aa
			authority
			` + zone6 + ` 10 IN SOA metald.lab.example. hostmaster.` + zone6 + ` 7 3600 600 604800 10`},
		{"a /46 has four zones on nibbles, of which this is the third", "2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa. NS", `
			NOERROR aa
			2.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa. 60 IN NS metald.lab.example.
			additional
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1`},
		{"there is no fifth", "4.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa. NS", `REFUSED`},
		{"all reverse zones of the world are not ours", "in-addr.arpa. SOA", `REFUSED`},
		{"localhost's neither", "1.0.0.127.in-addr.arpa. PTR", `REFUSED`},
	}
	view := rack(t).Now()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(lines(c.want), text(Answer(query(t, c.query), view, labSelf))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.query, diff)
			}
		})
	}
}

func TestRequestsThatAreNoQuestions(t *testing.T) {
	edns := func(version uint8, size uint16, do bool) func(*dns.Msg) {
		return func(q *dns.Msg) {
			q.SetEdns0(size, do)
			q.IsEdns0().SetVersion(version)
		}
	}
	cases := []struct {
		name, query string
		change      func(*dns.Msg)
		want        string
	}{
		{"recursion desired is given back", "n2.lab.example. A", func(q *dns.Msg) { q.RecursionDesired = true }, `
			NOERROR aa rd
			n2.lab.example. 60 IN A 172.31.0.12`},
		{"EDNS is answered in kind", "n2.lab.example. A", edns(0, 4096, true), `
			NOERROR aa edns0:1232:do
			n2.lab.example. 60 IN A 172.31.0.12`},
		{"an EDNS version nobody knows", "n2.lab.example. A", edns(1, 4096, false), `BADVERS edns0:1232`},
		{"two OPT records", "n2.lab.example. A", func(q *dns.Msg) { q.SetEdns0(1232, false).SetEdns0(1232, false) }, `FORMERR edns0:1232`},
		{"no question", "n2.lab.example. A", func(q *dns.Msg) { q.Question = nil }, `FORMERR`},
		{"two questions", "n2.lab.example. A", func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }, `FORMERR`},
		{"an answer", "n2.lab.example. A", func(q *dns.Msg) { q.Response = true }, `no answer`},
		{"a notification", "lab.example. SOA", func(q *dns.Msg) { q.Opcode = dns.OpcodeNotify }, `NOTIMP`},
		{"an update", "lab.example. SOA", func(q *dns.Msg) { q.Opcode = dns.OpcodeUpdate }, `NOTIMP`},
		{"an inverse query", "n2.lab.example. A", func(q *dns.Msg) { q.Opcode = dns.OpcodeIQuery }, `NOTIMP`},
		{"a transfer of the zone", "lab.example. AXFR", nil, `REFUSED`},
		{"an incremental one", "lab.example. IXFR", nil, `REFUSED`},
		{"the server's version", "version.bind. CH TXT", nil, `REFUSED`},
		{"the server's name", "id.server. CH TXT", nil, `REFUSED`},
		{"any class", "n2.lab.example. ANY A", nil, `REFUSED`},
		{"OPT as a type", "n2.lab.example. OPT", nil, `FORMERR`},
		{"a meta type", "n2.lab.example. MAILB", nil, `NOTIMP`},
	}
	view := rack(t).Now()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q := query(t, c.query)
			if c.change != nil {
				c.change(q)
			}
			if diff := cmp.Diff(lines(c.want), text(Answer(q, view, labSelf))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestOnlyPlainQueriesForNamesElsewhereMayBeForwarded(t *testing.T) {
	cases := []struct {
		query string
		want  bool
	}{
		{"www.example.com. A", true}, {"1.0.0.127.in-addr.arpa. PTR", true}, {". NS", true}, {"www.example.com. ANY", true},
		{"n1.lab.example. A", false}, {"nosuch.lab.example. A", false}, {"99.0.31.172.in-addr.arpa. PTR", false},
		{"example.com. AXFR", false}, {"version.bind. CH TXT", false},
	}
	view := rack(t).Now()
	for _, c := range cases {
		if _, got := decide(query(t, c.query), view, labSelf); got != c.want {
			t.Errorf("%s: got %t; want %t", c.query, got, c.want)
		}
	}
}
