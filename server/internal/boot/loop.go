package boot

import (
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	loopWindow   = 10 * time.Minute
	loopTimes    = 5    // asking more often within the window is a loop: a person who power-cycles seldom does
	loopMachines = 4096 // counted at once; MAC addresses in requests are whatever a stranger writes there
)

// loops counts how often machines ask for something to boot that should be up from their disks.
type loops struct {
	mu     sync.Mutex
	counts map[metal.MAC]count
}

// count is of the window that began with the first request after the last window.
type count struct {
	began time.Time
	times int
}

func newLoops() *loops { return &loops{counts: map[metal.MAC]count{}} }

// asked counts one request, and returns how many there were in this window. It says looping once a window: with the
// first request too many.
func (l *loops) asked(mac metal.MAC, now time.Time) (times int, looping bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, counted := l.counts[mac]
	if !counted && len(l.counts) >= loopMachines {
		l.makeRoom(now)
	}
	if now.Sub(c.began) >= loopWindow {
		c = count{began: now}
	}
	c.times++
	l.counts[mac] = c
	return c.times, c.times == loopTimes+1
}

// makeRoom forgets every window that is over; where none is, the oldest one.
func (l *loops) makeRoom(now time.Time) {
	var oldest metal.MAC
	for mac, c := range l.counts {
		if now.Sub(c.began) >= loopWindow {
			delete(l.counts, mac)
			continue
		}
		if o, ok := l.counts[oldest]; !ok || c.began.Before(o.began) {
			oldest = mac
		}
	}
	if len(l.counts) >= loopMachines {
		delete(l.counts, oldest)
	}
}
