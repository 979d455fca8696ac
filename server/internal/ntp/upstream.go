package ntp

import (
	"net/netip"
	"time"
)

// A Selection is what a server's time is good for, by its number in a peer status word (RFC 9327, section 3.2).
type Selection uint8

// What there is of them.
const (
	Rejected    Selection = 0 // it tells no time, or none of late
	Falseticker Selection = 1 // its time cannot be true when the chosen one's is
	Candidate   Selection = 4 // it agrees with the chosen one
	Chosen      Selection = 6 // ours is compared with it
)

// An Upstream is a server that a Poller asks.
type Upstream struct {
	Name      string         // as configured
	Address   netip.AddrPort // the one that is asked; invalid while it is not known
	Reach     uint8          // whether it answered the last eight times, the latest in the lowest bit
	Poll      int            // log2 of the seconds from one request to the next
	Selection Selection

	Heard                     time.Time // when the answer arrived that follows; zero for never
	Leap, Stratum             uint8
	RefID                     [4]byte
	RootDelay, RootDispersion time.Duration // of the server
	Offset                    time.Duration // what this machine's clock must be set forward to agree
	Delay, Dispersion, Jitter time.Duration
}

// Upstreams are the servers that are asked, in the order they were given, as they are at the time now, which has a
// monotonic reading.
func (p *Poller) Upstreams(now time.Time) []Upstream {
	at, drift := p.moment(now), kernelDrift()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.roster.upstreams(at, drift, *p.choice.Load())
}

func (r *roster) upstreams(now moment, drift int64, c choice) []Upstream {
	all := make([]Upstream, len(r.peers))
	for i := range r.peers {
		p, u := &r.peers[i], &all[i]
		*u = Upstream{Name: p.name, Address: p.addr, Reach: p.reach, Poll: p.poll}
		e, ok := p.filter.estimate(now, drift)
		if !ok {
			continue
		}
		u.Heard, u.Leap, u.Stratum, u.RefID = p.filter.last().at.wall, e.leap, e.stratum, e.refID
		u.RootDelay, u.RootDispersion, u.Offset = e.rootDelay, e.rootDispersion, e.offset
		u.Delay, u.Dispersion, u.Jitter = e.delay, e.dispersion, e.jitter
		u.Selection = c.selection(p, e, now)
	}
	return all
}

// selection is what a server with that estimate is good for beside the chosen one.
func (c *choice) selection(p *peer, e estimate, now moment) Selection {
	switch {
	case c.verdict != chosen || p.denied || !p.reachable() || e.stratum >= maxStratum || e.distance() > maxDistance:
		return Rejected
	case p.name == c.name:
		return Chosen
	case (e.offset - c.offsetAt(now)).Abs() > e.distance()+c.distance():
		return Falseticker
	}
	return Candidate
}
