package dhcp6

import (
	"hash/maphash"
	"sync"
	"time"
)

const (
	// One client sends at most one message a second for long (RFC 8415, 15, SOL_TIMEOUT), and a few at once when it has
	// several IAs or its link flaps.
	limitBurst = 32
	limitGap   = 50 * time.Millisecond // one more each
	limitSlots = 4096
)

// limiter bounds how often one client is answered. Its memory is fixed: clients share slots, so few that share one
// with a flood wait for their next try.
type limiter struct {
	mu    sync.Mutex
	seed  maphash.Seed
	slots [limitSlots]time.Time
}

func newLimiter() *limiter { return &limiter{seed: maphash.MakeSeed()} }

// allow says whether the client may be answered now. A slot holds when its client would have used up nothing.
func (l *limiter) allow(client []byte, now time.Time) bool {
	slot := &l.slots[maphash.Bytes(l.seed, client)%limitSlots]
	l.mu.Lock()
	defer l.mu.Unlock()
	// Also where the clock was set back far: nobody is to wait for it.
	if slot.Before(now) || slot.Sub(now) > limitBurst*limitGap {
		*slot = now
	}
	if slot.Sub(now) > (limitBurst-1)*limitGap {
		return false
	}
	*slot = slot.Add(limitGap)
	return true
}
