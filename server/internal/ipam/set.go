package ipam

import (
	"iter"
	"math/rand/v2"
	"net/netip"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Set is a set of addresses of both families, in which the first free address is found in O(log n): a treap of
// ranges that neither overlap nor touch, so that whatever follows a range is free. However many addresses are in use,
// a million in one run cost as much as one. The zero value is empty. It is not safe for concurrent use.
type Set struct{ root *run }

// A run is a node of the treap: a range, before everything on its right and behind everything on its left, and with a
// priority that no node below it exceeds.
type run struct {
	first, last netip.Addr
	priority    uint32
	total       tally // addresses of the run and of all below it
	left, right *run
}

// Add puts an address in.
func (s *Set) Add(a netip.Addr) { s.AddRange(metal.AddrRange{First: a, Last: a}) }

// Remove takes an address out.
func (s *Set) Remove(a netip.Addr) { s.RemoveRange(metal.AddrRange{First: a, Last: a}) }

// Contains says whether an address is in the set.
func (s *Set) Contains(a netip.Addr) bool {
	r := s.before(a)
	return r != nil && !r.last.Less(a)
}

// AddRange puts a range in. One without an end, reversed or of two families is nothing to add.
func (s *Set) AddRange(r metal.AddrRange) {
	if !isRange(r) {
		return
	}
	left, right := split(s.root, r.First)
	if l := rightmost(left); l != nil && touches(l.last, r.First) {
		left = dropRightmost(left)
		r.First = l.first
		if r.Last.Less(l.last) {
			r.Last = l.last
		}
	}
	for n := leftmost(right); n != nil && touches(r.Last, n.first); n = leftmost(right) {
		right = dropLeftmost(right)
		if r.Last.Less(n.last) {
			r.Last = n.last
		}
	}
	s.root = merge(merge(left, newRun(r.First, r.Last)), right)
}

// RemoveRange takes a range out, as far as it is in.
func (s *Set) RemoveRange(r metal.AddrRange) {
	if !isRange(r) {
		return
	}
	left, right := split(s.root, r.First)
	if l := rightmost(left); l != nil && !l.last.Less(r.First) {
		left = merge(dropRightmost(left), newRun(l.first, r.First.Prev()))
		if r.Last.Less(l.last) {
			right = merge(newRun(r.Last.Next(), l.last), right)
		}
	}
	for n := leftmost(right); n != nil && !r.Last.Less(n.first); n = leftmost(right) {
		right = dropLeftmost(right)
		if r.Last.Less(n.last) {
			right = merge(newRun(r.Last.Next(), n.last), right)
		}
	}
	s.root = merge(left, right)
}

// FirstGap returns the first run of addresses between from and last, both included, that are not in the set.
func (s *Set) FirstGap(from, last netip.Addr) (metal.AddrRange, bool) {
	if !isRange(metal.AddrRange{First: from, Last: last}) {
		return metal.AddrRange{}, false
	}
	if r := s.before(from); r != nil && !r.last.Less(from) {
		if from = r.last.Next(); !from.IsValid() || last.Less(from) {
			return metal.AddrRange{}, false
		}
	}
	if n := s.after(from); n != nil && !last.Less(n.first) {
		last = n.first.Prev()
	}
	return metal.AddrRange{First: from, Last: last}, true
}

// FirstFree returns the first address between from and last, both included, that is not in the set.
func (s *Set) FirstFree(from, last netip.Addr) (netip.Addr, bool) {
	gap, ok := s.FirstGap(from, last)
	return gap.First, ok
}

// count returns how many addresses of a range are in the set, in O(log n).
func (s *Set) count(r metal.AddrRange) tally {
	if !isRange(r) {
		return tally{}
	}
	n := s.upTo(r.Last)
	if before := r.First.Prev(); before.IsValid() {
		n = n.minus(s.upTo(before))
	}
	return n
}

// upTo returns how many addresses of the set are not behind an address.
func (s *Set) upTo(a netip.Addr) (n tally) {
	for r := s.root; r != nil; {
		if a.Less(r.first) {
			r = r.left
			continue
		}
		n = n.plus(totalOf(r.left))
		if !r.last.Less(a) {
			return n.plus(lengthOf(r.first, a))
		}
		n = n.plus(lengthOf(r.first, r.last))
		r = r.right
	}
	return n
}

// runs goes through what the set has of a range, in order. The set must not change meanwhile.
func (s *Set) runs(r metal.AddrRange) iter.Seq[metal.AddrRange] {
	return func(yield func(metal.AddrRange) bool) {
		if !isRange(r) {
			return
		}
		n := s.before(r.First)
		if n == nil || n.last.Less(r.First) {
			n = s.after(r.First)
		}
		for ; n != nil && !r.Last.Less(n.first); n = s.after(n.last) {
			part := metal.AddrRange{First: n.first, Last: n.last}
			if part.First.Less(r.First) {
				part.First = r.First
			}
			if r.Last.Less(part.Last) {
				part.Last = r.Last
			}
			if !yield(part) {
				return
			}
		}
	}
}

// before returns the last run that begins at an address or before it.
func (s *Set) before(a netip.Addr) *run {
	var found *run
	for n := s.root; n != nil; {
		if a.Less(n.first) {
			n = n.left
		} else {
			found, n = n, n.right
		}
	}
	return found
}

// after returns the first run that begins behind an address.
func (s *Set) after(a netip.Addr) *run {
	var found *run
	for n := s.root; n != nil; {
		if a.Less(n.first) {
			found, n = n, n.left
		} else {
			n = n.right
		}
	}
	return found
}

// isRange says whether a range has two ends of one family in their order.
func isRange(r metal.AddrRange) bool {
	return r.First.IsValid() && r.First.BitLen() == r.Last.BitLen() && !r.Last.Less(r.First)
}

// touches says whether a range that ends at last overlaps one that begins at first or later, or is directly before it.
func touches(last, first netip.Addr) bool { return !last.Less(first) || last.Next() == first }

func newRun(first, last netip.Addr) *run {
	return &run{first: first, last: last, priority: rand.Uint32(), total: lengthOf(first, last)}
}

// summed brings the total of a run up to date after what is below it changed.
func (n *run) summed() *run {
	n.total = lengthOf(n.first, n.last).plus(totalOf(n.left)).plus(totalOf(n.right))
	return n
}

func totalOf(n *run) tally {
	if n == nil {
		return tally{}
	}
	return n.total
}

// split takes a treap apart: the runs that begin before an address, and the others.
func split(n *run, at netip.Addr) (left, right *run) {
	if n == nil {
		return nil, nil
	}
	if n.first.Less(at) {
		n.right, right = split(n.right, at)
		return n.summed(), right
	}
	left, n.left = split(n.left, at)
	return left, n.summed()
}

// merge joins two treaps, of which the first lies wholly before the second.
func merge(a, b *run) *run {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.priority >= b.priority:
		a.right = merge(a.right, b)
		return a.summed()
	}
	b.left = merge(a, b.left)
	return b.summed()
}

func leftmost(n *run) *run {
	for n != nil && n.left != nil {
		n = n.left
	}
	return n
}

func rightmost(n *run) *run {
	for n != nil && n.right != nil {
		n = n.right
	}
	return n
}

func dropLeftmost(n *run) *run {
	if n.left == nil {
		return n.right
	}
	n.left = dropLeftmost(n.left)
	return n.summed()
}

func dropRightmost(n *run) *run {
	if n.right == nil {
		return n.left
	}
	n.right = dropRightmost(n.right)
	return n.summed()
}
