package agent

import (
	"context"
	"math/rand/v2"
	"time"
)

// Limits of the pause between tries. A rack of a thousand machines that lost its server comes back spread over the
// last of them.
const (
	firstPause = 250 * time.Millisecond
	lastPause  = 10 * time.Second
)

// pauseAfter returns how long to wait after the n-th failure in a row (from 1), with jitter drawn from [0, 1): the
// pause doubles each time up to lastPause, and half of it is random.
func pauseAfter(n int, jitter float64) time.Duration {
	pause := lastPause
	if n < 10 { // beyond this the shift is past lastPause anyway
		pause = min(lastPause, firstPause<<max(0, n-1))
	}
	return pause/2 + time.Duration(jitter*float64(pause)/2)
}

// Pause waits for a time, or returns false when ctx ends before.
type Pause func(ctx context.Context, d time.Duration) bool

// Sleep is the Pause of real time.
func Sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// backoff counts failures in a row and pauses after each.
type backoff struct {
	pause    Pause
	failures int
}

func (b *backoff) wait(ctx context.Context) bool {
	b.failures++
	return b.pause(ctx, pauseAfter(b.failures, rand.Float64()))
}
