// Package ipam is the arithmetic of addresses: which one is next, what overlaps, what is wrong with a subnet. It is
// pure: it keeps nothing between calls and does no I/O.
package ipam

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"go4.org/netipx"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	maxVLAN = 4094 // IEEE 802.1Q: 0 and 4095 are no VLANs; 0 stands for untagged here

	minLease = 60
	maxLease = 365 * 24 * 3600

	mostCount = 1 << 53 // what a JSON number holds exactly
)

// Usable returns the first and the last address of a subnet that a host may have, and how many there are, at most
// 2^53. In IPv4 the network and broadcast addresses are left out, but for /31 (RFC 3021) and /32; in IPv6 the
// subnet-router anycast address (RFC 4291, 2.6.1), but for /127 (RFC 6164) and /128. A subnet without a network has none.
func Usable(s metal.SubnetSpec) (first, last netip.Addr, count int64) {
	all := netipx.RangeOfPrefix(s.CIDR.Masked())
	if !all.IsValid() {
		return netip.Addr{}, netip.Addr{}, 0
	}
	first, last = all.From(), all.To()
	if first.BitLen()-s.CIDR.Bits() >= 2 {
		first = first.Next()
		if first.Is4() {
			last = last.Prev()
		}
	}
	return first, last, lengthOf(first, last).atMost(mostCount)
}

// faults collects what is wrong with a subnet.
type faults []string

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Sprintf(format, args...)) }

// Validate returns everything that is wrong with a subnet in one Invalid error; nil when nothing is.
func Validate(s metal.SubnetSpec) error {
	var f faults
	if networkFaults(s, &f); len(f) == 0 {
		// Only against a network that is one do the other addresses mean anything.
		gatewayFaults(s, &f)
		rangeFaults(s, &f)
	}
	serverFaults(s, &f)
	if s.VLAN < 0 || s.VLAN > maxVLAN {
		f.add("VLAN %d does not exist: 1 to %d, or 0 for untagged", s.VLAN, maxVLAN)
	}
	if l := s.DHCP.LeaseSeconds; l != 0 && (l < minLease || l > maxLease) {
		f.add("a lease of %d seconds is out of bounds: %d to %d", l, minLease, maxLease)
	}
	switch s.DHCP.Mode {
	case "", metal.DHCPOff, metal.DHCPAuthoritative, metal.DHCPProxy:
	default:
		f.add("there is no DHCP mode %q: use authoritative, proxy or off", s.DHCP.Mode)
	}
	delegationFaults(s, &f)
	optionFaults(s.DHCP.Options, s.CIDR.Addr().Is6(), &f)
	return f.err()
}

// err returns what was collected as one error; nil for nothing.
func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return metal.Errorf(metal.Invalid, "%s", strings.Join(f, "; "))
}

// ValidateRange returns everything that is wrong with a range of a subnet, whatever else is in it, in one Invalid
// error; nil when nothing is.
func ValidateRange(s metal.SubnetSpec, r metal.IPRangeSpec) error {
	var f faults
	switch r.Kind {
	case metal.RangeDynamic, metal.RangeReserved:
		rangeFault(s, string(r.Kind), metal.AddrRange{First: r.First, Last: r.Last}, &f)
	default:
		f.add("there is no kind of range %q: use dynamic or reserved", r.Kind)
	}
	optionFaults(r.Options, s.CIDR.Addr().Is6(), &f)
	return f.err()
}

// delegationFaults is about RFC 8415, 6.3.
func delegationFaults(s metal.SubnetSpec, f *faults) {
	p := s.DHCP.Delegation
	switch {
	case p == nil:
	case s.CIDR.Addr().Is4():
		f.add("prefixes are delegated in IPv6 subnets only")
	case !p.CIDR.IsValid() || !p.CIDR.Addr().Is6() || p.CIDR.Addr().Is4In6() || p.CIDR.Masked() != p.CIDR:
		f.add("%s is not an IPv6 network to delegate prefixes of: give it as in 2001:db8:100::/40", p.CIDR)
	case p.Length < p.CIDR.Bits() || p.Length > 128:
		f.add("prefixes of length %d cannot be delegated out of %s: %d to 128", p.Length, p.CIDR, p.CIDR.Bits())
	case p.CIDR.Overlaps(s.CIDR):
		f.add("prefixes are delegated out of %s, which shares addresses with the subnet's own network %s", p.CIDR, s.CIDR)
	}
}

func networkFaults(s metal.SubnetSpec, f *faults) {
	p := s.CIDR
	switch {
	case !p.IsValid():
		f.add("the subnet has no network: give it as in 192.0.2.0/24")
	case p.Addr().Is4In6():
		f.add("%s is an IPv4 network written as IPv6: give it as in 192.0.2.0/24", p)
	case p.Addr().IsMulticast():
		f.add("%s is a multicast network, which no host has an address in", p)
	case p.Masked() != p:
		f.add("%s has host bits: the network is %s", p, p.Masked())
	case p.Addr().BitLen()-p.Bits() < 2:
		f.add("%s has no room for a gateway and a machine: the longest prefix is /%d", p, p.Addr().BitLen()-2)
	}
}

