package ntp

import "time"

const (
	// Poll intervals are powers of two of seconds, between these (RFC 5905, section 7.3).
	minPoll = 6  // 64 s
	maxPoll = 10 // 1024 s

	// A server is asked this often in a row to begin with, so that the time is known in seconds rather than minutes.
	burstSize  = stages
	burstEvery = 2 * time.Second

	// A server that answered calm times in a row, and each time nearly as before, is asked half as often.
	calm = 4
	// nearly is the least that counts as a change. With freeDrift a clock goes wrong by that in 20 s, so one that
	// nobody steers is asked at the shortest interval.
	nearly = 2 * time.Millisecond
)

// An association is what is known of one server, and when to ask it again. It starts as newAssociation.
type association struct {
	filter filter
	reach  uint8         // whether it answered the last eight times, the latest in the lowest bit
	poll   int           // log2 of seconds
	least  int           // the least that poll may be: more after each kiss with RATE
	burst  int           // how often it is still to be asked in a row
	pause  time.Duration // while it is
	calm   int           // how often in a row it answered nearly as before
	denied bool          // it wants never to be asked again
}

func newAssociation() association {
	return association{poll: minPoll, least: minPoll, burst: burstSize, pause: burstEvery}
}

// wait is how long after asking to ask again; never where denied.
func (a *association) wait() time.Duration {
	if a.burst > 0 {
		return a.pause
	}
	return time.Second << a.poll
}

// asked says that a request has left, or would have if the server had been there to send it to.
func (a *association) asked() {
	a.reach <<= 1
	a.burst = max(a.burst-1, 0)
}

// heard takes what came of the request: foreign where nothing did.
func (a *association) heard(s sample, what outcome) {
	switch what {
	case foreign, unfit:
		a.calm, a.poll = 0, a.least
	case slower:
		a.reach |= 1
		a.burst, a.calm = 0, 0
		a.least = min(max(a.poll, a.least)+1, maxPoll)
		a.poll = a.least
	case denied:
		a.denied = true
	case sampled:
		a.reach |= 1
		a.settle(s)
		a.filter.add(s)
	}
}

// settle adapts the poll interval to how much the offset changed since the last sample.
func (a *association) settle(s sample) {
	if a.burst > 0 || a.filter.count == 0 {
		return
	}
	if change := (s.offset - a.filter.last().offset).Abs(); change > max(nearly, s.delay/2) {
		a.calm, a.poll = 0, a.least
		return
	}
	if a.calm++; a.calm >= calm && a.poll < maxPoll {
		a.calm = 0
		a.poll++
	}
}

// set says that our clock was set. Old samples are then good for a guess only, and new ones are wanted soon.
func (a *association) set() {
	a.filter = filter{}
	a.poll, a.calm, a.burst = a.least, 0, burstSize
}

// reachable says whether it answered any of the last eight times.
func (a *association) reachable() bool { return a.reach != 0 }
