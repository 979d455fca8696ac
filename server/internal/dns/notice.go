package dns

import (
	"net/netip"
	"time"
)

const (
	// notifyPause is what lies between two notices of one zone to one server at least.
	notifyPause = time.Second

	// maxNotifies is how often a server that does not answer is told, each time after twice the pause before (RFC 1996,
	// section 3.6).
	maxNotifies = 5
	notifyRetry = 2 * time.Second
)

// A notice is one server to be told of one zone.
type notice struct {
	zone   string
	server netip.AddrPort
}

// noticeState is how far a notice is.
type noticeState struct {
	due      time.Time
	sent     time.Time // the last time
	attempts int       // since the change
	busy     bool      // being told
	again    bool      // the zone changed while it was
}

// notices decide who is told what when.
type notices struct {
	open map[notice]*noticeState
	busy int
}

func newNotices() *notices { return &notices{open: map[notice]*noticeState{}} }

// changed has servers told of a zone, and no others any more.
func (n *notices) changed(zone string, servers []netip.AddrPort, now time.Time) {
	wanted := map[notice]bool{}
	for _, server := range servers {
		it := notice{zone, server}
		wanted[it] = true
		s, ok := n.open[it]
		switch {
		case !ok:
			n.open[it] = &noticeState{due: now}
		case s.busy:
			s.again = true
		default:
			s.due, s.attempts = later(now, s.sent.Add(notifyPause)), 0
		}
	}
	for it, s := range n.open {
		if it.zone == zone && !wanted[it] && !s.busy {
			delete(n.open, it)
		}
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// due takes the notices that are to be given now, and says when to come again at the latest.
func (n *notices) due(now time.Time) (list []notice, wait time.Duration) {
	wait = time.Hour
	for it, s := range n.open {
		switch {
		case s.busy:
		case s.attempts > maxNotifies: // told; it is kept for its pause
			if now.Sub(s.sent) >= notifyPause {
				delete(n.open, it)
			}
		case s.due.After(now):
			wait = min(wait, s.due.Sub(now))
		case n.busy == maxNotifying: // whoever is done makes room
		default:
			s.busy, s.sent = true, now
			s.attempts++
			n.busy++
			list = append(list, it)
		}
	}
	return list, wait
}

// done says what came of a notice. gaveUp says that it is not tried any more.
func (n *notices) done(it notice, ok bool, now time.Time) (gaveUp bool) {
	s := n.open[it]
	s.busy = false
	n.busy--
	switch {
	case s.again:
		s.again, s.attempts = false, 0
		s.due = later(now, s.sent.Add(notifyPause))
	case ok:
		s.attempts = maxNotifies + 1
	case s.attempts >= maxNotifies:
		s.attempts = maxNotifies + 1
		return true
	default:
		s.due = now.Add(notifyRetry << (s.attempts - 1))
	}
	return false
}
