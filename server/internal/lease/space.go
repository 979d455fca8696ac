package lease

import (
	"net/netip"
	"slices"
	"time"

	"go4.org/netipx"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
)

// A space is what may be leased of one subnet, its addresses or its prefixes, and who has what of it.
type space struct {
	bits   int               // length of the prefixes; 0: addresses
	ranges []metal.AddrRange // what clients may get, in the order of preference
	used   ipam.Set          // everything that has an entry
	at     map[netip.Addr]*entry
	leased map[string]*entry // by client: what it holds, or held last
	held   map[string]*entry // by client: what is kept for it in memory
	queue  holdQueue         // what is kept in memory, oldest first
	active expiryHeap        // leases that have not ended, the next to end first
	idle   expiryHeap        // addresses of ended leases that another client could get, the longest ended first
	ended  []metal.Lease     // leases that ended since the last sweep, at most mostEnded
}

// An entry is an address, or the first address of a prefix, that somebody has, is kept for or had.
type entry struct {
	addr  netip.Addr
	owned bool         // belongs to a machine, a device or a reservation
	lease *metal.Lease // nil for none; never changed
	owner string       // client of lease
	hold  *hold        // nil for none
	heap  *expiryHeap  // the one that it is in; nil for none
	index int
}

const (
	// mostHolds is how many addresses of a subnet are kept for clients in memory. A flood of clients that never
	// come back pushes out its own oldest ones.
	mostHolds = 8192
	// patience is how long an address is kept for a client that does not come back, when others find none.
	// Firmware waits for several seconds for more offers before it takes one.
	patience = 5 * time.Second
	// mostEnded bounds what is told of leases that ended.
	mostEnded = 65536
)

func newSpace(bits int) *space {
	return &space{bits: bits, at: map[netip.Addr]*entry{}, leased: map[string]*entry{}, held: map[string]*entry{}}
}

// extent is everything that an address stands for: itself, or the prefix of a length that it begins.
func extent(a netip.Addr, bits int) metal.AddrRange {
	if bits == 0 {
		return metal.AddrRange{First: a, Last: a}
	}
	return metal.AddrRange{First: a, Last: netipx.PrefixLastIP(netip.PrefixFrom(a, bits))}
}

// avoid gives nobody what clients hold of a space in whose place s comes.
func (s *space) avoid(was *space, now time.Time) {
	if was == nil {
		return
	}
	for _, e := range was.at {
		if ongoing(e, now) {
			s.used.AddRange(extent(e.addr, was.bits))
		}
	}
}

// entry returns that of an address, which it makes where there is none.
func (s *space) entry(a netip.Addr) *entry {
	e := s.at[a]
	if e == nil {
		e = &entry{addr: a}
		s.at[a] = e
		s.used.AddRange(extent(a, s.bits))
	}
	return e
}

// settle brings an entry that was changed into the order that it belongs to, or forgets it.
func (s *space) settle(e *entry, now time.Time) {
	var want *expiryHeap
	switch {
	case e.lease == nil && e.hold == nil && !e.owned:
		delete(s.at, e.addr)
		s.used.RemoveRange(extent(e.addr, s.bits))
	case e.lease == nil:
	case e.lease.ExpiresAt.After(now):
		want = &s.active
	case e.hold == nil && !e.owned && s.gives(e.addr):
		want = &s.idle
	}
	if e.heap != nil && e.heap != want {
		e.heap.remove(e)
	}
	if want != nil {
		want.put(e)
	}
}

// gives says whether an address is in a range that clients get addresses from.
func (s *space) gives(a netip.Addr) bool {
	for _, r := range s.ranges {
		if r.Contains(a) {
			return s.bits == 0 || netip.PrefixFrom(a, s.bits).Masked().Addr() == a
		}
	}
	return false
}

// setRanges says anew what clients may get.
func (s *space) setRanges(ranges []metal.AddrRange, now time.Time) {
	if slices.Equal(s.ranges, ranges) {
		return
	}
	s.ranges = ranges
	for _, e := range s.at {
		s.settle(e, now)
	}
}

// setOwned says that an address belongs to somebody, or no longer does. An address that was kept for a client is
// given up for it.
func (s *space) setOwned(a netip.Addr, owned bool, now time.Time) {
	e := s.entry(a)
	e.owned = owned
	if owned && e.hold != nil {
		s.unhold(e)
	}
	s.settle(e, now)
}

// setLease takes over a stored lease, in place of what its client had and of what was on its address.
func (s *space) setLease(client string, l *metal.Lease, now time.Time) {
	if old := s.leased[client]; old != nil && old.addr != l.Addr {
		s.dropLease(old.addr, now)
	}
	e := s.entry(l.Addr)
	if e.hold != nil {
		s.unhold(e)
	}
	if e.lease != nil && s.leased[e.owner] == e {
		delete(s.leased, e.owner)
	}
	e.lease, e.owner = l, client
	s.leased[client] = e
	s.settle(e, now)
}

// dropLease forgets the lease on an address.
func (s *space) dropLease(a netip.Addr, now time.Time) {
	e := s.at[a]
	if e == nil || e.lease == nil {
		return
	}
	if s.leased[e.owner] == e {
		delete(s.leased, e.owner)
	}
	e.lease, e.owner = nil, ""
	s.settle(e, now)
}

// expire moves on what ended.
func (s *space) expire(now time.Time) {
	for e := s.active.first(); e != nil && !e.lease.ExpiresAt.After(now); e = s.active.first() {
		if e.lease.State == metal.LeaseActive && len(s.ended) < mostEnded {
			s.ended = append(s.ended, *e.lease)
		}
		s.settle(e, now)
	}
	for e := s.queue.first; e != nil && !e.lease.ExpiresAt.After(now); e = s.queue.first {
		at := e.entry
		s.unhold(at)
		s.settle(at, now)
	}
}

// free returns an address that another client could get: the wanted one where nobody ever had it, else the first one
// that nobody ever had, else the one whose lease ended longest ago, else the one that is kept longest for a client
// that did not come back. It returns none of avoid. Call expire before.
func (s *space) free(wanted netip.Addr, avoid []netip.Addr, now time.Time) (netip.Addr, bool) {
	bad := func(a netip.Addr) bool { return slices.Contains(avoid, a) }
	if wanted.IsValid() && !s.used.Contains(wanted) && !bad(wanted) && s.gives(wanted) {
		return wanted, true
	}
	for _, r := range s.ranges {
		for from := r.First; ; {
			a, ok := s.used.FirstFree(from, r.Last)
			if !ok {
				break
			}
			if !bad(a) {
				return a, true
			}
			if from = extent(a, s.bits).Last.Next(); !r.Contains(from) {
				break
			}
		}
	}
	if e := s.idle.first(); e != nil && !bad(e.addr) {
		return e.addr, true
	} else if e != nil {
		for _, e := range s.idle.entries { // only where a server's or relay agent's address had been leased
			if !bad(e.addr) {
				return e.addr, true
			}
		}
	}
	if h := s.queue.first; h != nil && now.Sub(h.since) >= patience && !bad(h.entry.addr) && s.gives(h.entry.addr) && !ongoing(h.entry, now) {
		return h.entry.addr, true
	}
	return netip.Addr{}, false
}

// ongoing says whether a lease on an address has not ended.
func ongoing(e *entry, now time.Time) bool { return e.lease != nil && e.lease.ExpiresAt.After(now) }
