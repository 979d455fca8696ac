// Package lease is the picture of who has which address that DHCP decides on: everything that is stored of subnets,
// owners and leases, and beside it what was offered and is not stored yet. It is pure: whoever feeds it tells it of
// every change, in the order of commits, and it does no I/O.
package lease

import (
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Table has every subnet, every address that belongs to somebody, and every lease. An address has one holder at
// most: an owner, the client of a lease that has not ended, or one that it is kept for. It is safe for concurrent use.
// What it is shown and what it returns is never changed.
type Table struct {
	mu       sync.Mutex
	clock    clock
	epoch    uint64
	networks map[string]*network
	byPrefix map[netip.Prefix][]string // names of subnets, sorted
	lengths  []prefixLength            // of byPrefix
	vlans    map[string]*metal.VLAN    // by name
	vlanOf   map[vlan]*metal.VLAN
	segments map[segment][]string // names of the subnets of each, sorted

	machines     map[string]*metal.Machine // by id
	machineOf    map[metal.MAC]*metal.Machine
	devices      map[string]*metal.Device
	deviceOf     map[metal.MAC]*metal.Device
	reservations map[string]*metal.Reservation
}

type prefixLength struct{ family, bits int }

// A segment is the part of a layer-2 network that one family of addresses is.
type segment struct {
	vlan vlan
	v6   bool
}

type vlan struct {
	fabric string
	vid    int
}

// New returns an empty table.
func New() *Table {
	return &Table{
		networks: map[string]*network{}, byPrefix: map[netip.Prefix][]string{}, vlans: map[string]*metal.VLAN{}, vlanOf: map[vlan]*metal.VLAN{}, segments: map[segment][]string{},
		machines: map[string]*metal.Machine{}, machineOf: map[metal.MAC]*metal.Machine{},
		devices: map[string]*metal.Device{}, deviceOf: map[metal.MAC]*metal.Device{}, reservations: map[string]*metal.Reservation{},
	}
}

// Now returns the time that leases are to be judged by when the wall clock says now. It never goes back, and moves
// on where the wall clock was set back.
func (t *Table) Now(now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.clock.at(now)
}

// change takes over something other than a lease.
func (t *Table) change(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.epoch++
	f()
}

// network returns what is known of a subnet, which may be known by its parts only until itself is.
func (t *Table) network(name string) *network {
	n := t.networks[name]
	if n == nil {
		n = newNetwork()
		t.networks[name] = n
	}
	return n
}

// SetSubnet takes over a subnet that is new or has changed.
func (t *Table) SetSubnet(s *metal.Subnet) {
	t.change(func() {
		n := t.network(s.Name)
		if n.subnet == nil || n.subnet.Spec.CIDR != s.Spec.CIDR || segmentOf(n.subnet.Spec) != segmentOf(s.Spec) {
			t.unplace(n.subnet)
			t.place(s)
		}
		n.set(s, t.clock.now)
	})
}

// DropSubnet forgets a subnet with all that is in it.
func (t *Table) DropSubnet(name string) {
	t.change(func() {
		if n := t.networks[name]; n != nil {
			t.unplace(n.subnet)
			delete(t.networks, name)
		}
	})
}

func segmentOf(s metal.SubnetSpec) segment {
	return segment{vlanKey(s.Fabric, s.VLAN), s.CIDR.Addr().Is6()}
}

func vlanKey(fabric string, vid int) vlan {
	if fabric == "" {
		fabric = metal.DefaultFabric
	}
	return vlan{fabric, vid}
}

func (t *Table) place(s *metal.Subnet) {
	p, g := s.Spec.CIDR.Masked(), segmentOf(s.Spec)
	insert := func(list []string) []string {
		list = append(slices.Clone(list), s.Name)
		slices.Sort(list)
		return list
	}
	t.byPrefix[p], t.segments[g] = insert(t.byPrefix[p]), insert(t.segments[g])
	t.measure()
}

func (t *Table) unplace(s *metal.Subnet) {
	if s == nil {
		return
	}
	p, g := s.Spec.CIDR.Masked(), segmentOf(s.Spec)
	remove := func(list []string) []string {
		return slices.DeleteFunc(slices.Clone(list), func(name string) bool { return name == s.Name })
	}
	if t.byPrefix[p] = remove(t.byPrefix[p]); len(t.byPrefix[p]) == 0 {
		delete(t.byPrefix, p)
	}
	if t.segments[g] = remove(t.segments[g]); len(t.segments[g]) == 0 {
		delete(t.segments, g)
	}
	t.measure()
}

// measure notes the lengths of prefixes that there are, the longest first.
func (t *Table) measure() {
	have := map[prefixLength]bool{}
	for p := range t.byPrefix {
		have[prefixLength{p.Addr().BitLen(), p.Bits()}] = true
	}
	t.lengths = slices.SortedFunc(maps.Keys(have), func(a, b prefixLength) int { return b.bits - a.bits })
}

// SetVLAN takes over a VLAN that is new or has changed.
func (t *Table) SetVLAN(v *metal.VLAN) {
	t.change(func() {
		t.forgetVLAN(v.Name)
		t.vlans[v.Name], t.vlanOf[vlanKey(v.Spec.Fabric, v.Spec.VID)] = v, v
	})
}

// DropVLAN forgets a VLAN.
func (t *Table) DropVLAN(name string) { t.change(func() { t.forgetVLAN(name) }) }

func (t *Table) forgetVLAN(name string) {
	was := t.vlans[name]
	if was == nil {
		return
	}
	delete(t.vlans, name)
	if key := vlanKey(was.Spec.Fabric, was.Spec.VID); t.vlanOf[key] == was {
		delete(t.vlanOf, key)
	}
}

// SetRange takes over a range that is new or has changed. It stays within its subnet.
func (t *Table) SetRange(r *metal.IPRange) {
	t.change(func() {
		n := t.network(r.Spec.Subnet)
		n.ranges[r.Name] = r
		n.arrange(t.clock.now)
	})
}

// DropRange forgets a range. Clients with leases in it find at their renewal that they have none.
func (t *Table) DropRange(r *metal.IPRange) {
	t.change(func() {
		if n := t.networks[r.Spec.Subnet]; n != nil {
			delete(n.ranges, r.Name)
			n.arrange(t.clock.now)
		}
	})
}

// SetStaticRoute takes over a route that is new or has changed. It stays within its subnet.
func (t *Table) SetStaticRoute(r *metal.StaticRoute) {
	t.change(func() { t.network(r.Spec.Subnet).setRoute(r.Name, r) })
}

// DropStaticRoute forgets a route.
func (t *Table) DropStaticRoute(r *metal.StaticRoute) {
	t.change(func() {
		if n := t.networks[r.Spec.Subnet]; n != nil {
			n.setRoute(r.Name, nil)
		}
	})
}
