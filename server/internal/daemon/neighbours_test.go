package daemon

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/link"
	"github.com/metalform/terraform-provider-metal/server/internal/neighbour"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// wireAnswers answers probes as a wire would on which some addresses are in use; it counts the questions.
type wireAnswers struct {
	mu    sync.Mutex
	used  map[string]metal.MAC
	asked map[string]int
	fail  error
}

func (w *wireAnswers) Probe(_ context.Context, index int, addr netip.Addr) (neighbour.Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if index != 7 {
		return neighbour.Answer{}, errors.New("asked on another interface")
	}
	w.asked[addr.String()]++
	mac, used := w.used[addr.String()]
	return neighbour.Answer{InUse: used, Hardware: mac}, w.fail
}

// wiredProber has 172.31.0.0/16 on interface 7. now is the time, to be moved.
func wiredProber(now *time.Time) (*prober, *wireAnswers) {
	w := &wireAnswers{used: map[string]metal.MAC{"172.31.0.20": firstMAC, "172.31.0.21": ""}, asked: map[string]int{}}
	onLink := func(a netip.Addr) (link.Link, bool) {
		return link.Link{Index: 7}, netip.MustParsePrefix("172.31.0.0/16").Contains(a)
	}
	return &prober{onLink: onLink, ask: w, now: func() time.Time { return *now }, known: map[netip.Addr]*probed{}}, w
}

func TestAddressesInARowAreProbedAtOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p, wire := wiredProber(&now)
	subnet := metal.Subnet{Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")}}
	check := func(addr, who string, inUse bool) {
		t.Helper()
		if gotWho, got := p.probe(t.Context(), subnet, netip.MustParseAddr(addr)); gotWho != who || got != inUse {
			t.Errorf("%s: got %q, %t; want %q, %t", addr, gotWho, got, who, inUse)
		}
	}
	questions := func(addr string, want int) {
		t.Helper()
		if got := wire.asked[addr]; got != want {
			t.Errorf("%s was asked for %d times; want %d", addr, got, want)
		}
	}
	check("172.31.0.19", "", false)
	if len(wire.asked) != 1+probesAhead {
		t.Errorf("got %d addresses asked for; want the one and %d behind it", len(wire.asked), probesAhead)
	}
	check("172.31.0.20", string(firstMAC), true)
	check("172.31.0.21", "", true)
	check("172.31.0.22", "", false)
	for _, a := range []string{"172.31.0.20", "172.31.0.21", "172.31.0.22"} {
		questions(a, 1)
	}
	check("172.31.0.22", "", false)
	questions("172.31.0.22", 2) // an answer is used once: whoever asked has given the address away

	now = now.Add(probeHolds)
	check("172.31.0.40", "", false)
	questions("172.31.0.40", 2) // by the first look ahead, and now: what was known is too old

	wire.asked = map[string]int{}
	check("172.31.0.254", "", false)
	if diff := cmp.Diff(map[string]int{"172.31.0.254": 1}, wire.asked); diff != "" {
		t.Errorf("at the end of a subnet, asked for (-want +got):\n%s", diff)
	}
}

func TestTheLastAddressOfANetworkIsEverybodys(t *testing.T) {
	for _, c := range []struct {
		network, addr string
		want          bool
	}{
		{"10.0.0.0/24", "10.0.0.255", true}, {"10.0.0.0/24", "10.0.0.254", false}, {"10.0.0.0/16", "10.0.0.255", false},
		{"10.0.0.0/30", "10.0.0.3", true}, {"10.0.0.0/31", "10.0.0.1", false}, {"10.0.0.1/32", "10.0.0.1", false},
		{"255.255.255.0/24", "255.255.255.255", true}, {"fd00::/64", "fd00::ffff:ffff:ffff:ffff", false},
	} {
		if got := broadcasts(netip.MustParsePrefix(c.network), netip.MustParseAddr(c.addr)); got != c.want {
			t.Errorf("%s in %s: got %t; want %t", c.addr, c.network, got, c.want)
		}
	}
}

