package lease

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
)

// A network is one subnet with everything that is known of its addresses.
type network struct {
	subnet    *metal.Subnet // never changed; nil until it is known
	ranges    map[string]*metal.IPRange
	dynamic   []*metal.IPRange // those of ranges that clients get addresses from, by name
	routesBy  map[string]metal.StaticRoute
	routes    []metal.StaticRoute // in the order of names; never changed
	addresses *space
	prefixes  *space // nil: no prefixes are delegated

	owned     map[netip.Addr]metal.Assignment
	reserved  map[netip.Addr]*metal.Reservation
	byMAC     map[metal.MAC]netip.Addr
	byDUID    map[string]netip.Addr
	byMachine map[string]netip.Addr
}

func newNetwork() *network {
	return &network{
		ranges: map[string]*metal.IPRange{}, routesBy: map[string]metal.StaticRoute{}, addresses: newSpace(0),
		owned: map[netip.Addr]metal.Assignment{}, reserved: map[netip.Addr]*metal.Reservation{}, byMAC: map[metal.MAC]netip.Addr{}, byDUID: map[string]netip.Addr{}, byMachine: map[string]netip.Addr{},
	}
}

// serves says whether a client of the network can get an address, or a prefix.
func (n *network) serves(k Kind) bool {
	return n.subnet != nil && n.subnet.Spec.DHCP.Serves() && n.space(k) != nil
}

// space returns what leases of a kind come from; nil for nothing.
func (n *network) space(k Kind) *space {
	if k == Prefix {
		return n.prefixes
	}
	return n.addresses
}

// setLease takes over a stored lease. A prefix of a length that was delegated once stays out of the others' hands.
func (n *network) setLease(client string, l *metal.Lease, now time.Time) {
	switch {
	case l.Bits == 0:
		n.addresses.setLease(client, l, now)
	case n.prefixes == nil:
	case n.prefixes.bits == l.Bits:
		n.prefixes.setLease(client, l, now)
	case l.ExpiresAt.After(now):
		n.prefixes.used.AddRange(extent(l.Addr, l.Bits))
	}
}

// dropLease forgets the lease on an address, or on the prefix that begins with it.
func (n *network) dropLease(a netip.Addr, now time.Time) {
	n.addresses.dropLease(a, now)
	if n.prefixes != nil {
		n.prefixes.dropLease(a, now)
	}
}

// set takes over the subnet as it is now.
func (n *network) set(s *metal.Subnet, now time.Time) {
	n.subnet = s
	pool := s.Spec.DHCP.Delegation
	switch {
	case pool == nil || !pool.CIDR.IsValid() || pool.Length < pool.CIDR.Bits() || pool.Length > pool.CIDR.Addr().BitLen():
		n.prefixes = nil
	case n.prefixes == nil || n.prefixes.bits != pool.Length:
		was := n.prefixes
		n.prefixes = newSpace(pool.Length)
		n.prefixes.avoid(was, now)
	}
	n.arrange(now)
}

// arrange works out what clients may get: the dynamic ranges, without what others manage and without the gateway's
// and the servers' addresses; and of the prefixes those that the subnet itself does not lie in.
func (n *network) arrange(now time.Time) {
	if n.subnet == nil {
		return
	}
	spec := n.subnet.Spec
	first, last, _ := ipam.Usable(spec)
	var blocked ipam.Set
	for _, a := range slices.Concat([]netip.Addr{spec.Gateway}, spec.DNS, spec.NTP) {
		blocked.Add(a)
	}
	dynamic := slices.Clone(spec.DHCP.Ranges)
	n.dynamic = n.dynamic[:0:0]
	for _, name := range slices.Sorted(maps.Keys(n.ranges)) {
		r := n.ranges[name]
		if r.Spec.Kind == metal.RangeReserved {
			blocked.AddRange(bounds(r))
			continue
		}
		dynamic = append(dynamic, bounds(r))
		n.dynamic = append(n.dynamic, r)
	}
	var ranges []metal.AddrRange
	for _, r := range dynamic {
		if !r.First.IsValid() || r.First.BitLen() != first.BitLen() || r.Last.BitLen() != last.BitLen() {
			continue
		}
		if r.First.Less(first) {
			r.First = first
		}
		if last.Less(r.Last) {
			r.Last = last
		}
		for gap, ok := blocked.FirstGap(r.First, r.Last); ok; gap, ok = blocked.FirstGap(gap.Last.Next(), r.Last) {
			ranges = append(ranges, gap)
		}
	}
	n.addresses.setRanges(ranges, now)
	if n.prefixes != nil {
		n.prefixes.setRanges(without(spec.DHCP.Delegation.CIDR, widened(spec.CIDR, n.prefixes.bits)), now)
	}
}

