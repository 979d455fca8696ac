package ntp

import (
	"net/netip"
	"slices"
)

// A peer is one of the servers that are asked.
type peer struct {
	association
	name string         // as it was given
	addr netip.AddrPort // which of the name's addresses is asked; invalid at first
	from netip.AddrPort // whose samples the filter has
	id   [4]byte        // of from
}

// A roster is all servers that are asked.
type roster struct{ peers []peer }

func newRoster(names []string) roster {
	r := roster{peers: make([]peer, len(names))}
	for i, name := range names {
		r.peers[i] = peer{association: newAssociation(), name: name}
	}
	return r
}

// stale says whether the peer's name is to be looked up: it never was, or nobody answers at the address.
func (p *peer) stale() bool { return !p.addr.IsValid() || p.burst == 0 && !p.reachable() }

// move chooses the next of the addresses that its name has now. What the one before said stays until the new one
// answers.
func (p *peer) move(addrs []netip.AddrPort) {
	if len(addrs) > 0 {
		p.addr = addrs[(slices.Index(addrs, p.addr)+1)%len(addrs)]
	}
}

// take takes what came of asking p.addr. An address that answers for the first time is asked in a row.
func (p *peer) take(s sample, what outcome) {
	if what == sampled && p.addr != p.from {
		p.from, p.id, p.filter = p.addr, refID(p.addr.Addr()), filter{}
		p.burst = max(p.burst, burstSize-1)
	}
	p.heard(s, what)
}

// choose is what all servers come to at the moment now, for a clock of ours with that drift.
func (r *roster) choose(now moment, drift int64) choice {
	var candidates []candidate
	waiting := false
	for i := range r.peers {
		p := &r.peers[i]
		waiting = waiting || p.burst > 0 && !p.denied
		e, ok := p.filter.estimate(now, drift)
		if ok && !p.denied {
			candidates = append(candidates, candidate{estimate: e, name: p.name, id: p.id, reachable: p.reachable()})
		}
	}
	c := choose(candidates, now, drift)
	if c.verdict == unreachable && waiting {
		c.verdict = asking
	}
	return c
}
