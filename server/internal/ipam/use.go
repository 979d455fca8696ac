package ipam

import (
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Use counts the addresses of the subnet. An address counts once: as a server's first, then by its range, then as
// somebody's. Those that can be given to nobody although they are nobody's (seen in use, or still leased behind a range
// that was shrunk) count as reserved.
func (b *Book) Use(now time.Time) metal.SubnetUse {
	b.expire(now)
	total := tally{}
	if b.hosts.First.IsValid() {
		total = lengthOf(b.hosts.First, b.hosts.Last)
	}
	dynamic := b.dynamic.count(b.hosts)
	for r := range b.servers.runs(b.hosts) {
		dynamic = dynamic.minus(b.dynamic.count(r))
	}
	assigned := b.assigned.count(b.hosts)
	var apart Set
	for _, set := range []*Set{&b.servers, &b.dynamic, &b.reserved} {
		for r := range set.runs(b.hosts) {
			apart.AddRange(r)
		}
	}
	for r := range apart.runs(b.hosts) {
		assigned = assigned.minus(b.assigned.count(r))
	}
	blocked := b.blocked.count(b.hosts)
	parts := [...]tally{blocked.minus(dynamic).minus(assigned), dynamic, assigned, total.minus(blocked)}
	n := shares(total, parts[:])
	return metal.SubnetUse{
		Total: total.atMost(mostCount), Reserved: n[0], Dynamic: n[1], Assigned: n[2], Free: n[3],
		Leased: int64(len(b.leased.ends)),
	}
}

// shares returns the parts of a total as numbers that JSON can hold. Where the total is larger than that, small parts
// stay what they are, and the largest makes up the sum.
func shares(total tally, parts []tally) []int64 {
	const most = mostCount / 4
	whole := total.atMost(mostCount)
	n := make([]int64, len(parts))
	largest, sum := 0, int64(0)
	for i, p := range parts {
		if parts[largest].less(p) {
			largest = i
		}
		n[i] = p.atMost(mostCount)
		if (tally{0, mostCount}).less(total) {
			n[i] = min(n[i], most)
		}
		sum += n[i]
	}
	n[largest] += whole - sum
	return n
}