func TestWhatCannotBeProbedIsTakenForFree(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p, wire := wiredProber(&now)
	far := metal.Subnet{Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.1.0.0/24")}}
	if who, inUse := p.probe(t.Context(), far, netip.MustParseAddr("10.1.0.9")); inUse || who != "" || len(wire.asked) != 0 {
		t.Errorf("behind a router: got %q, %t after %d questions; want free, unasked", who, inUse, len(wire.asked))
	}
	wire.fail = errors.New("the network is down")
	near := metal.Subnet{Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")}}
	if who, inUse := p.probe(t.Context(), near, netip.MustParseAddr("172.31.0.20")); inUse || who != "" || len(p.known) != 0 {
		t.Errorf("a fault: got %q, %t, %d answers kept; want free, and none", who, inUse, len(p.known))
	}
}

func TestAnswersOfProbesAreKeptInBoundedNumber(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p, _ := wiredProber(&now)
	addr := netip.MustParseAddr("172.31.0.0")
	for range 3 * probesKept {
		if k, first := p.begin(addr); first {
			close(k.done)
		}
		addr = addr.Next()
	}
	if len(p.known) > probesKept {
		t.Errorf("got %d answers; want %d at most", len(p.known), probesKept)
	}
}

func TestManyAtOnceAskForEachAddressOnce(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	p, wire := wiredProber(&now)
	subnet := metal.Subnet{Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")}}
	var all sync.WaitGroup
	for n := range 64 {
		addr := netip.AddrFrom4([4]byte{172, 31, 0, byte(100 + n)})
		all.Go(func() {
			if who, inUse := p.probe(t.Context(), subnet, addr); inUse {
				t.Errorf("%s: got in use by %s; want free", addr, who)
			}
		})
	}
	all.Wait()
	for n := range 64 {
		addr := netip.AddrFrom4([4]byte{172, 31, 0, byte(100 + n)}).String()
		if got := wire.asked[addr]; got < 1 || got > 2 { // twice where a look ahead came after its answer was used
			t.Errorf("%s was asked for %d times; want once", addr, got)
		}
	}
}

func TestOnlySightingsOfOurSubnetsAreKept(t *testing.T) {
	r, s := declared(t)
	now := time.Now().UTC().Truncate(time.Second)
	see := func(addrs []netip.Prefix, batch ...neighbour.Sighting) {
		t.Helper()
		if err := (sightings{r.db, s, addrs}).Seen(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	here := prefixes("172.31.0.1/24")
	see(here,
		neighbour.Sighting{Address: netip.MustParseAddr("172.31.0.9"), Hardware: firstMAC, When: now},
		neighbour.Sighting{Address: netip.MustParseAddr("fd00:31::9"), Hardware: firstMAC, When: now},
		neighbour.Sighting{Address: netip.MustParseAddr("172.31.1.7"), When: now.Add(-keepSightings - time.Hour)}, // of long ago
		neighbour.Sighting{Address: netip.MustParseAddr("10.20.0.9"), Hardware: firstMAC, When: now},              // of another VLAN
		neighbour.Sighting{Address: netip.MustParseAddr("8.8.8.8"), Hardware: firstMAC, When: now},
		neighbour.Sighting{Address: netip.MustParseAddr("fe80::9"), Hardware: firstMAC, When: now})
	see(prefixes("192.0.2.1/24"), neighbour.Sighting{Address: netip.MustParseAddr("172.31.0.8"), When: now}) // seen on a link without a subnet
	got := map[string][]metal.Sighting{}
	err := r.db.Read(t.Context(), func(tx *store.Tx) error {
		for _, name := range []string{"a-rack", "b-rack", "rack6", "office", "isolated"} {
			list, err := tx.Sightings(name, time.Time{})
			if err != nil {
				return err
			}
			if len(list) > 0 {
				got[name] = list
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]metal.Sighting{
		"a-rack": {{Subnet: "a-rack", Addr: netip.MustParseAddr("172.31.0.9"), MAC: firstMAC, SeenAt: now}},
		"rack6":  {{Subnet: "rack6", Addr: netip.MustParseAddr("fd00:31::9"), MAC: firstMAC, SeenAt: now}},
	}
	if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("sightings (-want +got):\n%s", diff)
	}
}

func TestAnotherDHCPServerIsToldOfWhenItComesAndWhenItGoes(t *testing.T) {
	r := newRig(t)
	four, six := true, true
	w := &rogues{db: r.db, name: "eth0", ours: func(v6 bool) bool { return v6 && six || !v6 && four }}
	server := neighbour.Rogue{Server: netip.MustParseAddr("172.31.0.66"), Hardware: firstMAC, Offered: netip.MustParseAddr("172.31.0.99")}
	silent := neighbour.Rogue{Server: netip.MustParseAddr("fe80::66"), Hardware: firstMAC}
	look := func(found []neighbour.Rogue, want ...string) {
		t.Helper()
		before := len(r.events(t, "rogue-dhcp"))
		if err := w.found(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range r.events(t, "rogue-dhcp")[before:] {
			got = append(got, e.Subject+": "+e.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("events (-want +got):\n%s", diff)
		}
	}
	const (
		todo  = ": take it off the network, or set the subnet's dhcp mode to proxy"
		came  = "eth0: another DHCP server, 172.31.0.66 (52:54:00:00:00:01), answers on eth0 and offers 172.31.0.99" + todo
		came6 = "eth0: another DHCP server, fe80::66 (52:54:00:00:00:01), answers on eth0 and offers no address" + todo
		went  = "eth0: the other DHCP server, 172.31.0.66 (52:54:00:00:00:01), does not answer on eth0 any more"
	)
	look(nil)
	look([]neighbour.Rogue{server}, came)
	look([]neighbour.Rogue{server})
	again := server
	again.Offered = netip.MustParseAddr("172.31.0.98") // the same server with another offer
	look([]neighbour.Rogue{again, silent}, came6)
	look([]neighbour.Rogue{silent}, went)
	look([]neighbour.Rogue{silent, server}, came)
	four = false // a subnet in mode proxy wants another server there: that is no news, neither now nor when it goes
	look([]neighbour.Rogue{silent, server})
	look([]neighbour.Rogue{silent})
	four = true
	look([]neighbour.Rogue{silent, server}, came)
}
