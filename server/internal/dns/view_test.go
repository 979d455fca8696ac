package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// zoneView is a View made of zone-file text.
type zoneView struct {
	names    map[string][]netip.Addr
	pointers map[netip.Addr]string
	zones    []string
	subnets  []netip.Prefix
}

func (v *zoneView) Lookup(name string) ([]netip.Addr, bool) {
	addrs, ok := v.names[name]
	return addrs, ok
}

func (v *zoneView) Reverse(addr netip.Addr) (string, bool) {
	name, ok := v.pointers[addr]
	return name, ok
}

func (v *zoneView) Serial() uint32          { return 7 }
func (v *zoneView) Zones() []string         { return v.zones }
func (v *zoneView) Subnets() []netip.Prefix { return v.subnets }

// viewOf reads addresses in zone-file text; each gets a pointer too.
func viewOf(t testing.TB, zones []string, subnets []string, text string) *zoneView {
	t.Helper()
	v := &zoneView{names: map[string][]netip.Addr{}, pointers: map[netip.Addr]string{}, zones: zones}
	for _, subnet := range subnets {
		v.subnets = append(v.subnets, netip.MustParsePrefix(subnet))
	}
	parser := dns.NewZoneParser(strings.NewReader(text), "", "")
	for rr, ok := parser.Next(); ok; rr, ok = parser.Next() {
		var addr netip.Addr
		switch rr := rr.(type) {
		case *dns.A:
			addr, _ = netip.AddrFromSlice(rr.A.To4())
		case *dns.AAAA:
			addr, _ = netip.AddrFromSlice(rr.AAAA)
		}
		name := rr.Header().Name
		v.names[name] = append(v.names[name], addr)
		v.pointers[addr] = name
		zone, _ := forwardZone(name, zones)
		for above := name; above != zone; {
			_, above, _ = strings.Cut(above, ".")
			v.names[above] = append(v.names[above], nil...)
		}
	}
	if err := parser.Err(); err != nil {
		t.Fatal(err)
	}
	return v
}

// labView is what most tests ask.
func labView(t testing.TB) *zoneView {
	return viewOf(t,
		[]string{"lab.example.", "deep.lab.example.", "rack.test."},
		[]string{"172.31.0.0/24", "10.4.0.0/22", "192.0.2.64/26", "10.16.0.0/16", "fd00:31::/64", "2001:db8:40::/46"},
		`$TTL 60
n1.lab.example.           A     172.31.0.11
n1.lab.example.           AAAA  fd00:31::11
n2.lab.example.           A     172.31.0.12
six.lab.example.          AAAA  fd00:31::6
bmc.n1.lab.example.       A     10.4.2.11
a.b.c.lab.example.        A     10.16.5.9
n1.deep.lab.example.      A     192.0.2.65
edge.rack.test.           A     10.4.3.255
far.rack.test.            AAAA  2001:db8:42::1
`)
}

var labSelf = Self{
	NS:    "metald.lab.example.",
	Addrs: []netip.Addr{netip.MustParseAddr("172.31.0.1"), netip.MustParseAddr("fd00:31::1")},
	TTL:   60,
}

// query makes a request of "name type", or "name class type".
func query(t testing.TB, text string) *dns.Msg {
	t.Helper()
	fields := strings.Fields(text)
	q := new(dns.Msg)
	q.SetQuestion(fields[0], 0)
	q.RecursionDesired = false
	rrtype, ok := dns.StringToType[fields[len(fields)-1]]
	if !ok {
		if _, err := fmt.Sscanf(fields[len(fields)-1], "TYPE%d", &rrtype); err != nil {
			t.Fatalf("%q has no type", text)
		}
	}
	q.Question[0].Qtype = rrtype
	if len(fields) == 3 {
		q.Question[0].Qclass = dns.StringToClass[fields[1]]
	}
	return q
}

// text writes an answer as code and flags, and its sections in zone-file text.
func text(m *dns.Msg) string {
	if m == nil {
		return "no answer\n"
	}
	var b strings.Builder
	if m.Rcode == dns.RcodeBadVers { // TSIG has a name of its own for the same number
		b.WriteString("BADVERS")
	} else {
		b.WriteString(dns.RcodeToString[m.Rcode])
	}
	for _, flag := range []struct {
		set  bool
		name string
	}{{m.Authoritative, "aa"}, {m.Truncated, "tc"}, {m.RecursionDesired, "rd"}, {m.RecursionAvailable, "ra"}} {
		if flag.set {
			b.WriteString(" " + flag.name)
		}
	}
	if opt := m.IsEdns0(); opt != nil {
		fmt.Fprintf(&b, " edns%d:%d", opt.Version(), opt.UDPSize())
		if opt.Do() {
			b.WriteString(":do")
		}
	}
	b.WriteByte('\n')
	for _, section := range []struct {
		name    string
		records []dns.RR
	}{{"", m.Answer}, {"authority", m.Ns}, {"additional", m.Extra}} {
		heading := section.name
		for _, rr := range section.records {
			if rr.Header().Rrtype == dns.TypeOPT {
				continue
			}
			if heading != "" {
				b.WriteString(heading + "\n")
				heading = ""
			}
			b.WriteString(strings.Join(strings.Fields(rr.String()), " ") + "\n")
		}
	}
	return b.String()
}

// lines is want as tests write it: indented, with an empty first line.
func lines(want string) string {
	var b strings.Builder
	for line := range strings.Lines(want) {
		if line = strings.TrimSpace(line); line != "" {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
