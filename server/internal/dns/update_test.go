package dns

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// content is what updates are decided by, in tests.
type content struct {
	zones *zone.Zones
	sets  []metal.RecordSet
}

func (c *content) View() *zone.View { return c.zones.Now() }

func (c *content) Declared(zone, name string) (list []metal.RecordSet, err error) {
	for _, r := range c.sets {
		if r.Zone == zone && r.Name == name {
			list = append(list, r)
		}
	}
	return list, nil
}

// Update is for Updater.
func (c *content) Update(_ context.Context, decide func(Content) ([]RecordChange, int, error)) (int, error) {
	changes, rcode, err := decide(c)
	c.apply(changes)
	return rcode, err
}

func (c *content) apply(changes []RecordChange) {
	c.zones.Change(func(b *zone.Batch) {
		for _, change := range changes {
			c.sets = slices.DeleteFunc(c.sets, func(r metal.RecordSet) bool {
				return r.Zone == change.Zone && r.Name == change.Name && r.Type == change.Type
			})
			b.DropRecordSet(change.Zone, change.Name, change.Type)
			if !change.Gone {
				c.sets = append(c.sets, change.RecordSet)
				b.SetRecordSet(change.RecordSet)
			}
		}
	})
}

// yard is a zone that may be updated with the key "up", and has machines in it.
func yard(t testing.TB) *content {
	t.Helper()
	z, err := zone.New(zone.Config{Zone: "lab.example", NameServer: "ns.lab.example", Serial: 10, Addrs: []netip.Addr{netip.MustParseAddr("172.31.0.1")}})
	if err != nil {
		t.Fatal(err)
	}
	c := &content{zones: z}
	z.Change(func(b *zone.Batch) {
		b.SetSubnet("172.31.0.0/24", metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")})
		for _, name := range []string{"lab.example", "0.31.172.in-addr.arpa"} {
			b.SetZone(metal.Zone{Name: name, Spec: metal.ZoneSpec{Update: metal.UpdateSpec{Keys: []string{"other", "up"}}}})
		}
		b.SetZone(metal.Zone{Name: "deep.lab.example"})
		b.SetMachine("m1", "n1")
		b.SetAssignment(metal.Assignment{Subnet: "172.31.0.0/24", Addr: netip.MustParseAddr("172.31.0.11"), MachineID: "m1", MAC: "52:54:00:00:00:01"})
	})
	for line := range strings.Lines(`
		www   A     0   192.0.2.1|192.0.2.2
		www   TXT   300 "hello"
		alias CNAME 0   www.lab.example.
		@     MX    0   10 mail.lab.example.
		@     TXT   0   "v=spf1 -all"
		n1    TXT   0   "rack 7"
		*.any A     0   192.0.2.9
	`) {
		f := strings.Fields(line)
		if len(f) < 4 {
			continue
		}
		var ttl int
		fmt.Sscan(f[2], &ttl)
		c.apply([]RecordChange{{RecordSet: metal.RecordSet{Zone: "lab.example", Name: f[0], Type: f[1],
			Spec: metal.RecordSetSpec{TTL: ttl, Values: strings.Split(strings.Join(f[3:], " "), "|")}}}})
	}
	return c
}

// updating makes an update of lines in the words of nsupdate.
func updating(t testing.TB, zone, text string) *dns.Msg {
	t.Helper()
	m := new(dns.Msg).SetUpdate(zone)
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		act, rest, _ := strings.Cut(line, " ")
		if act == "" {
			continue
		}
		record := func(text string) []dns.RR {
			rr, err := dns.NewRR(text)
			if err != nil {
				t.Fatalf("%q: %v", text, err)
			}
			return []dns.RR{rr}
		}
		f := strings.Fields(rest)
		named := func() []dns.RR { return []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: f[0]}}} }
		typed := func() []dns.RR {
			return []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: f[0], Rrtype: dns.StringToType[f[1]]}}}
		}
		switch act {
		case "add":
			m.Insert(record(rest))
		case "del": // of one record
			m.Remove(record(rest))
		case "delset":
			m.RemoveRRset(typed())
		case "delname":
			m.RemoveName(named())
		case "yxdomain":
			m.NameUsed(named())
		case "nxdomain":
			m.NameNotUsed(named())
		case "yxrrset":
			m.RRsetUsed(typed())
		case "nxrrset":
			m.RRsetNotUsed(typed())
		case "is":
			m.Used(record(rest))
		case "raw", "rawpre": // owner TTL class type, without data
			var h dns.RR_Header
			fmt.Sscan(rest, &h.Name, &h.Ttl, &h.Class, &h.Rrtype)
			if act == "raw" {
				m.Ns = append(m.Ns, &h)
			} else {
				m.Answer = append(m.Answer, &h)
			}
		default:
			t.Fatalf("%q is no word of an update", act)
		}
	}
	wire, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	q := new(dns.Msg)
	if err := q.Unpack(wire); err != nil {
		t.Fatal(err)
	}
	return q
}

