package lease

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// world is a table in the hands of a server, and what its clients and owners believe.
type world struct {
	table   *Table
	wall    time.Time
	acked   map[netip.Addr]ack    // what each client was promised last
	owned   map[netip.Addr]string // whose the others are
	pending []promised            // decided, and not committed yet
}

type ack struct {
	client string
	until  time.Time
}

type promised struct {
	client string
	lease  metal.Lease
	epoch  uint64
}

func (w *world) now() time.Time { return w.table.Now(w.wall) }

// discover offers the client what it holds, or what is free.
func (w *world) discover(t *rapid.T, client string, wanted netip.Addr) {
	ask, now := from(client), w.now()
	ask.Wanted = wanted
	k := w.table.Look(ask, now)
	addr := k.Free
	if k.LeaseFree {
		addr = k.Lease.Addr
	}
	if !addr.IsValid() {
		return
	}
	l := &metal.Lease{Subnet: "rack", Addr: addr, State: metal.LeaseOffered, ExpiresAt: now.Add(30 * time.Second)}
	if !w.table.Hold(client, l, now) {
		t.Fatalf("%s is shown to %s as free, and is not", addr, client)
	}
}

// request asks for the address that the client was offered, or holds, and promises it.
func (w *world) request(client string) {
	now := w.now()
	k := w.table.Look(from(client), now)
	if k.Assigned.IsValid() || k.Lease == nil || !k.LeaseFree {
		return
	}
	l := *k.Lease
	l.State, l.ExpiresAt = metal.LeaseActive, now.Add(10*time.Minute)
	kept := l
	kept.State, kept.ExpiresAt = metal.LeaseOffered, now.Add(30*time.Second)
	if w.table.Hold(client, &kept, now) {
		w.pending = append(w.pending, promised{client, l, k.Epoch})
	}
}

// commit stores what is promised and still true.
func (w *world) commit(t *rapid.T) {
	now := w.now()
	for _, p := range w.pending {
		if p.epoch != w.table.Epoch() && !w.again(&p, now) || !w.table.Holds(p.client, &p.lease, now) {
			continue
		}
		if other := w.acked[p.lease.Addr]; other.client != p.client && other.until.After(now) {
			t.Fatalf("%s is given to %s, and %s has it until %s", p.lease.Addr, p.client, other.client, other.until)
		}
		if who := w.owned[p.lease.Addr]; who != "" {
			t.Fatalf("%s is given to %s, and belongs to %s", p.lease.Addr, p.client, who)
		}
		for a, old := range w.acked {
			if old.client == p.client {
				delete(w.acked, a)
			}
		}
		w.acked[p.lease.Addr] = ack{p.client, p.lease.ExpiresAt}
		w.table.SetLease(p.client, &p.lease)
	}
	w.pending = nil
}

// again says whether a promise would be made as the facts are now.
func (w *world) again(p *promised, now time.Time) bool {
	k := w.table.Look(from(p.client), now)
	return k.LeaseFree && k.Lease.Addr == p.lease.Addr && !k.Assigned.IsValid()
}

// end ends what a client holds: it gives it up, or found another host there.
func (w *world) end(t *rapid.T, client string, declined bool) {
	now := w.now()
	k := w.table.Look(from(client), now)
	if k.Lease == nil || !k.Lease.ExpiresAt.After(now) || w.table.GiveUp(client, "rack", k.Lease.Addr, now) {
		return
	}
	delete(w.acked, k.Lease.Addr)
	l := *k.Lease
	l.ExpiresAt = now
	if declined {
		w.table.DropLease("rack", l.Addr)
		l.State, l.ExpiresAt = metal.LeaseDeclined, now.Add(time.Hour)
		client = "declined " + l.Addr.String()
		w.acked[l.Addr] = ack{client, l.ExpiresAt}
	}
	w.table.SetLease(client, &l)
}

// assign gives an address to an owner, as the API does: one that nobody's lease is on. What is only offered is not
// looked at.
func (w *world) assign(addr netip.Addr) {
	if w.owned[addr] != "" || w.acked[addr].until.After(w.now()) {
		return
	}
	w.owned[addr] = "m-" + addr.String()
	w.table.SetAssignment(metal.Assignment{Subnet: "rack", Addr: addr, MachineID: w.owned[addr]})
}

func (w *world) unassign(addr netip.Addr) {
	delete(w.owned, addr)
	w.table.DropAssignment("rack", addr)
}

