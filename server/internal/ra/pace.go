package ra

import (
	"net/netip"
	"time"
)

const (
	// minMulticastGap is MIN_DELAY_BETWEEN_RAS (RFC 4861, section 10): multicasts wake every host of the link.
	minMulticastGap = 3 * time.Second

	// Unicast answers disturb only the one who asked. This many may leave at once, and one more each unicastGap, so
	// that a whole room that boots together is answered without waiting and a flood is not.
	unicastBurst = 64
	unicastGap   = 10 * time.Millisecond

	// The first multicasts come quicker, since a host may have missed one while its link came up: initialCount of
	// them, initialInterval apart (MAX_INITIAL_RTR_ADVERTISEMENTS and MAX_INITIAL_RTR_ADVERT_INTERVAL).
	initialCount    = 3
	initialInterval = 16 * time.Second
)

// pace decides when which advertisement leaves. Time is an argument; the zero value is not usable: newPace.
type pace struct {
	interval time.Duration // between unsolicited multicasts
	next     time.Time     // when the next multicast is due
	last     time.Time     // when the last one left; zero before the first
	sent     int           // multicasts so far, counted up to initialCount
	tokens   int           // unicast answers that may leave now
	refilled time.Time     // up to when tokens were refilled
}

// newPace has the first multicast due at once.
func newPace(now time.Time, interval time.Duration) *pace {
	return &pace{interval: interval, next: now, tokens: unicastBurst, refilled: now}
}

// solicited says whether to answer the host at source by unicast now. Otherwise one multicast that is due as soon as
// the gap allows answers everybody who asked meanwhile.
func (p *pace) solicited(source netip.Addr, now time.Time) (unicast bool) {
	if gained := int(now.Sub(p.refilled) / unicastGap); gained > 0 {
		p.tokens = min(p.tokens+gained, unicastBurst)
		p.refilled = p.refilled.Add(time.Duration(gained) * unicastGap)
	}
	if source.IsLinkLocalUnicast() && p.tokens > 0 {
		p.tokens--
		return true
	}
	soonest := now
	if earliest := p.last.Add(minMulticastGap); !p.last.IsZero() && earliest.After(now) {
		soonest = earliest
	}
	if soonest.Before(p.next) {
		p.next = soonest
	}
	return false
}

// changed has the first multicasts come again, and quicker, since hosts are to be told something new (RFC 4861,
// section 6.2.4).
func (p *pace) changed(now time.Time) {
	p.sent = 0
	p.next = now
	if earliest := p.last.Add(minMulticastGap); !p.last.IsZero() && earliest.After(now) {
		p.next = earliest
	}
}

// multicast notes that one leaves now and sets when the next is due. jitter in [0,1) spreads routers that started
// together: the interval is taken between three quarters and the whole (RFC 4861, section 6.2.4).
func (p *pace) multicast(now time.Time, jitter float64) {
	interval := p.interval
	if p.sent < initialCount {
		p.sent++
	}
	if p.sent < initialCount {
		interval = min(interval, initialInterval)
	}
	p.last = now
	p.next = now.Add(interval*3/4 + time.Duration(jitter*float64(interval/4)))
}
