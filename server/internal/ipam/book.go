package ipam

import (
	"net/netip"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Book says of every address of one subnet whether it can be given away. It is told what happens in the subnet, and
// finds the next free address and counts the others in O(log n), where n is how many runs of addresses in use there
// are. It is not safe for concurrent use.
type Book struct {
	own    []netip.Addr
	spec   metal.SubnetSpec
	ranges map[string]metal.IPRangeSpec

	hosts    metal.AddrRange // what hosts may have
	servers  Set             // gateway, name and time servers, and the server itself
	dynamic  Set
	reserved Set
	assigned Set
	leased   timed
	seen     timed
	clients  map[string]netip.Addr // by whom addresses are leased
	lessees  map[netip.Addr]string // and the other way round
	blocked  Set                   // all of these together
	held     Set                   // candidates: nobody else gets them while it is looked whether they are free
}

// NewBook begins the book of a subnet that has nothing in it. Own are addresses of the server itself.
func NewBook(spec metal.SubnetSpec, own []netip.Addr) *Book {
	b := &Book{own: own, ranges: map[string]metal.IPRangeSpec{}, clients: map[string]netip.Addr{}, lessees: map[netip.Addr]string{}}
	b.SetSubnet(spec)
	return b
}

// SetSubnet takes over a change of the subnet.
func (b *Book) SetSubnet(spec metal.SubnetSpec) {
	b.spec = spec
	b.hosts.First, b.hosts.Last, _ = Usable(spec)
	b.servers = Set{}
	for _, a := range slices.Concat([]netip.Addr{spec.Gateway}, spec.DNS, spec.NTP, b.own) {
		b.servers.Add(a)
	}
	b.sumRanges()
	b.blocked = Set{}
	b.block(b.hosts)
}

// SetRange takes over a range that was made or changed.
func (b *Book) SetRange(name string, spec metal.IPRangeSpec) {
	old := b.ranges[name]
	b.ranges[name] = spec
	b.sumRanges()
	b.reblock(metal.AddrRange{First: old.First, Last: old.Last})
	b.reblock(metal.AddrRange{First: spec.First, Last: spec.Last})
}

// DropRange takes over that a range is gone.
func (b *Book) DropRange(name string) {
	old := b.ranges[name]
	delete(b.ranges, name)
	b.sumRanges()
	b.reblock(metal.AddrRange{First: old.First, Last: old.Last})
}

func (b *Book) sumRanges() {
	b.dynamic, b.reserved = Set{}, Set{}
	for _, r := range b.spec.DHCP.Ranges {
		b.dynamic.AddRange(r)
	}
	for _, r := range b.ranges {
		set := &b.dynamic
		if r.Kind == metal.RangeReserved {
			set = &b.reserved
		}
		set.AddRange(metal.AddrRange{First: r.First, Last: r.Last})
	}
}

// block adds what is in use of a range to all that is blocked.
func (b *Book) block(r metal.AddrRange) {
	for _, set := range []*Set{&b.servers, &b.dynamic, &b.reserved, &b.assigned, &b.leased.Set, &b.seen.Set} {
		for part := range set.runs(r) {
			b.blocked.AddRange(part)
		}
	}
}

// reblock looks again at a range of which something may be free now.
func (b *Book) reblock(r metal.AddrRange) {
	b.blocked.RemoveRange(r)
	b.block(r)
}

func (b *Book) reblockOne(a netip.Addr) { b.reblock(metal.AddrRange{First: a, Last: a}) }

// Assign notes that an address belongs to somebody.
func (b *Book) Assign(a netip.Addr) {
	b.assigned.Add(a)
	b.blocked.Add(a)
}

// Unassign notes that an address belongs to nobody any more.
func (b *Book) Unassign(a netip.Addr) {
	b.assigned.Remove(a)
	b.reblockOne(a)
}

// Lease notes that a client has an address until a time, in place of the one that it had, and of who had that address.
// No client stands for an address that nobody may have until then, of which there may be many.
func (b *Book) Lease(client string, a netip.Addr, until time.Time) {
	if had, ok := b.clients[client]; ok && had != a {
		b.EndLease(had)
	}
	b.forgetLessee(a)
	if client != "" {
		b.clients[client], b.lessees[a] = a, client
	}
	b.leased.until(a, until)
	b.blocked.Add(a)
}

// EndLease notes that no client has an address any more.
func (b *Book) EndLease(a netip.Addr) {
	b.forgetLessee(a)
	b.leased.forget(a)
	b.reblockOne(a)
}

func (b *Book) forgetLessee(a netip.Addr) {
	if client, ok := b.lessees[a]; ok {
		delete(b.clients, client)
		delete(b.lessees, a)
	}
}

// See notes that an address was seen in use. Until a time it is not given to anybody.
func (b *Book) See(a netip.Addr, until time.Time) {
	b.seen.until(a, until)
	b.blocked.Add(a)
}

// Hold keeps a candidate from others. What is held is not in use.
func (b *Book) Hold(a netip.Addr) { b.held.Add(a) }

// Release gives a candidate back, whether it was taken or not.
func (b *Book) Release(a netip.Addr) { b.held.Remove(a) }

// expire forgets what has ended.
func (b *Book) expire(now time.Time) {
	b.leased.expire(now, func(a netip.Addr) {
		b.forgetLessee(a)
		b.reblockOne(a)
	})
	b.seen.expire(now, b.reblockOne)
}

// Next returns the first address that may belong to somebody: a host's, in no range, that is not a server's, that
// nobody has, that was not seen in use and is not held.
func (b *Book) Next(now time.Time) (netip.Addr, bool) {
	b.expire(now)
	from := b.hosts.First
	for from.IsValid() && !b.hosts.Last.Less(from) {
		gap, ok := b.blocked.FirstGap(from, b.hosts.Last)
		if !ok {
			break
		}
		if a, ok := b.held.FirstFree(gap.First, gap.Last); ok {
			return a, true
		}
		from = gap.Last.Next()
	}
	return netip.Addr{}, false
}

// Free says whether an address is one that Next could return, or does while it is held.
func (b *Book) Free(a netip.Addr, now time.Time) bool {
	b.expire(now)
	return b.hosts.Contains(a) && !b.blocked.Contains(a)
}

// FreeRuns returns the runs of free addresses from an address on, at most limit of them.
func (b *Book) FreeRuns(from netip.Addr, limit int, now time.Time) []metal.AddrRange {
	b.expire(now)
	if from.Less(b.hosts.First) {
		from = b.hosts.First
	}
	var runs []metal.AddrRange
	for len(runs) < limit && from.IsValid() && !b.hosts.Last.Less(from) {
		gap, ok := b.blocked.FirstGap(from, b.hosts.Last)
		if !ok {
			break
		}
		runs = append(runs, gap)
		from = gap.Last.Next()
	}
	return runs
}

// Dynamic says whether an address is in a dynamic range.
func (b *Book) Dynamic(a netip.Addr) bool { return b.dynamic.Contains(a) }

// Assigned returns how many addresses of a range belong to somebody.
func (b *Book) Assigned(r metal.AddrRange) int64 { return b.assigned.count(r).atMost(mostCount) }

// AllAssigned returns how many addresses of the subnet belong to somebody.
func (b *Book) AllAssigned() int64 { return totalOf(b.assigned.root).atMost(mostCount) }
