package ra

import (
	"cmp"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Settings are what the hosts of one link are told. The zero value is the least that ends iPXE's wait, and changes
// nothing on other hosts.
type Settings struct {
	Managed bool // tell hosts to ask DHCPv6 for addresses
	Other   bool // tell hosts to ask DHCPv6 for the rest
	// Router makes hosts use us as their default router. A machine that routes, and runs another daemon that
	// advertises it on that link, must not be served: hosts know a router by its address, and take the word of one
	// daemon as that of the other.
	Router   bool
	MTU      uint32 // the link's, told to hosts; 0 tells nothing
	Prefixes []Prefix
	DNS      []netip.Addr // name servers, IPv6
	Search   []string     // domains that short names are tried in
}

const (
	// Lifetimes of prefixes and of addresses made of them: short enough that those of a link that was renumbered while
	// its hosts were not listening go away within the hour (RFC 9096, section 3.2).
	validFor     = 90 * time.Minute
	preferredFor = 45 * time.Minute

	// A fragmented advertisement is not accepted (RFC 6980, section 2): it must fit into the least MTU of IPv6 (1280),
	// less the IPv6 header.
	longestMessage = 1280 - 40
	leastMTU       = 1280
)

// SettingsOf returns what a VLAN's declaration and its subnets come to. ours is our own IPv6 address there, the name
// server where a subnet names none; zone the domain where it names none. What one message has no room for is left out.
func SettingsOf(vlan metal.VLANSpec, subnets []metal.Subnet, ours netip.Addr, zone string) Settings {
	if !vlan.RA.Enabled {
		return Settings{}
	}
	s := Settings{Managed: vlan.RA.Managed, Other: vlan.RA.Other, Router: vlan.RA.Router}
	if vlan.MTU >= leastMTU {
		s.MTU = uint32(vlan.MTU)
	}
	subnets = slices.DeleteFunc(slices.Clone(subnets), func(n metal.Subnet) bool {
		return !n.Spec.CIDR.Addr().Is6() || n.Spec.CIDR.Addr().Is4In6()
	})
	for _, n := range subnets {
		p := Prefix{
			Prefix: n.Spec.CIDR, OnLink: true, Valid: validFor, Preferred: preferredFor,
			Autonomous: vlan.RA.Autonomous && n.Spec.CIDR.Bits() == 64, // RFC 4862, section 5.5.3 d, on Ethernet
		}
		s.add(func(more *Settings) { more.Prefixes = append(slices.Clone(s.Prefixes), p) })
	}
	for _, n := range subnets {
		servers := n.Spec.DNS
		if len(servers) == 0 {
			servers = []netip.Addr{ours}
		}
		for _, a := range servers {
			if !slices.Contains(s.DNS, a) {
				s.add(func(more *Settings) { more.DNS = append(slices.Clone(s.DNS), a) })
			}
		}
		search := n.Spec.Search
		if len(search) == 0 {
			search = []string{cmp.Or(n.Spec.Domain, zone)}
		}
		for _, domain := range search {
			domain = strings.ToLower(strings.TrimSuffix(domain, "."))
			if !slices.Contains(s.Search, domain) {
				s.add(func(more *Settings) { more.Search = append(slices.Clone(s.Search), domain) })
			}
		}
	}
	return s
}

// add makes a change unless hosts would not accept what comes of it.
func (s *Settings) add(change func(*Settings)) {
	more := *s
	if change(&more); more.check() == nil {
		*s = more
	}
}

// check refuses what hosts would ignore, or what RFC 4861, section 6.2.1 forbids.
func (s Settings) check() error {
	if s.MTU != 0 && s.MTU < leastMTU {
		return metal.Errorf(metal.Invalid, "MTU %d; IPv6 needs %d at least", s.MTU, leastMTU)
	}
	for _, p := range s.Prefixes {
		switch {
		case !p.Prefix.IsValid() || !p.Prefix.Addr().Is6() || p.Prefix.Addr().Is4In6() || p.Prefix.Addr().IsLinkLocalUnicast() || p.Prefix.Addr().IsMulticast():
			return metal.Errorf(metal.Invalid, "prefix %s; use a unicast IPv6 prefix", p.Prefix)
		case p.Autonomous && p.Prefix.Bits() != 64:
			return metal.Errorf(metal.Invalid, "autonomous prefix %s; hosts make addresses of a /64 only", p.Prefix)
		case p.Preferred > p.Valid:
			return metal.Errorf(metal.Invalid, "prefix %s is preferred for %s and valid for %s; make valid the longer", p.Prefix, p.Preferred, p.Valid)
		}
	}
	for _, a := range s.DNS {
		if !a.Is6() || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || a.Zone() != "" {
			return metal.Errorf(metal.Invalid, "name server %s; use a unicast IPv6 address", a)
		}
	}
	for _, name := range s.Search {
		if !isName(name) {
			return metal.Errorf(metal.Invalid, "search domain %q; use a domain name", name)
		}
	}
	if size := len(s.advertisement(nil, maxInterval).Marshal()) + 8; size > longestMessage {
		return metal.Errorf(metal.Invalid, "%d bytes; one message takes %d: advertise fewer prefixes, name servers or search domains", size, longestMessage)
	}
	return nil
}

// advertisement is what the settings say, from a machine with the hardware address mac that repeats it at least every
// interval. Lifetimes outlast two that are lost (RFC 4861, section 6.2.1, AdvDefaultLifetime; RFC 8106, section 5.1).
func (s Settings) advertisement(mac net.HardwareAddr, interval time.Duration) Advertisement {
	a := Advertisement{Managed: s.Managed, Other: s.Other, MTU: s.MTU, SourceLinkLayer: mac, Prefixes: s.Prefixes}
	if s.Router {
		a.RouterLifetime = 3 * interval
	}
	if len(s.DNS) > 0 {
		a.Resolvers = []Resolvers{{s.DNS, 3 * interval}}
	}
	if len(s.Search) > 0 {
		a.Search = []Search{{s.Search, 3 * interval}}
	}
	return a
}

// equal says whether both tell hosts the same.
func (s Settings) equal(t Settings) bool {
	return s.Managed == t.Managed && s.Other == t.Other && s.Router == t.Router && s.MTU == t.MTU &&
		slices.Equal(s.Prefixes, t.Prefixes) && slices.Equal(s.DNS, t.DNS) && slices.Equal(s.Search, t.Search)
}

// minus is what was said in s or gone, and is not in now: what hosts must be told to forget. A prefix that they may
// still be on, but make no addresses of, stands in it for the latter.
func (s Settings) minus(gone, now Settings) Settings {
	var left Settings
	for _, p := range slices.Concat(s.Prefixes, gone.Prefixes) {
		i := slices.IndexFunc(now.Prefixes, func(n Prefix) bool { return n.Prefix == p.Prefix })
		if i >= 0 {
			p.OnLink, p.Autonomous = p.OnLink && !now.Prefixes[i].OnLink, p.Autonomous && !now.Prefixes[i].Autonomous
		}
		if (p.OnLink || p.Autonomous) && !slices.ContainsFunc(left.Prefixes, func(l Prefix) bool { return l.Prefix == p.Prefix }) {
			p.Valid, p.Preferred = 0, 0
			left.Prefixes = append(left.Prefixes, p)
		}
	}
	for _, a := range slices.Concat(s.DNS, gone.DNS) {
		if !slices.Contains(now.DNS, a) && !slices.Contains(left.DNS, a) {
			left.DNS = append(left.DNS, a)
		}
	}
	for _, name := range slices.Concat(s.Search, gone.Search) {
		if !slices.Contains(now.Search, name) && !slices.Contains(left.Search, name) {
			left.Search = append(left.Search, name)
		}
	}
	return left
}

// forgetting is an advertisement that also ends what is gone, as far as one message has room for that: prefixes first.
func (a Advertisement) forgetting(gone Settings) Advertisement {
	with := func(more Advertisement) {
		if len(more.Marshal()) <= longestMessage {
			a = more
		}
	}
	for _, p := range gone.Prefixes {
		more := a
		more.Prefixes = append(slices.Clone(a.Prefixes), p)
		with(more)
	}
	for _, server := range gone.DNS {
		more := a
		more.Resolvers = append(slices.Clone(a.Resolvers), Resolvers{Servers: []netip.Addr{server}})
		with(more)
	}
	for _, name := range gone.Search {
		more := a
		more.Search = append(slices.Clone(a.Search), Search{Domains: []string{name}})
		with(more)
	}
	return a
}
