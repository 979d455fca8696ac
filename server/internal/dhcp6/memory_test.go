package dhcp6

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// memory is a Store for tests with real clients: subnets, what is assigned, and leases, nothing of it on disk.
type memory struct {
	mu       sync.Mutex
	subnets  []*metal.Subnet
	assigned map[string]netip.Addr // by DUID or MAC address
	options  metal.DHCPOptions
	leases   []metal.Lease
}

// assign gives a machine its own address, also while clients are served.
func (m *memory) assign(key string, addr netip.Addr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.assigned[key] = addr
}

func (m *memory) Exchange(q Query, decide func(View, time.Time) Answer, done func(Answer, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	a := decide(m.view(q, now), now)
	for _, gone := range a.Drop {
		m.leases = slices.DeleteFunc(m.leases, func(l metal.Lease) bool { return whatOf(l) == whatOf(gone) })
	}
	for _, l := range a.Leases {
		m.leases = slices.DeleteFunc(m.leases, func(old metal.Lease) bool { return whatOf(old) == whatOf(l) })
		m.leases = append(m.leases, l)
	}
	done(a, nil)
}

func (m *memory) view(q Query, now time.Time) View {
	v := View{Server: ours, Domain: "metal.test", Search: []string{"metal.test", "example.org"}, BootURL: base, Options: m.options}
	for _, s := range m.subnets {
		if s.Spec.CIDR.Contains(q.Link) {
			v.Subnet, v.OnLink = s, []netip.Prefix{s.Spec.CIDR}
		}
	}
	if v.Subnet == nil {
		return v
	}
	for _, key := range []string{q.Client, string(q.MAC)} {
		if a, ok := m.assigned[key]; ok && v.Subnet.Spec.CIDR.Contains(a) {
			v.Assigned = []netip.Addr{a}
			v.Hostname = "node-1"
		}
	}
	var shown []netip.Prefix
	for _, ia := range q.IAs {
		h := Hold{FreeIn: v.Subnet.Name}
		for i, l := range m.leases {
			if l.ClientID == q.Client && l.IAID == ia.IAID && (l.Bits > 0) == (ia.Kind == Prefix) && l.State != metal.LeaseDeclined {
				h.Lease, h.LeaseFree = &m.leases[i], true
			}
		}
		for p := m.first(v.Subnet, ia.Kind); p.IsValid(); p = next(p) {
			if !slices.Contains(shown, p) && !slices.ContainsFunc(m.leases, func(l metal.Lease) bool { return whatOf(l) == p && l.ExpiresAt.After(now) }) {
				h.Free = p
				break
			}
		}
		shown = append(shown, h.Free)
		v.Holds = append(v.Holds, h)
	}
	return v
}

func (m *memory) first(s *metal.Subnet, kind Kind) netip.Prefix {
	switch {
	case kind == Prefix && s.Spec.DHCP.Delegation != nil:
		return netip.PrefixFrom(s.Spec.DHCP.Delegation.CIDR.Addr(), s.Spec.DHCP.Delegation.Length)
	case kind == Address && len(s.Spec.DHCP.Ranges) > 0:
		return netip.PrefixFrom(s.Spec.DHCP.Ranges[0].First, 128)
	}
	return netip.Prefix{}
}

// next is the prefix of the same length that follows.
func next(p netip.Prefix) netip.Prefix {
	b := p.Addr().As16()
	for bit := p.Bits() - 1; bit >= 0; bit-- {
		mask := byte(0x80) >> (bit % 8)
		b[bit/8] ^= mask
		if b[bit/8]&mask != 0 {
			break
		}
	}
	return netip.PrefixFrom(netip.AddrFrom16(b), p.Bits())
}

// held lists the leases that somebody has now.
func (m *memory) held() []metal.Lease {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(m.leases), func(l metal.Lease) bool {
		return !bound(l, time.Now()) || l.State != metal.LeaseActive
	})
}