func gatewayFaults(s metal.SubnetSpec, f *faults) {
	g := s.Gateway
	if !g.IsValid() || (s.CIDR.Addr().Is6() && g.Is6() && g.IsLinkLocalUnicast() && g.Zone() == "") {
		return // an IPv6 router is commonly known by its link-local address (RFC 4861, 4.2)
	}
	if first, last, _ := Usable(s); g.Zone() != "" || !s.CIDR.Contains(g) {
		f.add("gateway %s is not in %s", g, s.CIDR)
	} else if g.Less(first) || last.Less(g) {
		f.add("gateway %s is no host's address in %s", g, s.CIDR)
	}
}

func rangeFaults(s metal.SubnetSpec, f *faults) {
	var good []metal.AddrRange
	for _, r := range s.DHCP.Ranges {
		if !rangeFault(s, string(metal.RangeDynamic), r, f) {
			continue
		}
		for _, other := range good {
			if overlap(r, other) {
				f.add("dynamic ranges %s and %s overlap", nameOf(other), nameOf(r))
			}
		}
		good = append(good, r)
	}
}

// rangeFault is about one range. It returns whether that has two ends within the subnet, in their order.
func rangeFault(s metal.SubnetSpec, kind string, r metal.AddrRange, f *faults) bool {
	first, last, _ := Usable(s)
	name := nameOf(r)
	switch {
	case !r.First.IsValid() || !r.Last.IsValid():
		f.add("%s range %s lacks an end", kind, name)
		return false
	case r.First.Zone() != "" || r.Last.Zone() != "" || !s.CIDR.Contains(r.First) || !s.CIDR.Contains(r.Last):
		f.add("%s range %s is not within %s", kind, name, s.CIDR)
		return false
	case r.Last.Less(r.First):
		f.add("%s range %s is reversed: give the lower address first", kind, name)
		return false
	case r.First.Less(first) || last.Less(r.Last):
		f.add("%s range %s holds the network or broadcast address of %s: hosts may have %s to %s", kind, name, s.CIDR, first, last)
	}
	if kind == string(metal.RangeDynamic) && r.Contains(s.Gateway) {
		f.add("%s range %s contains the gateway %s", kind, name, s.Gateway)
	}
	return true
}

func overlap(a, b metal.AddrRange) bool { return !a.Last.Less(b.First) && !b.Last.Less(a.First) }

// RangeOverlaps returns a Conflict error that names every range, by the names in others, that shares addresses with r,
// and those of the subnet itself; nil when none does.
func RangeOverlaps(s metal.SubnetSpec, r metal.AddrRange, others map[string]metal.AddrRange) error {
	var hits []string
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if o := others[name]; overlap(r, o) {
			hits = append(hits, fmt.Sprintf("%s (%s)", name, nameOf(o)))
		}
	}
	for _, o := range s.DHCP.Ranges {
		if overlap(r, o) {
			hits = append(hits, fmt.Sprintf("the subnet's own dhcp range %s", nameOf(o)))
		}
	}
	if len(hits) == 0 {
		return nil
	}
	return metal.Errorf(metal.Conflict, "range %s shares addresses with %s: choose another", nameOf(r), strings.Join(hits, ", "))
}

// Beyond returns the runs of addresses that are in one of the ranges and in none of the old ones.
func Beyond(ranges, old []metal.AddrRange) []metal.AddrRange {
	var set Set
	for _, r := range ranges {
		set.AddRange(r)
	}
	for _, r := range old {
		set.RemoveRange(r)
	}
	var left []metal.AddrRange
	for _, r := range ranges {
		left = slices.AppendSeq(left, set.runs(r))
	}
	return left
}

func serverFaults(s metal.SubnetSpec, f *faults) {
	for _, name := range append(slices.Clone(s.Search), s.Domain) {
		if why := nameFault(strings.TrimSuffix(name, ".")); name != "" && why != "" {
			f.add("%s", why)
		}
	}
	for _, kind := range []struct {
		name string
		list []netip.Addr
	}{{"name server", s.DNS}, {"time server", s.NTP}} {
		for _, a := range kind.list {
			if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
				f.add("%s %s is not an address that clients could ask", kind.name, a)
			}
		}
	}
}

func nameOf(r metal.AddrRange) string { return fmt.Sprintf("%s to %s", r.First, r.Last) }

// Overlaps returns a Conflict error that names every subnet, by the names in others, that is on the fabric of s and
// shares addresses with it; nil when none does. Another fabric may use the same addresses. An empty fabric is "default".
func Overlaps(s metal.SubnetSpec, others map[string]metal.SubnetSpec) error {
	var hits []string
	for _, name := range slices.Sorted(maps.Keys(others)) {
		if o := others[name]; fabric(o) == fabric(s) && o.CIDR.Overlaps(s.CIDR) {
			hits = append(hits, fmt.Sprintf("%s (%s)", name, o.CIDR))
		}
	}
	if len(hits) == 0 {
		return nil
	}
	return metal.Errorf(metal.Conflict, "network %s shares addresses with %s on fabric %s: choose another network, or another fabric",
		s.CIDR, strings.Join(hits, ", "), fabric(s))
}

func fabric(s metal.SubnetSpec) string {
	if s.Fabric == "" {
		return "default"
	}
	return s.Fabric
}
