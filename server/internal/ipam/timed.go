package ipam

import (
	"container/heap"
	"net/netip"
	"time"
)

// timed is a set of addresses that each end by themselves. The zero value is empty.
type timed struct {
	Set
	ends  map[netip.Addr]time.Time
	queue ending
}

// An ending is a heap of when addresses end, the earliest first. It keeps what was put off or removed since: ends
// says what holds.
type ending []end

type end struct {
	addr netip.Addr
	at   time.Time
}

func (q ending) Len() int           { return len(q) }
func (q ending) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q ending) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *ending) Push(x any)        { *q = append(*q, x.(end)) }
func (q *ending) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// until puts an address in, in place of when it would have ended before.
func (t *timed) until(a netip.Addr, at time.Time) {
	if t.ends == nil {
		t.ends = map[netip.Addr]time.Time{}
	}
	if had, ok := t.ends[a]; ok && had.Equal(at) {
		return
	}
	t.ends[a] = at
	t.Add(a)
	heap.Push(&t.queue, end{a, at})
	// A client that renews all the time must not fill the queue with what does not hold any more.
	if len(t.queue) > 2*len(t.ends)+64 {
		t.queue = t.queue[:0]
		for a, at := range t.ends {
			t.queue = append(t.queue, end{a, at})
		}
		heap.Init(&t.queue)
	}
}

// forget takes an address out.
func (t *timed) forget(a netip.Addr) {
	delete(t.ends, a)
	t.Remove(a)
}

// expire takes out what has ended, and calls gone for each.
func (t *timed) expire(now time.Time, gone func(netip.Addr)) {
	for len(t.queue) > 0 && !t.queue[0].at.After(now) {
		e := heap.Pop(&t.queue).(end)
		if at, ok := t.ends[e.addr]; ok && at.Equal(e.at) {
			t.forget(e.addr)
			gone(e.addr)
		}
	}
}
