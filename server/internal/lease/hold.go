package lease

import (
	"net/netip"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A hold keeps an address for a client in memory: what was offered to it, or is being stored for it.
type hold struct {
	entry          *entry
	client         string
	lease          *metal.Lease // as it was offered; its ExpiresAt ends the hold
	since          time.Time
	earlier, later *hold // in the queue
}

// holdQueue has holds in the order in which they began.
type holdQueue struct {
	first, last *hold
	length      int
}

func (q *holdQueue) push(h *hold) {
	h.earlier, h.later = q.last, nil
	if q.last != nil {
		q.last.later = h
	} else {
		q.first = h
	}
	q.last = h
	q.length++
}

func (q *holdQueue) remove(h *hold) {
	if h.earlier != nil {
		h.earlier.later = h.later
	} else {
		q.first = h.later
	}
	if h.later != nil {
		h.later.earlier = h.earlier
	} else {
		q.last = h.earlier
	}
	h.earlier, h.later = nil, nil
	q.length--
}

// hold keeps l's address for a client until l ends. It says false where the client cannot have the address: it
// belongs to somebody, another client holds it, or clients get none there.
func (s *space) hold(client string, l *metal.Lease, now time.Time) bool {
	e := s.at[l.Addr]
	switch {
	case !s.gives(l.Addr), e != nil && e.owned, e != nil && e.owner != client && ongoing(e, now):
		return false
	case e != nil && e.owner == client && ongoing(e, now) && !e.lease.ExpiresAt.Before(l.ExpiresAt):
		return true // it is the client's in any case, for longer
	case e != nil && e.hold != nil && e.hold.client != client:
		if e.hold.lease.ExpiresAt.After(now) && now.Sub(e.hold.since) < patience {
			return false
		}
	}
	if old := s.held[client]; old != nil {
		s.unhold(old)
		if old != e {
			s.settle(old, now)
		}
	}
	if s.queue.length >= mostHolds {
		oldest := s.queue.first.entry
		s.unhold(oldest)
		s.settle(oldest, now)
	}
	e = s.entry(l.Addr)
	if e.hold != nil {
		s.unhold(e)
	}
	e.hold = &hold{entry: e, client: client, lease: l, since: now}
	s.queue.push(e.hold)
	s.held[client] = e
	s.settle(e, now)
	return true
}

// unhold gives up what is kept on an entry. The entry is not settled.
func (s *space) unhold(e *entry) {
	s.queue.remove(e.hold)
	delete(s.held, e.hold.client)
	e.hold = nil
}

// holds says whether an address is a client's to be stored: kept for it, or leased to it.
func (s *space) holds(client string, a netip.Addr, now time.Time) bool {
	e := s.at[a]
	if e == nil || e.owned {
		return false
	}
	return e.hold != nil && e.hold.client == client && e.hold.lease.ExpiresAt.After(now) ||
		e.hold == nil && e.owner == client && ongoing(e, now)
}

// lease returns what a client holds or held last, what is kept for it first, and whether the address is nobody
// else's and clients get it.
func (s *space) lease(client string, now time.Time) (l *metal.Lease, free bool) {
	if e := s.held[client]; e != nil && e.hold.lease.ExpiresAt.After(now) {
		return e.hold.lease, s.gives(e.addr)
	}
	e := s.leased[client]
	if e == nil {
		return nil, false
	}
	return e.lease, !e.owned && e.hold == nil && s.gives(e.addr)
}

// Hold keeps an address for a client until l ends, as the lease that l is: what is offered, or is about to be stored.
// It says false where somebody else has it. A subnet keeps so many at most; then the oldest is given up. now comes
// from Now.
func (t *Table) Hold(client string, l *metal.Lease, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.space(l.Subnet, l.Bits)
	if s == nil {
		return false
	}
	s.expire(now)
	return s.hold(client, l, now)
}

// GiveUp takes back what is kept of an address for a client. It says false where nothing was: what the client has, if
// anything, is stored.
func (t *Table) GiveUp(client, subnet string, addr netip.Addr, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.networks[subnet]
	if n == nil {
		return false
	}
	for _, s := range []*space{n.addresses, n.prefixes} {
		if s == nil {
			continue
		}
		if e := s.held[client]; e != nil && e.addr == addr {
			s.unhold(e)
			s.settle(e, now)
			return true
		}
	}
	return false
}

// Holds says whether an address is still kept for a client or leased to it. now comes from Now.
func (t *Table) Holds(client string, l *metal.Lease, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.space(l.Subnet, l.Bits)
	return s != nil && s.holds(client, l.Addr, now)
}

// Epoch is that of Known.
func (t *Table) Epoch() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.epoch
}

// Stored returns what a client has or had by what is stored; nil for nothing.
func (t *Table) Stored(client, subnet string, kind Kind) *metal.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.networks[subnet]
	if n == nil || n.space(kind) == nil {
		return nil
	}
	if e := n.space(kind).leased[client]; e != nil {
		return e.lease
	}
	return nil
}

func (t *Table) space(subnet string, bits int) *space {
	n := t.networks[subnet]
	switch {
	case n == nil:
	case bits == 0:
		return n.addresses
	case n.prefixes != nil && n.prefixes.bits == bits:
		return n.prefixes
	}
	return nil
}