// written are changes as lines: name, type, TTL, values.
func written(changes []RecordChange) string {
	var lines []string
	for _, c := range changes {
		if c.Gone {
			lines = append(lines, fmt.Sprintf("%s %s gone", c.Name, c.Type))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s %s %d %s", c.Name, c.Type, c.Spec.TTL, strings.Join(c.Spec.Values, "|")))
	}
	return strings.Join(lines, "\n")
}

func TestUpdates(t *testing.T) {
	refused, formErr, notZone := dns.RcodeRefused, dns.RcodeFormatError, dns.RcodeNotZone
	cases := []struct {
		name, update string
		rcode        int
		want         string
	}{
		{"nothing", "", 0, ""},
		{"a new name", "add new.lab.example. 300 A 192.0.2.7", 0, "new A 300 192.0.2.7"},
		{"with the zone's TTL", "add new.lab.example. 60 A 192.0.2.7", 0, "new A 0 192.0.2.7"},
		{"a mix of capitals", "add NEW.Lab.Example. 300 A 192.0.2.7", 0, "new A 300 192.0.2.7"},
		{"one more record of a set", "add www.lab.example. 60 A 192.0.2.3", 0, "www A 0 192.0.2.1|192.0.2.2|192.0.2.3"},
		{"one that is there", "add www.lab.example. 60 A 192.0.2.2", 0, ""},
		{"one that is there, with another TTL", "add www.lab.example. 900 A 192.0.2.2", 0, "www A 900 192.0.2.1|192.0.2.2"},
		{"a TTL that is none", "add www.lab.example. 4294967295 TXT hello", 0, `www TXT 0 "hello"`},
		{"every type that there is", `
			add x.lab.example. 5 AAAA 2001:db8::1
			add x.lab.example. 5 MX 10 mail.lab.example.
			add x.lab.example. 5 SRV 1 2 3 mail.lab.example.
			add x.lab.example. 5 SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
			add x.lab.example. 5 CAA 0 issue "ca.example.net"
			add x.lab.example. 5 PTR other.example.
			add x.lab.example. 5 TXT "a \"b\" \\ ; c" "d"
			add d.lab.example. 5 NS ns.example.
			add c.lab.example. 5 CNAME x.lab.example.`, 0,
			"c CNAME 5 x.lab.example.\nd NS 5 ns.example.\nx AAAA 5 2001:db8::1\n" +
				"x CAA 5 0 issue \"ca.example.net\"\nx MX 5 10 mail.lab.example.\nx PTR 5 other.example.\nx SRV 5 1 2 3 mail.lab.example.\n" +
				"x SSHFP 5 4 2 123456789ABCDEF67890123456789ABCDEF67890123456789ABCDEF123456789\n" + `x TXT 5 "a \"b\" \\ ; c" "d"`},
		{"a wildcard", "add *.new.lab.example. 5 A 192.0.2.7", 0, "*.new A 5 192.0.2.7"},
		{"the wildcard of the zone", "add *.lab.example. 5 A 192.0.2.7", 0, "* A 5 192.0.2.7"},
		{"a record of the zone's own name", "add lab.example. 5 A 192.0.2.7", 0, "@ A 5 192.0.2.7"},

		{"a record goes", "del www.lab.example. 0 A 192.0.2.1", 0, "www A 0 192.0.2.2"},
		{"all of them, one by one", "del www.lab.example. 0 A 192.0.2.1\ndel www.lab.example. 0 A 192.0.2.2", 0, "www A gone"},
		{"one that is not there", "del www.lab.example. 0 A 192.0.2.77", 0, ""},
		{"one of a name that is not there", "del nosuch.lab.example. 0 A 192.0.2.77", 0, ""},
		{"a set goes", "delset www.lab.example. A", 0, "www A gone"},
		{"a set that is not there", "delset www.lab.example. AAAA", 0, ""},
		{"a name goes", "delname www.lab.example.", 0, "www A gone\nwww TXT gone"},
		{"a name that is not there", "delname nosuch.lab.example.", 0, ""},
		{"everything of the zone's own name but what makes it one", "delname lab.example.", 0, "@ MX gone\n@ TXT gone"},
		{"a set is replaced", "delset www.lab.example. A\nadd www.lab.example. 60 A 192.0.2.50", 0, "www A 0 192.0.2.50"},
		{"and made what it was", "delset www.lab.example. TXT\nadd www.lab.example. 300 TXT hello", 0, ""},
		{"what was added goes", "add new.lab.example. 5 A 192.0.2.7\ndelname new.lab.example.", 0, ""},

		{"an alias is made another's", "add alias.lab.example. 60 CNAME new.lab.example.", 0, "alias CNAME 0 new.lab.example."},
		{"no alias where something is", "add www.lab.example. 60 CNAME new.lab.example.", 0, ""},
		{"nothing where an alias is", "add alias.lab.example. 60 A 192.0.2.7", 0, ""},
		{"no alias of the zone's own name", "add lab.example. 60 CNAME new.lab.example.", 0, ""},
		{"an alias in the place of something", "delname www.lab.example.\nadd www.lab.example. 60 CNAME x.lab.example.", 0, "www A gone\nwww CNAME 0 x.lab.example.\nwww TXT gone"},

		{"a machine's address", "add n1.lab.example. 60 A 192.0.2.7", refused, ""},
		{"the other family of it", "add n1.lab.example. 60 AAAA 2001:db8::1", refused, ""},
		{"an alias in its place", "add n1.lab.example. 60 CNAME www.lab.example.", refused, ""},
		{"taking its address away", "delset n1.lab.example. A", refused, ""},
		{"or that very record", "del n1.lab.example. 0 A 172.31.0.11", refused, ""},
		{"or everything", "delname n1.lab.example.", refused, ""},
		{"but a text may be at its name", "add n1.lab.example. 60 TXT more", 0, `n1 TXT 0 "rack 7"|"more"`},
		{"and go", "delset n1.lab.example. TXT", 0, "n1 TXT gone"},
		{"an address that it has not cannot go", "del n1.lab.example. 0 A 172.31.0.99", 0, ""},
		{"the server's own name", "add ns.lab.example. 60 A 192.0.2.7", refused, ""},
		{"nothing is done if one thing is refused", "add new.lab.example. 5 A 192.0.2.7\ndelname n1.lab.example.", refused, ""},

		{"the SOA record", "add lab.example. 60 SOA ns.lab.example. h.lab.example. 99 1 1 1 1", refused, ""},
		{"without it", "delset lab.example. SOA", refused, ""},
		{"the zone's name servers", "add lab.example. 60 NS ns.example.", refused, ""},
		{"without them", "delset lab.example. NS", refused, ""},
		{"a type that record sets have not", "add x.lab.example. 60 HINFO a b", refused, ""},
		{"a type nobody knows", `add x.lab.example. 60 TYPE65280 \# 1 00`, refused, ""},
		{"name servers of a wildcard", "add *.x.lab.example. 60 NS ns.example.", refused, ""},
		{"a CAA flag that means nothing", `add x.lab.example. 60 CAA 7 issue "ca.example.net"`, refused, ""},
		{"a fingerprint of a wrong length", "add x.lab.example. 60 SSHFP 4 2 abcd", refused, ""},
		{"mail to what is no name", `add x.lab.example. 60 MX 10 a\@b.example.`, refused, ""},
		{"a name in a zone below", "add x.deep.lab.example. 60 A 192.0.2.7", refused, ""},
		{"that zone itself", "add deep.lab.example. 60 A 192.0.2.7", refused, ""},
		{"a dot within a label", `add a\.b.lab.example. 60 A 192.0.2.7`, refused, ""},
		{"a name with a space", `add a\ b.lab.example. 60 A 192.0.2.7`, refused, ""},
		{"a hyphen at the beginning", "add -b.lab.example. 60 A 192.0.2.7", refused, ""},
		{"an asterisk in the middle", "add a.*.lab.example. 60 A 192.0.2.7", refused, ""},
		{"a name elsewhere", "add www.example.com. 60 A 192.0.2.7", notZone, ""},
		{"a name that ends like the zone's", "add xlab.example. 60 A 192.0.2.7", notZone, ""},
		{"more bytes than one answer has", "add big.lab.example. 5 TXT " + strings.Repeat(`"`+strings.Repeat("x", 250)+`" `, 241), refused, ""},

		{"a record without data", "raw x.lab.example. 60 1 1", formErr, ""},
		{"a question's type", "raw x.lab.example. 0 255 252", formErr, ""},
		{"everything, in the class of one record", "raw x.lab.example. 0 254 255", formErr, ""},
		{"another class", "raw x.lab.example. 0 3 1", formErr, ""},
		{"a removal with a TTL", "raw x.lab.example. 5 255 1", formErr, ""},
		{"the form is checked first", "delname n1.lab.example.\nraw x.lab.example. 5 255 1", formErr, ""},

		{"if a name is there", "yxdomain www.lab.example.\ndelname www.lab.example.", 0, "www A gone\nwww TXT gone"},
		{"if a name is there that is not", "yxdomain nosuch.lab.example.\ndelname www.lab.example.", dns.RcodeNameError, ""},
		{"if a name is there that has only names below it", "yxdomain any.lab.example.\ndelname www.lab.example.", dns.RcodeNameError, ""},
		{"if a name is there that a wildcard stands for", "yxdomain x.any.lab.example.\ndelname www.lab.example.", dns.RcodeNameError, ""},
		{"if a name is not there", "nxdomain nosuch.lab.example.\ndelset www.lab.example. A", 0, "www A gone"},
		{"if a name is not there that is", "nxdomain n1.lab.example.\ndelset www.lab.example. A", dns.RcodeYXDomain, ""},
		{"if a set is there", "yxrrset n1.lab.example. A\ndelset www.lab.example. A", 0, "www A gone"},
		{"if a set is there that is not", "yxrrset n1.lab.example. AAAA\ndelset www.lab.example. A", dns.RcodeNXRrset, ""},
		{"if a set is not there", "nxrrset n1.lab.example. AAAA\ndelset www.lab.example. A", 0, "www A gone"},
		{"if a set is not there that is", "nxrrset n1.lab.example. A\ndelset www.lab.example. A", dns.RcodeYXRrset, ""},
		{"if the zone has a serial", "yxrrset lab.example. SOA\ndelset www.lab.example. A", 0, "www A gone"},
		{"if a set is this, in any order", "is www.lab.example. 0 A 192.0.2.2\nis WWW.lab.example. 0 A 192.0.2.1\ndelset www.lab.example. A", 0, "www A gone"},
		{"if a set is this, and it has more", "is www.lab.example. 0 A 192.0.2.2\ndelset www.lab.example. A", dns.RcodeNXRrset, ""},
		{"if a set is this, and it has less", "is alias.lab.example. 0 CNAME www.lab.example.\nis n1.lab.example. 0 A 172.31.0.11\nis n1.lab.example. 0 A 172.31.0.12\ndelset www.lab.example. A", dns.RcodeNXRrset, ""},
		{"a prerequisite elsewhere", "yxdomain www.example.com.\ndelset www.lab.example. A", notZone, ""},
		{"a prerequisite with a TTL", "rawpre www.lab.example. 5 255 1", formErr, ""},
		{"a prerequisite of another class", "rawpre www.lab.example. 0 3 1", formErr, ""},
		{"a prerequisite of a question's type", "rawpre www.lab.example. 0 255 252", formErr, ""},
		{"a value that is missing", "rawpre www.lab.example. 0 1 1", formErr, ""},
		{"nothing is refused that would not come to it", "yxdomain nosuch.lab.example.\ndelname n1.lab.example.", dns.RcodeNameError, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			changes, rcode, err := decideUpdate(updating(t, "lab.example.", c.update), "up", yard(t))
			if rcode != c.rcode || err != nil {
				t.Errorf("got %s, %v; want %s", dns.RcodeToString[rcode], err, dns.RcodeToString[c.rcode])
			}
			if diff := cmp.Diff(c.want, written(changes)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhoMayUpdate(t *testing.T) {
	cases := []struct {
		name, zone, key string
		rcode           int
	}{
		{"who has one of the zone's keys", "lab.example.", "up", dns.RcodeSuccess},
		{"another of them", "lab.example.", "other", dns.RcodeSuccess},
		{"not who has another key", "lab.example.", "xfer", dns.RcodeRefused},
		{"not who has none", "lab.example.", "", dns.RcodeRefused},
		{"nobody, where nobody is named", "deep.lab.example.", "up", dns.RcodeRefused},
		{"a name within the zone is not it", "www.lab.example.", "up", dns.RcodeNotAuth},
		{"nor is one elsewhere", "example.com.", "up", dns.RcodeNotAuth},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, rcode := mayUpdate(updating(t, c.zone, ""), yard(t).View(), c.key); rcode != c.rcode {
				t.Errorf("got %s; want %s", dns.RcodeToString[rcode], dns.RcodeToString[c.rcode])
			}
		})
	}
	for name, change := range map[string]func(*dns.Msg){
		"no zone":       func(m *dns.Msg) { m.Question = nil },
		"two zones":     func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) },
		"another type":  func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeA },
		"another class": func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS },
	} {
		m := updating(t, "lab.example.", "")
		change(m)
		if _, rcode := mayUpdate(m, yard(t).View(), "up"); rcode != dns.RcodeFormatError {
			t.Errorf("%s: got %s; want FORMERR", name, dns.RcodeToString[rcode])
		}
	}
}

