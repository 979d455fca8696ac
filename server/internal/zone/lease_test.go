package zone

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// leaseOf is "lease subnet address client hostname start": the client is its MAC address too, or with "duid:" or "ff:"
// a DHCP unique identifier, and start is in seconds after noon.
func leaseOf(t testing.TB, f []string) metal.Lease {
	t.Helper()
	if len(f) < 6 {
		t.Fatalf("a lease needs six words: %v", f)
	}
	var start int
	fmt.Sscan(f[5], &start)
	l := metal.Lease{
		Subnet: f[1], Addr: netip.MustParseAddr(f[2]), Hostname: f[4], State: metal.LeaseActive,
		StartedAt: noon.Add(time.Duration(start) * time.Second), ExpiresAt: noon.Add(time.Hour),
	}
	if f[4] == "-" {
		l.Hostname = ""
	}
	if duid, ok := strings.CutPrefix(f[3], "duid:"); ok {
		l.ClientID = duid
	} else if duid, ok := strings.CutPrefix(f[3], "ff:"); ok {
		l.ClientID = "ff00000001" + duid
	} else {
		l.MAC = metal.MAC(f[3])
	}
	return l
}

// addressesOf is what a name has.
func addressesOf(z *Zones, qname string) (list []string) {
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		for _, rr := range z.Now().Lookup(qname, qtype).Answer {
			switch rr := rr.(type) {
			case *dns.A:
				list = append(list, rr.A.String())
			case *dns.AAAA:
				list = append(list, rr.AAAA.String())
			}
		}
	}
	return list
}

// pointerOf is the name of an address.
func pointerOf(z *Zones, addr string) (list []string) {
	reverse, err := dns.ReverseAddr(addr)
	if err != nil {
		return nil
	}
	for _, rr := range z.Now().Lookup(reverse, dns.TypePTR).Answer {
		list = append(list, rr.(*dns.PTR).Ptr)
	}
	return list
}

func TestNamesOfLeases(t *testing.T) {
	const subnets = `
		subnet rack 172.31.0.0/24
		subnet hall 10.0.0.0/24
		subnet six fd00:31::/64
		`
	cases := []struct {
		name, changes string
		addrs         []string // of pc.lab.example
		pointers      map[string]string
	}{
		{"a client has the name it tells", "lease rack 172.31.0.100 aa pc 0",
			[]string{"172.31.0.100"}, map[string]string{"172.31.0.100": "pc.lab.example."}},
		{"in lower case, and without the domain it believes to be in", "lease rack 172.31.0.100 aa PC.home.arpa 0",
			[]string{"172.31.0.100"}, map[string]string{"172.31.0.100": "pc.lab.example."}},
		{"the first client keeps the name, and the second has no pointer either", `
			lease rack 172.31.0.101 aa pc 0
			lease rack 172.31.0.100 bb pc 1`,
			[]string{"172.31.0.101"}, map[string]string{"172.31.0.101": "pc.lab.example.", "172.31.0.100": ""}},
		{"the first is the one who was there first, in whatever order they are told", `
			lease rack 172.31.0.100 bb pc 1
			lease rack 172.31.0.101 aa pc 0`,
			[]string{"172.31.0.101"}, map[string]string{"172.31.0.101": "pc.lab.example.", "172.31.0.100": ""}},
		{"the second gets it when the first goes", `
			lease rack 172.31.0.101 aa pc 0
			lease rack 172.31.0.100 bb pc 1
			-lease rack 172.31.0.101`,
			[]string{"172.31.0.100"}, map[string]string{"172.31.0.101": "", "172.31.0.100": "pc.lab.example."}},
		{"a machine's name is no client's", `
			machine m1 pc
			addr hall 10.0.0.5 m:m1
			lease rack 172.31.0.100 aa pc 0`,
			[]string{"10.0.0.5"}, map[string]string{"10.0.0.5": "pc.lab.example.", "172.31.0.100": ""}},
		{"nor when the machine comes later", `
			lease rack 172.31.0.100 aa pc 0
			machine m1 pc
			addr hall 10.0.0.5 m:m1`,
			[]string{"10.0.0.5"}, map[string]string{"172.31.0.100": ""}},
		{"nor is that of a record set", `
			zone lab.example
			set lab.example pc 0 TXT taken
			lease rack 172.31.0.100 aa pc 0`, nil, map[string]string{"172.31.0.100": ""}},
		{"one host on two subnets has two addresses", `
			lease rack 172.31.0.100 aa pc 0
			lease hall 10.0.0.100 aa pc 1`,
			[]string{"10.0.0.100", "172.31.0.100"}, map[string]string{"10.0.0.100": "pc.lab.example."}},
		{"one host has IPv4 and IPv6 by its DUID (RFC 4361)", `
			lease rack 172.31.0.100 ff:00030001aa pc 0
			lease six fd00:31::100 duid:00030001aa pc 1`,
			[]string{"172.31.0.100", "fd00:31::100"}, map[string]string{"fd00:31::100": "pc.lab.example."}},
		{"another host's IPv6 address is not added", `
			lease rack 172.31.0.100 ff:00030001aa pc 0
			lease six fd00:31::100 duid:00030001bb pc 1`,
			[]string{"172.31.0.100"}, map[string]string{"fd00:31::100": ""}},
		{"a client that moves takes its name along", `
			lease rack 172.31.0.100 aa pc 0
			lease rack 172.31.0.102 aa pc 1`,
			[]string{"172.31.0.102"}, map[string]string{"172.31.0.100": "", "172.31.0.102": "pc.lab.example."}},
		{"a client that calls itself otherwise", `
			lease rack 172.31.0.100 aa pc 0
			lease rack 172.31.0.100 aa laptop 0`, nil, map[string]string{"172.31.0.100": "laptop.lab.example."}},
		{"a client that tells no name any more", `
			lease rack 172.31.0.100 aa pc 0
			lease rack 172.31.0.100 aa - 0`, nil, map[string]string{"172.31.0.100": ""}},
		{"its subnet goes", `
			lease rack 172.31.0.100 aa pc 0
			-subnet rack`, nil, nil},
		{"its subnet gets a domain", `
			lease rack 172.31.0.100 aa pc 0
			subnet rack 172.31.0.0/24 rack.lab.example`, nil, map[string]string{"172.31.0.100": "pc.rack.lab.example."}},
		{"a name that others would trust", "lease rack 172.31.0.100 aa wpad 0", nil, map[string]string{"172.31.0.100": ""}},
		{"what is no name", "lease rack 172.31.0.100 aa pc_1 0", nil, map[string]string{"172.31.0.100": ""}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			z := empty(t)
			do(t, z, subnets+c.changes)
			if diff := cmp.Diff(c.addrs, addressesOf(z, "pc.lab.example.")); diff != "" {
				t.Errorf("addresses (-want +got):\n%s", diff)
			}
			for addr, want := range c.pointers {
				got := pointerOf(z, addr)
				if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
					t.Errorf("pointer of %s: got %q; want %q", addr, got, want)
				}
			}
		})
	}
}

