package lease

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// start is when the tests begin.
var start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// subnet is a network that serves DHCP, with a dynamic range; changes follow.
func subnet(name, cidr, first, last string, changes ...func(*metal.SubnetSpec)) *metal.Subnet {
	s := &metal.Subnet{Name: name, Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr), DHCP: metal.DHCPSpec{
		Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: ip(first), Last: ip(last)}},
	}}}
	for _, change := range changes {
		change(&s.Spec)
	}
	return s
}

// rack is a table with the subnet 10.0.0.0/24, of which clients get 100 to 102.
func rack(changes ...func(*metal.SubnetSpec)) *Table {
	t := New()
	t.Now(start)
	t.SetSubnet(subnet("rack", "10.0.0.0/24", "10.0.0.100", "10.0.0.102", changes...))
	return t
}

func from(client string) Ask { return Ask{Via: ip("10.0.0.1"), Client: client} }

func mac(n int) metal.MAC {
	return metal.MACOf([]byte{2, 0, 0, byte(n >> 16), byte(n >> 8), byte(n)})
}

// lease is a stored lease of the rack.
func held(addr string, life time.Duration) *metal.Lease {
	return &metal.Lease{Subnet: "rack", Addr: ip(addr), State: metal.LeaseActive, ExpiresAt: start.Add(life)}
}

// offer looks and keeps what is free, as an offer of 30 seconds. It returns the address; zero for none.
func offer(t *testing.T, table *Table, ask Ask, now time.Time) netip.Addr {
	t.Helper()
	k := table.Look(ask, now)
	addr := k.Free
	if k.LeaseFree {
		addr = k.Lease.Addr
	}
	if !addr.IsValid() {
		return addr
	}
	l := &metal.Lease{Subnet: k.Subnet.Name, Addr: addr, State: metal.LeaseOffered, ExpiresAt: now.Add(30 * time.Second)}
	if ask.Kind == Prefix {
		l.Bits = k.Subnet.Spec.DHCP.Delegation.Length
	}
	if !table.Hold(ask.Client, l, now) {
		t.Fatalf("client %s: %s is free, but cannot be kept for it", ask.Client, addr)
	}
	return addr
}

