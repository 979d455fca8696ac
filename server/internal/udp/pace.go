package udp

import "time"

const (
	// burst is how many datagrams leave at once where not many more wait. Replies that waited for one commit would all leave together, and
	// whoever takes them - a relay agent - has a socket buffer that by Linux's default (net.core.rmem_default) holds
	// 250 small datagrams: what is beyond them is lost, and asked for again seconds later.
	burst = batchSize
	// slowest is how many datagrams follow a millisecond. Where more wait, drain is the time in which they leave, so
	// that the pace never is what bounds a server.
	slowest = 24
	drain   = 16 * time.Millisecond
)

// A pace spreads bursts. It is for one goroutine; the zero value has not sent anything yet.
type pace struct {
	credit time.Duration // what was not used of the time, as the time that a burst takes
	last   time.Time
}

// each is the time between two datagrams where so many wait.
func (p *pace) each(waiting int) time.Duration {
	return min(time.Millisecond/slowest, drain/time.Duration(max(1, waiting)))
}

// allowed is how many datagrams may leave now where so many wait: some of them, or none for as long as pause says.
func (p *pace) allowed(now time.Time, waiting int) (count int, pause time.Duration) {
	each := p.each(waiting)
	most := max(burst, waiting/8) // a pause may last a few milliseconds longer than it should
	p.credit = min(p.credit+max(0, now.Sub(p.last)), time.Duration(most)*each)
	p.last = now
	enough := min(waiting, burst/2) // fewer would cost a system call for next to nothing
	if count = min(waiting, int(p.credit/each)); count < enough {
		return 0, time.Duration(enough)*each - p.credit
	}
	p.credit -= time.Duration(count) * each
	return count, 0
}