func TestLeasesThatMakeNoNames(t *testing.T) {
	for name, change := range map[string]func(*metal.Lease){
		"an offer":             func(l *metal.Lease) { l.State = metal.LeaseOffered },
		"a declined address":   func(l *metal.Lease) { l.State = metal.LeaseDeclined },
		"a delegated prefix":   func(l *metal.Lease) { l.Bits = 64 },
		"a name of 64 letters": func(l *metal.Lease) { l.Hostname = fmt.Sprintf("%064d", 0) },
		"a dash before it":     func(l *metal.Lease) { l.Hostname = "-pc" },
	} {
		t.Run(name, func(t *testing.T) {
			z := empty(t)
			do(t, z, "subnet rack 172.31.0.0/24")
			l := leaseOf(t, []string{"lease", "rack", "172.31.0.100", "aa", "pc", "0"})
			change(&l)
			z.Change(func(b *Batch) { b.SetLease("aa", l) })
			if got := pointerOf(z, "172.31.0.100"); len(got) > 0 {
				t.Errorf("got %v; want nothing", got)
			}
		})
	}
}

func TestNamesEndWithTheirLeases(t *testing.T) {
	z := empty(t)
	do(t, z, "subnet rack 172.31.0.0/24\nlease rack 172.31.0.100 aa pc 0\nlease rack 172.31.0.101 bb mac 0")
	renewed := leaseOf(t, []string{"lease", "rack", "172.31.0.101", "bb", "mac", "0"})
	renewed.ExpiresAt = noon.Add(2 * time.Hour)
	serial := serialOf(t, z, "lab.example")
	z.Change(func(b *Batch) { b.SetLease("bb", renewed) })
	if got := serialOf(t, z, "lab.example"); got != serial {
		t.Errorf("the serial after a renewal: got %d; want %d, as nothing changed", got, serial)
	}
	for _, c := range []struct {
		after   time.Duration
		ended   bool
		pc, mac int
	}{{59 * time.Minute, false, 1, 1}, {time.Hour, true, 0, 1}, {119 * time.Minute, false, 0, 1}, {2 * time.Hour, true, 0, 0}} {
		if ended := z.Expire(noon.Add(c.after)); ended != c.ended {
			t.Errorf("after %v: got ended %t; want %t", c.after, ended, c.ended)
		}
		pc, mac := len(addressesOf(z, "pc.lab.example")), len(addressesOf(z, "mac.lab.example"))
		if pc != c.pc || mac != c.mac {
			t.Errorf("after %v: got %d and %d addresses; want %d and %d", c.after, pc, mac, c.pc, c.mac)
		}
	}
}

// serialOf is the serial of a zone.
func serialOf(t testing.TB, z *Zones, zone string) uint32 {
	t.Helper()
	found, ok := z.Now().Zone(zone)
	if !ok {
		t.Fatalf("there is no zone %s", zone)
	}
	return found.Serial()
}