func TestAnAddressIsFoundForAClient(t *testing.T) {
	const minute = time.Minute
	cases := []struct {
		name  string
		setup func(*Table)
		ask   Ask
		after time.Duration
		want  string // the address; empty for none
	}{
		{name: "the first one", want: "10.0.0.100"},
		{name: "the one it would like", ask: Ask{Wanted: ip("10.0.0.102")}, want: "10.0.0.102"},
		{name: "what it would like is in no range", ask: Ask{Wanted: ip("10.0.0.50")}, want: "10.0.0.100"},
		{name: "what it would like is another's", setup: func(t *Table) { t.SetLease("b", held("10.0.0.102", minute)) }, ask: Ask{Wanted: ip("10.0.0.102")}, want: "10.0.0.100"},
		{name: "what it would like was another's, who may return", setup: func(t *Table) { t.SetLease("b", held("10.0.0.102", -minute)) }, ask: Ask{Wanted: ip("10.0.0.102")}, want: "10.0.0.100"},
		{name: "not our own address, nor the relay agent's", ask: Ask{Avoid: []netip.Addr{ip("10.0.0.100"), ip("10.0.0.101")}}, want: "10.0.0.102"},
		{name: "not the gateway's", setup: func(t *Table) {
			t.SetSubnet(subnet("rack", "10.0.0.0/24", "10.0.0.100", "10.0.0.102", func(s *metal.SubnetSpec) { s.Gateway = ip("10.0.0.100") }))
		}, want: "10.0.0.101"},
		{name: "what it holds", setup: func(t *Table) { t.SetLease("a", held("10.0.0.101", minute)) }, want: "10.0.0.101"},
		{name: "what it held last", setup: func(t *Table) { t.SetLease("a", held("10.0.0.101", minute)) }, after: time.Hour, want: "10.0.0.101"},
		{name: "not what it held when it is a machine's now", setup: func(t *Table) {
			t.SetLease("a", held("10.0.0.101", minute))
			t.SetAssignment(metal.Assignment{Subnet: "rack", Addr: ip("10.0.0.101"), MachineID: "m-1"})
		}, want: "10.0.0.100"},
		{name: "not what it held when clients get none there any more", setup: func(t *Table) {
			t.SetLease("a", held("10.0.0.101", minute))
			t.SetSubnet(subnet("rack", "10.0.0.0/24", "10.0.0.200", "10.0.0.210"))
		}, want: "10.0.0.200"},
		{name: "one that nobody had before one that ended", setup: func(t *Table) {
			t.SetLease("b", held("10.0.0.100", -minute))
		}, want: "10.0.0.101"},
		{name: "else the one that ended longest ago", setup: func(t *Table) {
			t.SetLease("b", held("10.0.0.100", -minute))
			t.SetLease("c", held("10.0.0.101", -2*minute))
			t.SetLease("d", held("10.0.0.102", minute))
		}, want: "10.0.0.101"},
		{name: "one that ends while nobody looks", setup: func(t *Table) {
			for i, life := range []time.Duration{3 * minute, minute, 2 * minute} {
				t.SetLease(fmt.Sprint(i), held(fmt.Sprintf("10.0.0.%d", 100+i), life))
			}
		}, after: 90 * time.Second, want: "10.0.0.101"},
		{name: "none when all are held", setup: func(t *Table) {
			for i := range 3 {
				t.SetLease(fmt.Sprint(i), held(fmt.Sprintf("10.0.0.%d", 100+i), minute))
			}
		}},
		{name: "not one in quarantine", setup: func(t *Table) {
			l := held("10.0.0.100", time.Hour)
			l.State = metal.LeaseDeclined
			t.SetLease("declined 10.0.0.100", l)
		}, want: "10.0.0.101"},
		{name: "one out of a range that was declared", setup: func(t *Table) {
			t.SetSubnet(&metal.Subnet{Name: "rack", Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/24"), DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative}}})
			t.SetRange(&metal.IPRange{Name: "r", Spec: metal.IPRangeSpec{Subnet: "rack", First: ip("10.0.0.7"), Last: ip("10.0.0.8"), Kind: metal.RangeDynamic}})
		}, want: "10.0.0.7"},
		{name: "none that others manage", setup: func(t *Table) {
			t.SetRange(&metal.IPRange{Name: "r", Spec: metal.IPRangeSpec{Subnet: "rack", First: ip("10.0.0.90"), Last: ip("10.0.0.101"), Kind: metal.RangeReserved}})
		}, want: "10.0.0.102"},
		{name: "one of them when that range is gone", setup: func(t *Table) {
			r := &metal.IPRange{Name: "r", Spec: metal.IPRangeSpec{Subnet: "rack", First: ip("10.0.0.90"), Last: ip("10.0.0.101"), Kind: metal.RangeReserved}}
			t.SetRange(r)
			t.DropRange(r)
		}, want: "10.0.0.100"},
		{name: "an address that a machine gave back", setup: func(t *Table) {
			t.SetAssignment(metal.Assignment{Subnet: "rack", Addr: ip("10.0.0.100"), MachineID: "m-1"})
			t.DropAssignment("rack", ip("10.0.0.100"))
		}, want: "10.0.0.100"},
		{name: "an address whose lease was deleted", setup: func(t *Table) {
			t.SetLease("b", held("10.0.0.100", minute))
			t.DropLease("rack", ip("10.0.0.100"))
		}, want: "10.0.0.100"},
		{name: "none on a subnet that does not serve", setup: func(t *Table) {
			t.SetSubnet(subnet("rack", "10.0.0.0/24", "10.0.0.100", "10.0.0.102", func(s *metal.SubnetSpec) { s.DHCP.Mode = metal.DHCPOff }))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := rack()
			if c.setup != nil {
				c.setup(table)
			}
			ask := c.ask
			ask.Via, ask.Client = ip("10.0.0.1"), "a"
			want := netip.Addr{}
			if c.want != "" {
				want = ip(c.want)
			}
			if got := offer(t, table, ask, start.Add(c.after)); got != want {
				t.Errorf("got %s; want %s", got, want)
			}
		})
	}
}

func TestWhatIsOfferedGoesToNobodyElse(t *testing.T) {
	table := rack()
	now := start
	first := offer(t, table, from("a"), now)
	if again := offer(t, table, from("a"), now.Add(time.Second)); again != first {
		t.Errorf("asked again: got %s; want %s as before", again, first)
	}
	if other := offer(t, table, from("b"), now); other == first {
		t.Errorf("another client: got %s, which was offered to the first", other)
	}
	l := held(first.String(), time.Minute)
	if table.Hold("b", l, now) {
		t.Errorf("%s can be kept for a second client", first)
	}
	if !table.Holds("a", l, now) || table.Holds("b", l, now) {
		t.Errorf("got %t for the first client and %t for the second; want it held for the first", table.Holds("a", l, now), table.Holds("b", l, now))
	}
	if !table.GiveUp("a", "rack", first, now) || table.GiveUp("a", "rack", first, now) {
		t.Error("an offer can be taken back other than once")
	}
	if got := offer(t, table, from("c"), now); got != first {
		t.Errorf("after it was taken back: got %s; want %s", got, first)
	}
}

func TestOffersEnd(t *testing.T) {
	table := rack()
	for i := range 3 {
		offer(t, table, from(fmt.Sprint(i)), start)
	}
	for _, c := range []struct {
		client string
		after  time.Duration
		want   string
	}{
		{"late", time.Second, "invalid IP"},     // each may still come back
		{"late", patience, "10.0.0.100"},        // the one that waits longest gives up its place
		{"0", patience, "10.0.0.101"},           // and asks anew
		{"new", 31 * time.Second, "10.0.0.102"}, // the last of the three offers ended
	} {
		if got := offer(t, table, from(c.client), start.Add(c.after)); got.String() != c.want {
			t.Errorf("client %s after %s: got %s; want %s", c.client, c.after, got, c.want)
		}
	}
}

func TestAFloodOfClientsTakesItsOwnOffersBack(t *testing.T) {
	table := New()
	table.SetSubnet(subnet("rack", "10.0.0.0/8", "10.1.0.0", "10.2.255.255"))
	for i := range mostHolds + 100 {
		offer(t, table, from(fmt.Sprint(i)), start)
	}
	s := table.networks["rack"].addresses
	if s.queue.length != mostHolds || len(s.held) != mostHolds || len(s.at) != mostHolds {
		t.Errorf("got %d, %d and %d kept; want %d", s.queue.length, len(s.held), len(s.at), mostHolds)
	}
	if k := table.Look(from("0"), start); k.Lease != nil {
		t.Errorf("got %v for the first client; want its offer given up", k.Lease)
	}
}

func TestStoringALeaseEndsItsOffer(t *testing.T) {
	table := rack()
	addr := offer(t, table, from("a"), start)
	l := held(addr.String(), time.Minute)
	table.SetLease("a", l)
	k := table.Look(from("a"), start.Add(40*time.Second))
	if k.Lease != l || !k.LeaseFree {
		t.Errorf("got %v, %t; want the lease", k.Lease, k.LeaseFree)
	}
	if got := table.Stored("a", "rack", Address); got != l {
		t.Errorf("got %v; want it stored", got)
	}
	// Another address in its place leaves the first to others.
	table.SetLease("a", held("10.0.0.102", time.Minute))
	if got := offer(t, table, from("b"), start); got != addr {
		t.Errorf("got %s; want %s", got, addr)
	}
}

func TestEndedLeasesAreToldOnce(t *testing.T) {
	table := rack()
	table.SetLease("a", held("10.0.0.100", time.Minute))
	table.SetLease("b", held("10.0.0.101", time.Hour))
	released := held("10.0.0.102", 0)
	table.SetLease("c", released)
	if got := table.Ended(start.Add(30 * time.Second)); len(got) != 0 {
		t.Errorf("got %v; want nothing yet", got)
	}
	table.Look(from("x"), start.Add(2*time.Minute)) // moves it on before anybody asks
	if got := table.Ended(start.Add(2 * time.Minute)); len(got) != 1 || got[0].Addr != ip("10.0.0.100") {
		t.Errorf("got %v; want the lease of 10.0.0.100", got)
	}
	if got := table.Ended(start.Add(3 * time.Minute)); len(got) != 0 {
		t.Errorf("got %v; want nothing more", got)
	}
}

func TestASubnetThatIsGoneIsForgotten(t *testing.T) {
	table := rack()
	table.SetLease("a", held("10.0.0.100", time.Minute))
	epoch := table.Epoch()
	table.DropSubnet("rack")
	if k := table.Look(from("a"), start); k.Subnet != nil || k.Epoch == epoch {
		t.Errorf("got subnet %v at epoch %d; want none, and another one than %d", k.Subnet, k.Epoch, epoch)
	}
	table.SetSubnet(subnet("rack", "10.0.0.0/24", "10.0.0.100", "10.0.0.102"))
	if k := table.Look(from("a"), start); k.Lease != nil {
		t.Errorf("got %v; want no lease on a subnet that was made anew", k.Lease)
	}
}