func TestReverseNamesOfMachinesCannotBeUpdated(t *testing.T) {
	const zone = "0.31.172.in-addr.arpa."
	for update, want := range map[string]int{
		"add 11." + zone + " 60 PTR www.lab.example.": dns.RcodeRefused,
		"delname 11." + zone:                          dns.RcodeRefused,
		"add 12." + zone + " 60 PTR www.lab.example.": dns.RcodeSuccess,
	} {
		if _, rcode, err := decideUpdate(updating(t, zone, update), "up", yard(t)); rcode != want || err != nil {
			t.Errorf("%s: got %s, %v; want %s", update, dns.RcodeToString[rcode], err, dns.RcodeToString[want])
		}
	}
}

func FuzzUpdate(f *testing.F) {
	for _, text := range []string{
		"add new.lab.example. 300 A 192.0.2.7", "delname www.lab.example.", "delset n1.lab.example. A",
		"del www.lab.example. 0 A 192.0.2.1", "add x.lab.example. 5 TXT \"\\000\\255\"", "nxdomain x.lab.example.\nadd x.lab.example. 0 CNAME y.",
		"is www.lab.example. 0 A 192.0.2.1\nadd *.lab.example. 5 NS ns.", "add lab.example. 5 SRV 1 2 3 .", "raw x.lab.example. 0 1 1",
	} {
		wire, err := updating(f, "lab.example.", text).Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wire)
	}
	f.Fuzz(func(t *testing.T, wire []byte) {
		q, _, err := parse(wire)
		if err != nil || q.Opcode != dns.OpcodeUpdate {
			return
		}
		c := yard(t)
		changes, rcode, err := decideUpdate(q, "up", c)
		if err != nil || rcode != dns.RcodeSuccess && len(changes) > 0 {
			t.Fatalf("got %d changes with %s, %v", len(changes), dns.RcodeToString[rcode], err)
		}
		c.apply(changes)
		for _, change := range changes {
			if !slices.Contains(metal.RecordTypes[:], change.Type) || change.Name == "@" && (change.Type == "NS" || change.Type == "CNAME") || change.FQDN == "" {
				t.Errorf("changes %s %s", change.Name, change.Type)
			}
			z, _ := c.View().Zone(change.Zone)
			if got := len(records(z.At(change.FQDN), dns.StringToType[change.Type])); got != len(change.Spec.Values) {
				t.Errorf("%s: the zone has %d of these records", written([]RecordChange{change}), got)
			}
		}
		if got := brief(c.View().Lookup("n1.lab.example.", dns.TypeA).Answer); len(got) != 1 || got[0] != "n1.lab.example. A 172.31.0.11" {
			t.Errorf("a machine has %v", got)
		}
	})
}
