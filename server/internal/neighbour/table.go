package neighbour

import (
	"container/list"
	"net/netip"
	"time"
)

// table remembers who was seen, up to a limit; the one not seen for longest is forgotten first. It is not safe for
// concurrent use.
type table struct {
	limit   int
	again   time.Duration // least time between two reports of the same pair
	entries map[pair]*list.Element
	order   *list.List // of *entry, the one seen last in front
}

// pair is what is counted once: two cards that use one address are two pairs, and worth two reports.
type pair struct {
	addr     netip.Addr
	hardware hardware
}

type entry struct {
	pair
	seen     time.Time
	reported time.Time // zero: never
}

func newTable(limit int, again time.Duration) *table {
	return &table{limit: limit, again: again, entries: map[pair]*list.Element{}, order: list.New()}
}

func (t *table) note(p pair, now time.Time) {
	if at, known := t.entries[p]; known {
		at.Value.(*entry).seen = now
		t.order.MoveToFront(at)
		return
	}
	if t.order.Len() >= t.limit {
		oldest := t.order.Back()
		t.order.Remove(oldest)
		delete(t.entries, oldest.Value.(*entry).pair)
	}
	t.entries[p] = t.order.PushFront(&entry{pair: p, seen: now})
}

// take returns the pairs that are due: never reported, or seen since a report that is long enough ago. The one seen
// first comes first.
func (t *table) take(link int, now time.Time) []Sighting {
	var due []Sighting
	for at := t.order.Back(); at != nil; at = at.Prev() {
		e := at.Value.(*entry)
		if !e.reported.IsZero() && (!e.seen.After(e.reported) || now.Sub(e.reported) < t.again) {
			continue
		}
		e.reported = now
		due = append(due, Sighting{Link: link, Address: e.addr, Hardware: e.hardware.mac(), When: e.seen})
	}
	return due
}

// untake makes all that was taken at the time due again, since it did not arrive.
func (t *table) untake(taken time.Time) {
	for at := t.order.Front(); at != nil; at = at.Next() {
		if e := at.Value.(*entry); e.reported.Equal(taken) {
			e.reported = time.Time{}
		}
	}
}
