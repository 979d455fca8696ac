package ipam

import (
	"net/netip"
	"slices"
	"sort"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Pick returns the first address of a subnet that may belong to a machine: a usable one, in no dynamic range, that is
// not the gateway's or a name or time server's, not reserved and not taken. It asks about each taken address before it,
// so that its cost grows with them: a caller with many has them in order for PickSorted.
func Pick(s metal.SubnetSpec, reserved []netip.Addr, taken func(netip.Addr) bool) (netip.Addr, bool) {
	first, last, _ := Usable(s)
	return firstFree(notForMachines(s, reserved), first, last, taken)
}

// PickSorted is Pick for addresses that are taken and given in rising order, each once. It skips each run of them in
// O(log n): 100,000 without a gap cost hardly more than 100.
func PickSorted(s metal.SubnetSpec, reserved, taken []netip.Addr) (netip.Addr, bool) {
	blocked := notForMachines(s, reserved)
	from, last, _ := Usable(s)
	for gap, ok := blocked.FirstGap(from, last); ok; gap, ok = blocked.FirstGap(from, last) {
		start, _ := slices.BinarySearchFunc(taken, gap.First, netip.Addr.Compare)
		rest := taken[start:]
		// Within a run without holes the i-th taken address is i steps from its begin; behind the first hole none is.
		held := uint64(sort.Search(len(rest), func(i int) bool {
			return gap.Last.Less(rest[i]) || distance(gap.First, rest[i]) != uint64(i)
		}))
		if held == 0 || held-1 < distance(gap.First, gap.Last) {
			return advance(gap.First, held), true
		}
		if from = gap.Last.Next(); !from.IsValid() || last.Less(from) {
			break
		}
	}
	return netip.Addr{}, false
}

// PickDynamic returns the address that a client without one of its own should get: the hint where it is free and in a
// dynamic range, else the first free address of the ranges in their order. Taken are those of other clients and machines.
func PickDynamic(s metal.SubnetSpec, hint netip.Addr, taken func(netip.Addr) bool) (netip.Addr, bool) {
	infrastructure := servers(s)
	for _, r := range s.DHCP.Ranges {
		if contains(r, hint) && !infrastructure.Contains(hint) && !taken(hint) {
			return hint, true
		}
	}
	for _, r := range s.DHCP.Ranges {
		if a, ok := firstFree(infrastructure, r.First, r.Last, taken); ok {
			return a, true
		}
	}
	return netip.Addr{}, false
}

// firstFree returns the first address between two that is neither blocked nor taken.
func firstFree(blocked *Set, from, last netip.Addr, taken func(netip.Addr) bool) (netip.Addr, bool) {
	for gap, ok := blocked.FirstGap(from, last); ok; gap, ok = blocked.FirstGap(gap.Last.Next(), last) {
		for a := gap.First; contains(gap, a); a = a.Next() {
			if !taken(a) {
				return a, true
			}
		}
	}
	return netip.Addr{}, false
}

// servers are the addresses of a subnet's gateway, name and time servers.
func servers(s metal.SubnetSpec) *Set {
	var set Set
	set.Add(s.Gateway)
	for _, a := range slices.Concat(s.DNS, s.NTP) {
		set.Add(a)
	}
	return &set
}

// notForMachines are the addresses of a subnet that no machine may have as its own, whoever has which.
func notForMachines(s metal.SubnetSpec, reserved []netip.Addr) *Set {
	set := servers(s)
	for _, a := range reserved {
		set.Add(a)
	}
	for _, r := range s.DHCP.Ranges {
		set.AddRange(r)
	}
	return set
}
