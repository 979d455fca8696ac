package netconf

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// leastMTU is that of IPv4 (RFC 791, 3.1); leastMTU6 that of IPv6 (RFC 8200, 5).
const leastMTU, leastMTU6 = 68, 1280

var (
	// nameForm is narrower than Linux's own rule (IFNAMSIZ less its final NUL), so that no file or alias of a renderer
	// can take a name for something else.
	nameForm   = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_.-]{0,14}$`)
	domainForm = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*\.?$`)
)

// checkLink checks what every element has. routes are those of the elements before, by what they are told apart by.
func checkLink(path string, l *metal.NetworkLink, routes map[string]string) error {
	if !nameForm.MatchString(l.Name) {
		return metal.Errorf(metal.Invalid, "%s.name is %q; it has to be a letter and up to 14 letters, digits, dots, dashes and underscores", path, l.Name)
	}
	if l.Name == "lo" || l.Name == "all" || l.Name == "default" {
		return metal.Errorf(metal.Invalid, "%s.name is %q, which the system uses itself", path, l.Name)
	}
	six := l.DHCP6
	for i, s := range l.Addresses {
		p, err := netip.ParsePrefix(s)
		if err != nil || p.Addr().IsUnspecified() || p.Addr().IsMulticast() || p.Addr().Is4In6() || p.Bits() == 0 {
			return metal.Errorf(metal.Invalid, "%s.addresses[%d] is %q, which is no address with the length of its subnet, as in 192.0.2.7/24", path, i, s)
		}
		six = six || p.Addr().Is6()
	}
	least := leastMTU
	if six {
		least = leastMTU6
	}
	if l.MTU != 0 && (l.MTU < least || l.MTU > 65535) {
		return metal.Errorf(metal.Invalid, "%s.mtu is %d; it has to be %d to 65535", path, l.MTU, least)
	}
	for i, r := range l.Routes {
		if err := checkRoute(fmt.Sprintf("%s.routes[%d]", path, i), r, routes); err != nil {
			return err
		}
	}
	for i, s := range l.DNS {
		if a, err := netip.ParseAddr(s); err != nil || a.IsUnspecified() || a.Zone() != "" {
			return metal.Errorf(metal.Invalid, "%s.dns[%d] is %q, which is no address", path, i, s)
		}
	}
	for i, s := range l.Search {
		if len(s) > 253 || !domainForm.MatchString(s) {
			return metal.Errorf(metal.Invalid, "%s.search[%d] is %q, which is no DNS name", path, i, s)
		}
	}
	return nil
}

func checkRoute(path string, r metal.NetworkRoute, routes map[string]string) error {
	to, err := netip.ParsePrefix(r.To)
	if err != nil || to != to.Masked() {
		return metal.Errorf(metal.Invalid, "%s.to is %q, which is no subnet, as in 10.0.0.0/8", path, r.To)
	}
	via, err := netip.ParseAddr(r.Via)
	if err != nil || via.IsUnspecified() || via.Zone() != "" {
		return metal.Errorf(metal.Invalid, "%s.via is %q, which is no address", path, r.Via)
	}
	if to.Addr().Is4() != via.Is4() {
		return metal.Errorf(metal.Invalid, "%s goes to %s via %s, which is of another family", path, to, via)
	}
	if r.Metric < 0 {
		return metal.Errorf(metal.Invalid, "%s.metric is %d; it has to be 0 or more", path, r.Metric)
	}
	key := fmt.Sprint(to, r.Metric)
	if other, ok := routes[key]; ok {
		return metal.Errorf(metal.Invalid, "%s goes to %s with the same metric as %s", path, to, other)
	}
	routes[key] = path
	return nil
}

