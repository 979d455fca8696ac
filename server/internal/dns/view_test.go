package dns

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// rack is the zones that most tests ask. Each address is a machine's of its own.
func rack(t testing.TB) *zone.Zones {
	t.Helper()
	return zonesOf(t, `
		172.31.0.11  n1.lab.example
		fd00:31::11  n1.lab.example
		172.31.0.12  n2.lab.example
		fd00:31::6   six.lab.example
		10.4.2.11    bmc.n1.lab.example
		10.16.5.9    a.b.c.lab.example
		192.0.2.65   n1.deep.lab.example
		10.4.3.255   edge.rack.test
		2001:db8:42::1 far.rack.test
	`)
}

// subnets are those of zonesOf.
var subnets = [...]string{"172.31.0.0/24", "10.4.0.0/22", "192.0.2.64/26", "10.16.0.0/16", "fd00:31::/64", "2001:db8:40::/46"}

// zonesOf makes zones of names and addresses on the subnets, and of the declared zones deep.lab.example, rack.test and
// rich.test, which has records of every type.
func zonesOf(t testing.TB, hosts string) *zone.Zones {
	t.Helper()
	z, err := zone.New(zone.Config{
		Zone: "lab.example", NameServer: "metald.lab.example", Serial: 5,
		Addrs: []netip.Addr{netip.MustParseAddr("172.31.0.1"), netip.MustParseAddr("fd00:31::1")},
	})
	if err != nil {
		t.Fatal(err)
	}
	z.Change(func(b *zone.Batch) {
		for _, cidr := range subnets {
			b.SetSubnet(cidr, metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr)})
		}
		for _, name := range []string{"deep.lab.example", "rack.test", "rich.test"} {
			b.SetZone(metal.Zone{Name: name})
		}
		for line := range strings.Lines(rich) {
			if f := strings.Fields(line); len(f) > 0 {
				b.SetRecordSet(metal.RecordSet{Zone: "rich.test", Name: f[0], Type: f[1], Spec: metal.RecordSetSpec{
					Values: strings.Split(strings.Join(f[2:], " "), " | "),
				}})
			}
		}
		for line := range strings.Lines(hosts) {
			if f := strings.Fields(line); len(f) == 2 {
				host(t, b, netip.MustParseAddr(f[0]), f[1])
			}
		}
	})
	return z
}

// host gives an address of one of the subnets to a device. Its domain is the last two labels, so that there are names
// below names.
func host(t testing.TB, b *zone.Batch, addr netip.Addr, name string) {
	t.Helper()
	labels := strings.Split(name, ".")
	device, domain := strings.Join(labels[:len(labels)-2], "."), strings.Join(labels[len(labels)-2:], ".")
	for _, cidr := range subnets {
		if netip.MustParsePrefix(cidr).Contains(addr) {
			b.SetDevice(device, metal.DeviceSpec{Domain: domain})
			b.SetAssignment(metal.Assignment{Subnet: cidr, Addr: addr, Device: device})
			return
		}
	}
	t.Fatalf("no subnet has %s", addr)
}

// rich is every type of records there is, as name, type and values.
const rich = `
	@        MX    10 mail
	@        TXT   "v=spf1 -all"
	@        CAA   0 issue "ca.example.net"
	mail     A     192.0.2.25
	mail     AAAA  2001:db8::25
	_ldap._tcp SRV 0 5 389 mail
	key      SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789
	www      CNAME mail
	far      CNAME www.example.com.
	lost     CNAME nosuch
	one      CNAME two
	two      CNAME one
	host     PTR   elsewhere.example.com.
	*.wild   A     192.0.2.99
	*.wild   TXT   "wild"
	real.wild TXT  "real"
	*.alias  CNAME mail
	child    NS    ns1.child | ns.example.net.
	ns1.child A    192.0.2.53
	into     CNAME x.child
	long     TXT   "0123456789012345678901234567890123456789012345678901234567890123456789" | "1123456789012345678901234567890123456789012345678901234567890123456789" | "2123456789012345678901234567890123456789012345678901234567890123456789" | "3123456789012345678901234567890123456789012345678901234567890123456789" | "4123456789012345678901234567890123456789012345678901234567890123456789" | "5123456789012345678901234567890123456789012345678901234567890123456789" | "6123456789012345678901234567890123456789012345678901234567890123456789"
`

var labSelf = Self{NSID: "metald-1"}

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
