package dhcp

import (
	"hash/maphash"
	"sync"
	"time"
)

// limiter lets each key act burst times at once and rate times a second after that. It remembers as many keys as it
// has slots: one that falls on another's slot takes its place and has its burst again, so that a flood of made-up keys
// costs no memory.
type limiter struct {
	seed        maphash.Seed
	rate, burst float32

	mu    sync.Mutex
	slots []slot
}

type slot struct {
	key  uint64
	left float32
	at   time.Time
}

func newLimiter(slots int, rate, burst float32) *limiter {
	return &limiter{seed: maphash.MakeSeed(), rate: rate, burst: burst, slots: make([]slot, slots)}
}

// allow says whether key may act now.
func (l *limiter) allow(key []byte, now time.Time) bool {
	hash := maphash.Bytes(l.seed, key)
	l.mu.Lock()
	defer l.mu.Unlock()
	s := &l.slots[hash%uint64(len(l.slots))]
	if s.key != hash || s.at.IsZero() {
		*s = slot{key: hash, left: l.burst, at: now}
	}
	if passed := now.Sub(s.at); passed > 0 { // a clock that is set back gives nothing, and takes nothing
		s.left = min(l.burst, s.left+float32(passed.Seconds())*l.rate)
	}
	s.at = now
	if s.left < 1 {
		return false
	}
	s.left--
	return true
}
