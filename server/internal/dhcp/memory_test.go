package dhcp

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// memory is a Store without a disk. What changes something is answered by its committer, as a real one does.
type memory struct {
	mu      sync.Mutex
	subnets []metal.Subnet
	shape   func(Query, *View) // what tests make of a view; nil for nothing
	leases  map[string]metal.Lease
	held    map[netip.Addr]string // by client
	queries []Query
	commits chan func()
}

func newMemory(t *testing.T, subnets ...metal.Subnet) *memory {
	m := &memory{subnets: subnets, leases: map[string]metal.Lease{}, held: map[netip.Addr]string{}, commits: make(chan func(), 2*mostWaiting)}
	commits, ended := m.commits, make(chan struct{})
	go func() {
		defer close(ended)
		for done := range commits {
			done()
		}
	}()
	t.Cleanup(func() {
		m.mu.Lock()
		close(commits)
		m.commits = nil
		m.mu.Unlock()
		<-ended
	})
	return m
}

func (m *memory) Exchange(q Query, decide func(View, time.Time) Answer, done func(Answer, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	const remembered = 1000
	if len(m.queries) < remembered {
		m.queries = append(m.queries, q)
	}
	a := decide(m.view(q), time.Now())
	if a.Drop.IsValid() {
		delete(m.leases, m.held[a.Drop])
		delete(m.held, a.Drop)
	}
	if a.Lease != nil {
		client := q.Client
		if a.Lease.State == metal.LeaseDeclined {
			client = "declined " + a.Lease.Addr.String()
		}
		if old, had := m.leases[client]; had {
			delete(m.held, old.Addr)
		}
		m.leases[client], m.held[a.Lease.Addr] = *a.Lease, client
	}
	if a.Lease == nil && !a.Drop.IsValid() {
		done(a, nil)
	} else if m.commits != nil {
		m.commits <- func() { done(a, nil) }
	}
}

func (m *memory) view(q Query) View {
	v := View{Server: q.Ours, Domain: "metal.test", BootURL: base, MTU: 1500}
	for i := range m.subnets {
		if m.subnets[i].Spec.CIDR.Contains(q.Via) {
			v.Subnet = &m.subnets[i]
		}
	}
	if v.Subnet == nil {
		return v
	}
	if lease, has := m.leases[q.Client]; has && v.Subnet.Spec.CIDR.Contains(lease.Addr) {
		v.Lease, v.LeaseFree = &lease, true
	} else {
		for _, r := range v.Subnet.Spec.DHCP.Ranges {
			for a := r.First; r.Contains(a) && !v.Free.IsValid(); a = a.Next() {
				if _, taken := m.held[a]; !taken && a != q.Ours && a != q.Relay {
					v.Free = a
				}
			}
		}
	}
	if m.shape != nil {
		m.shape(q, &v)
	}
	return v
}

// all returns the leases that clients hold now.
func (m *memory) all() (list []metal.Lease) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.leases {
		if l.State == metal.LeaseActive && l.ExpiresAt.After(time.Now()) {
			list = append(list, l)
		}
	}
	return list
}

// asked returns the queries so far.
func (m *memory) asked() []Query {
	m.mu.Lock()
	defer m.mu.Unlock()
	return append([]Query(nil), m.queries...)
}

// rack is a subnet with addresses 100 to 199 of a /24 to give; changes follow.
func rack(cidr string, changes ...func(*metal.SubnetSpec)) metal.Subnet {
	p := netip.MustParsePrefix(cidr)
	at := func(n byte) netip.Addr { a := p.Addr().As4(); a[3] = n; return netip.AddrFrom4(a) }
	s := metal.Subnet{Name: "net " + cidr, Spec: metal.SubnetSpec{CIDR: p, Gateway: at(254), DHCP: metal.DHCPSpec{
		Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: at(100), Last: at(199)}},
	}}}
	for _, change := range changes {
		change(&s.Spec)
	}
	return s
}
