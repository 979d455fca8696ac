package zone

import (
	"slices"

	"github.com/miekg/dns"
)

// publish shows readers everything that changed, at once. The lock is held.
func (z *Zones) publish() {
	s := &z.state
	for len(s.dirty) > 0 {
		last := len(s.dirty) - 1
		e := s.dirty[last]
		s.dirty[last], s.dirty = nil, s.dirty[:last]
		e.dirty = false
		s.refresh(e)
	}
	if len(s.touched) == 0 {
		return
	}
	was := z.now.Load()
	next := &View{zones: was.zones, depths: was.depths}
	tell := func(a *authority) {
		for w := range z.watches {
			w.tell(a.entry.text)
		}
	}
	for a := range s.touched { // first of all: a zone may have gone and come again
		if a.entry.apex != a {
			delete(s.touched, a)
			next.zones = next.zones.without(a.entry.name)
			tell(a)
		}
	}
	top := z.top
	for a := range s.touched {
		if !a.changed() {
			continue
		}
		before := a.shown
		now := a.show(s.nameServer, z.top+1, &s.packer)
		next.zones = next.zones.with(a.entry.name, now)
		if above(now.Serial(), top) {
			top = now.Serial()
		}
		if before == nil || before.Serial() != now.Serial() {
			tell(a)
		}
	}
	clear(s.touched)
	if next.zones.size != was.zones.size {
		next.depths = depthsOf(next.zones)
	}
	z.top = top
	z.now.Store(next)
}

// above compares serial numbers (RFC 1982, section 3.2).
func above(a, b uint32) bool { return int32(a-b) > 0 }

// refresh shows the zones of a name what it has now.
func (s *state) refresh(e *entry) {
	if !e.needed() {
		for _, a := range e.in {
			a.drop(e.name)
			s.touched[a] = struct{}{}
		}
		e.in = nil
		if s.entries[e.name] == e {
			s.unlink(e)
		}
		return
	}
	home := e.home()
	var places []*authority
	if home != nil {
		places = append(places, home)
		if above := home.entry.parent.home(); above != nil && (e.apex != nil || slices.Contains(home.hosts, e.name)) {
			places = append(places, above)
		}
	}
	for _, a := range e.in {
		if !slices.Contains(places, a) {
			a.drop(e.name)
			s.touched[a] = struct{}{}
		}
	}
	e.in = places
	list := s.effective(e, home)
	for _, a := range places {
		s.touched[a] = struct{}{}
		if a == home {
			cut := e.apex == nil && !e.name.wild() && slices.ContainsFunc(list, func(s *Set) bool { return s.Type == dns.TypeNS })
			a.put(e.name, slices.Clone(list), cut)
			continue
		}
		// The zone above has no more of this one than where it is served, and the addresses to reach that.
		var glue []*Set
		for _, set := range list {
			address := set.Type == dns.TypeA || set.Type == dns.TypeAAAA
			if e.apex != nil && set.Type == dns.TypeNS || address && slices.Contains(home.hosts, e.name) {
				glue = append(glue, set)
			}
		}
		a.put(e.name, glue, e.apex != nil)
	}
}

// effective is what a name has, of all that is said of it. Leases learn whether their claim counts.
func (s *state) effective(e *entry, home *authority) []*Set {
	rank := leased
	var first *lease
	for _, c := range e.claims {
		rank = min(rank, c.rank)
		if c.lease != nil && (first == nil || c.lease.before(first)) {
			first = c.lease
		}
	}
	ttl := uint32(defaultTTL)
	if home != nil {
		ttl = uint32(home.spec.TTL)
	}
	var ttls map[uint16]uint32 // one TTL for all records of a type (RFC 2181, section 5.2)
	counted := make([]*claim, 0, len(e.claims))
	for _, c := range e.claims {
		counts := c.rank == rank && (c.lease == nil || c.lease.sameClient(first))
		if c.lease != nil && c == c.lease.forward {
			s.crown(c.lease, counts)
		}
		if !counts {
			continue
		}
		counted = append(counted, c)
		if c.timed {
			if ttls == nil {
				ttls = map[uint16]uint32{}
			}
			for _, rr := range c.rrs {
				rrtype := rr.Header().Rrtype
				if was, ok := ttls[rrtype]; !ok || c.ttl < was {
					ttls[rrtype] = c.ttl
				}
			}
		}
	}
	var records []record
	add := func(rr dns.RR) {
		t, ok := ttls[rr.Header().Rrtype]
		if !ok {
			t = ttl
		}
		if r, ok := s.packer.record(rr, e.name, e.text, t); ok {
			records = append(records, r)
		}
	}
	for _, c := range counted {
		for _, rr := range c.rrs {
			add(rr)
		}
	}
	if e.apex != nil {
		for _, rr := range e.apex.nameServers(s.nameServer) {
			add(rr)
		}
	}
	return alone(sets(records))
}

// alone sees to it that a CNAME record has no others beside it (RFC 2181, section 10.1): the others stay.
func alone(list []*Set) []*Set {
	at := slices.IndexFunc(list, func(s *Set) bool { return s.Type == dns.TypeCNAME })
	if at < 0 {
		return list
	}
	if len(list) > 1 {
		return slices.Delete(list, at, at+1)
	}
	return list
}