// checkBond checks the options of a bond against each other, and gives it those that were left out.
func checkBond(path string, b *metal.NetworkBond) error {
	if b.Mode == "" {
		b.Mode = "active-backup"
	}
	if b.MIIMon == 0 {
		b.MIIMon = 100
	}
	for _, o := range []struct {
		name  string
		set   bool
		modes []string
	}{
		{"lacp_rate", b.LACPRate != "", []string{"802.3ad"}},
		{"min_links", b.MinLinks != 0, []string{"802.3ad"}},
		{"xmit_hash_policy", b.XmitHashPolicy != "", []string{"balance-xor", "802.3ad", "balance-tlb", "balance-alb"}},
		{"primary_port", b.PrimaryPort != "", []string{"active-backup", "balance-tlb", "balance-alb"}},
	} {
		if o.set && !slices.Contains(o.modes, b.Mode) {
			return metal.Errorf(metal.Invalid, "%s.%s means nothing in mode %s, only in %v", path, o.name, b.Mode, o.modes)
		}
	}
	switch {
	case len(b.Interfaces) == 0:
		return metal.Errorf(metal.Invalid, "%s.interfaces is empty", path)
	case b.PrimaryPort != "" && !slices.Contains(b.Interfaces, b.PrimaryPort):
		return metal.Errorf(metal.Invalid, "%s.primary_port is %q, which is none of its interfaces", path, b.PrimaryPort)
	case b.MinLinks > len(b.Interfaces):
		return metal.Errorf(metal.Invalid, "%s.min_links is %d, more than it has interfaces", path, b.MinLinks)
	case b.UpDelay%b.MIIMon != 0 || b.DownDelay%b.MIIMon != 0:
		return metal.Errorf(metal.Invalid, "%s: up_delay and down_delay have to be multiples of miimon, which is %d", path, b.MIIMon)
	}
	return nil
}

func checkBridge(path string, b *metal.NetworkBridge) error {
	if d := b.ForwardDelay; d != nil && b.STP != nil && *b.STP && *d < 2 {
		return metal.Errorf(metal.Invalid, "%s.forward_delay is %d; with stp it has to be 2 to 30", path, *d)
	}
	return nil
}

// checkGraph checks names and references, and returns what a link is a port of, by its name and in words.
func checkGraph(all []element) (map[string]string, error) {
	byName, ports := map[string]element{}, map[string]string{}
	for _, e := range all {
		if other, ok := byName[e.link.Name]; ok {
			return nil, metal.Errorf(metal.Invalid, "%s.name is %q, as is that of %s", e.path, e.link.Name, other.path)
		}
		byName[e.link.Name] = e
	}
	below := map[string][]string{
		"bond": {"interface"}, "vlan": {"interface", "bond", "bridge"}, "bridge": {"interface", "bond", "vlan"},
	}
	for _, e := range all {
		for i, name := range e.lower {
			path := e.path + "." + e.field
			if e.kind != "vlan" {
				path = fmt.Sprintf("%s[%d]", path, i)
			}
			low, ok := byName[name]
			switch {
			case !ok:
				return nil, metal.Errorf(metal.Invalid, "%s is %q, and no element has that name", path, name)
			case !slices.Contains(below[e.kind], low.kind):
				return nil, metal.Errorf(metal.Invalid, "%s is %s, a %s; a %s is made of %v", path, name, low.kind, e.kind, below[e.kind])
			case e.kind == "vlan":
				continue
			case ports[name] != "":
				return nil, metal.Errorf(metal.Invalid, "%s is %s, which is %s already", path, name, ports[name])
			case addressed(low.link):
				return nil, metal.Errorf(metal.Invalid, "%s is %s, which has addresses of its own; give them to %s", path, name, e.link.Name)
			}
			ports[name] = "a port of " + e.link.Name
		}
	}
	for _, e := range all {
		if e.kind == "vlan" && ports[e.lower[0]] != "" {
			return nil, metal.Errorf(metal.Invalid, "%s.link is %s, which is %s; put the VLAN on that", e.path, e.lower[0], ports[e.lower[0]])
		}
	}
	return ports, checkCycles(all, byName)
}

// addressed says whether a link has what a port of a bond or bridge cannot have.
func addressed(l *metal.NetworkLink) bool {
	return l.Primary || l.DHCP4 || l.DHCP6 || len(l.Subnets)+len(l.Addresses)+len(l.Routes)+len(l.DNS)+len(l.Search) > 0 || l.AcceptRA != nil
}

// checkCycles refuses a link that is made of itself. Only a bridge over a VLAN leads upwards again.
func checkCycles(all []element, byName map[string]element) error {
	done := map[string]bool{}
	var walk func(name string, above []string) error
	walk = func(name string, above []string) error {
		if slices.Contains(above, name) {
			return metal.Errorf(metal.Invalid, "%s is made of itself: %v", byName[name].path, append(above, name))
		}
		if done[name] {
			return nil
		}
		for _, low := range byName[name].lower {
			if err := walk(low, append(above, name)); err != nil {
				return err
			}
		}
		done[name] = true
		return nil
	}
	for _, e := range all {
		if err := walk(e.link.Name, nil); err != nil {
			return err
		}
	}
	return nil
}