// TestNoAddressIsEverWithTwo does at random what clients, people and time do.
func TestNoAddressIsEverWithTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{table: New(), wall: start, acked: map[netip.Addr]ack{}, owned: map[netip.Addr]string{}}
		w.now()
		clients := rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})
		addrs := rapid.Custom(func(t *rapid.T) netip.Addr {
			return netip.AddrFrom4([4]byte{10, 0, 0, byte(rapid.IntRange(96, 106).Draw(t, "host"))})
		})
		ranges := func(first, last int) {
			w.table.SetSubnet(subnet("rack", "10.0.0.0/24", fmt.Sprintf("10.0.0.%d", first), fmt.Sprintf("10.0.0.%d", last)))
		}
		ranges(100, 103)
		what := map[string]func(*rapid.T){
			"discover": func(t *rapid.T) { w.discover(t, clients.Draw(t, "client"), addrs.Draw(t, "wanted")) },
			"discover and request": func(t *rapid.T) {
				client := clients.Draw(t, "client")
				w.discover(t, client, netip.Addr{})
				w.request(client)
			},
			"request":  func(t *rapid.T) { w.request(clients.Draw(t, "client")) },
			"commit":   func(t *rapid.T) { w.commit(t) },
			"release":  func(t *rapid.T) { w.end(t, clients.Draw(t, "client"), false) },
			"decline":  func(t *rapid.T) { w.end(t, clients.Draw(t, "client"), true) },
			"assign":   func(t *rapid.T) { w.assign(addrs.Draw(t, "addr")) },
			"unassign": func(t *rapid.T) { w.unassign(addrs.Draw(t, "addr")) },
			"time goes by": func(t *rapid.T) {
				w.wall = w.wall.Add(rapid.SampledFrom([]time.Duration{time.Second, 6 * time.Second, 31 * time.Second, 5 * time.Minute, time.Hour}).Draw(t, "time"))
			},
			"the clock is set back": func(t *rapid.T) {
				was := w.now()
				if w.wall = w.wall.Add(-time.Hour); w.now().Before(was) {
					t.Fatalf("time went back from %s to %s", was, w.now())
				}
			},
			"the range changes": func(t *rapid.T) {
				first := rapid.IntRange(97, 102).Draw(t, "first")
				ranges(first, rapid.IntRange(first, 105).Draw(t, "last"))
			},
			"a lease is taken away": func(t *rapid.T) {
				addr := addrs.Draw(t, "addr")
				delete(w.acked, addr)
				w.table.DropLease("rack", addr)
			},
		}
		next := rapid.SampledFrom(slices.Sorted(maps.Keys(what)))
		for range 300 { // too few of them make no trouble
			what[next.Draw(t, "what")](t)
			sound(t, w.table)
		}
	})
}

// sound checks that all parts of a table say the same.
func sound(t *rapid.T, table *Table) {
	for _, n := range table.networks {
		s := n.addresses
		for a, e := range s.at {
			if e.addr != a || !s.used.Contains(a) || e.lease == nil && e.hold == nil && !e.owned {
				t.Fatalf("%s: the entry %+v should not be", a, e)
			}
			if e.owned != (n.owned[a] != metal.Assignment{}) {
				t.Fatalf("%s: owned is %t, and its owner %+v", a, e.owned, n.owned[a])
			}
			if e.lease != nil && s.leased[e.owner] != e {
				t.Fatalf("%s: the lease of %s is not found by its client", a, e.owner)
			}
			if e.hold != nil && s.held[e.hold.client] != e {
				t.Fatalf("%s: what is kept for %s is not found by its client", a, e.hold.client)
			}
			if e.hold != nil && e.owned {
				t.Fatalf("%s: kept for %s, and another's", a, e.hold.client)
			}
			if e.heap != nil && e.heap.entries[e.index] != e {
				t.Fatalf("%s: not where it should be in its heap", a)
			}
		}
		if len(s.held) != s.queue.length || len(s.leased)+len(s.held) > 2*len(s.at) {
			t.Fatalf("%d are kept, %d in the queue, %d leased, of %d", len(s.held), s.queue.length, len(s.leased), len(s.at))
		}
		inHeaps := len(s.active.entries) + len(s.idle.entries)
		for _, e := range s.idle.entries {
			if e.owned || e.hold != nil || !s.gives(e.addr) {
				t.Fatalf("%s: ended and for others, though %+v", e.addr, e)
			}
		}
		if inHeaps > len(s.at) {
			t.Fatalf("%d in the heaps of %d", inHeaps, len(s.at))
		}
	}
}