// widened is a network, or the prefix of that length that it lies in.
func widened(p netip.Prefix, bits int) netip.Prefix {
	if p.Bits() <= bits {
		return p
	}
	return netip.PrefixFrom(p.Addr(), bits).Masked()
}

// without is a network less another one.
func without(p, less netip.Prefix) []metal.AddrRange {
	all := netipx.RangeOfPrefix(p.Masked())
	hole := netipx.RangeOfPrefix(less)
	if !all.IsValid() || !hole.IsValid() || !p.Overlaps(less) {
		return []metal.AddrRange{{First: all.From(), Last: all.To()}}
	}
	var set ipam.Set
	set.AddRange(metal.AddrRange{First: hole.From(), Last: hole.To()})
	var ranges []metal.AddrRange
	for gap, ok := set.FirstGap(all.From(), all.To()); ok; gap, ok = set.FirstGap(gap.Last.Next(), all.To()) {
		ranges = append(ranges, gap)
	}
	return ranges
}

func bounds(r *metal.IPRange) metal.AddrRange {
	return metal.AddrRange{First: r.Spec.First, Last: r.Spec.Last}
}

// setRoute takes over a route; nil removes it.
func (n *network) setRoute(name string, r *metal.StaticRoute) {
	if delete(n.routesBy, name); r != nil {
		n.routesBy[name] = *r
	}
	n.routes = slices.SortedFunc(maps.Values(n.routesBy), func(a, b metal.StaticRoute) int { return cmp.Compare(a.Name, b.Name) })
}

// setAssignment takes over whose an address is.
func (n *network) setAssignment(a metal.Assignment, now time.Time) {
	n.forget(a.Addr)
	n.owned[a.Addr] = a
	switch {
	case a.MachineID != "":
		n.byMachine[a.MachineID] = a.Addr
	case a.MAC != "":
		n.byMAC[a.MAC] = a.Addr
	}
	if a.DUID != "" {
		n.byDUID[a.DUID] = a.Addr
	}
	n.addresses.setOwned(a.Addr, true, now)
}

// dropAssignment takes over that an address is nobody's.
func (n *network) dropAssignment(a netip.Addr, now time.Time) {
	if n.forget(a) {
		n.addresses.setOwned(a, false, now)
	}
}

// forget forgets whose an address was, and says whether it was somebody's.
func (n *network) forget(addr netip.Addr) bool {
	a, was := n.owned[addr]
	if !was {
		return false
	}
	delete(n.owned, addr)
	if n.byMachine[a.MachineID] == addr {
		delete(n.byMachine, a.MachineID)
	}
	if n.byMAC[a.MAC] == addr {
		delete(n.byMAC, a.MAC)
	}
	if n.byDUID[a.DUID] == addr {
		delete(n.byDUID, a.DUID)
	}
	return true
}

// options are what the subnet says, and where a range that an address lies in says otherwise, that.
func (n *network) options(a netip.Addr) metal.DHCPOptions {
	o := n.subnet.Spec.DHCP.Options
	for _, r := range n.dynamic {
		if bounds(r).Contains(a) {
			o = merge(o, r.Spec.Options)
		}
	}
	return o
}
