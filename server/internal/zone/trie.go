package zone

import (
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
)

const (
	chunk   = 5  // bits of the hash that one level of a trie takes
	deepest = 60 // bits after which names with equal hashes are listed one by one
)

// A trie maps names to values and never changes: with and without return another one that shares all but one path with
// it (Bagwell, Ideal Hash Trees; leaves and branches apart as Steindorfer and Vinju have them). Whoever has one has a
// consistent picture for as long as they like, and a change costs a few hundred bytes however many names there are.
type trie[V any] struct {
	seed maphash.Seed
	root *branch[V]
	size int
}

type branch[V any] struct {
	leafMap, branchMap uint32 // which chunks have a leaf, or a branch of more than one
	leaves             []*leaf[V]
	branches           []*branch[V]
}

type leaf[V any] struct {
	hash  uint64
	key   name
	value V
}

func newTrie[V any]() trie[V] { return trie[V]{seed: maphash.MakeSeed()} }

// bitOf is the bit of a hash on a level, and below is how many of a map's bits come before it.
func bitOf(hash uint64, shift uint) uint32 { return 1 << (hash >> shift & (1<<chunk - 1)) }

func below(bitmap, bit uint32) int { return bits.OnesCount32(bitmap & (bit - 1)) }

func (t trie[V]) get(key name) (value V, ok bool) {
	hash := maphash.String(t.seed, string(key))
	b := t.root
	for shift := uint(0); b != nil && shift < deepest; shift += chunk {
		bit := bitOf(hash, shift)
		if b.leafMap&bit != 0 {
			l := b.leaves[below(b.leafMap, bit)]
			return l.value, l.hash == hash && l.key == key
		}
		if b.branchMap&bit == 0 {
			return value, false
		}
		b = b.branches[below(b.branchMap, bit)]
	}
	if b != nil {
		for _, l := range b.leaves {
			if l.key == key {
				return l.value, true
			}
		}
	}
	return value, false
}

// with returns the trie in which key has value.
func (t trie[V]) with(key name, value V) trie[V] {
	l := &leaf[V]{maphash.String(t.seed, string(key)), key, value}
	root, added := t.root.with(l, 0)
	t.root = root
	if added {
		t.size++
	}
	return t
}

func (b *branch[V]) with(l *leaf[V], shift uint) (made *branch[V], added bool) {
	if b == nil {
		b = &branch[V]{}
	}
	c := *b
	if shift >= deepest {
		at := slices.IndexFunc(c.leaves, func(o *leaf[V]) bool { return o.key == l.key })
		if at < 0 {
			c.leaves = append(slices.Clip(c.leaves), l)
			return &c, true
		}
		c.leaves = replaced(c.leaves, at, l)
		return &c, false
	}
	bit := bitOf(l.hash, shift)
	switch leafAt, branchAt := below(c.leafMap, bit), below(c.branchMap, bit); {
	case c.branchMap&bit != 0:
		child, added := c.branches[branchAt].with(l, shift+chunk)
		c.branches = replaced(c.branches, branchAt, child)
		return &c, added
	case c.leafMap&bit == 0:
		c.leafMap |= bit
		c.leaves = inserted(c.leaves, leafAt, l)
		return &c, true
	case c.leaves[leafAt].key == l.key:
		c.leaves = replaced(c.leaves, leafAt, l)
		return &c, false
	default: // two names share what was read of their hashes
		child, _ := (*branch[V])(nil).with(c.leaves[leafAt], shift+chunk)
		child, _ = child.with(l, shift+chunk)
		c.leafMap &^= bit
		c.leaves = removed(c.leaves, leafAt)
		c.branchMap |= bit
		c.branches = inserted(c.branches, branchAt, child)
		return &c, true
	}
}

// without returns the trie that does not have key.
func (t trie[V]) without(key name) trie[V] {
	if _, ok := t.get(key); !ok {
		return t
	}
	t.root = t.root.without(key, maphash.String(t.seed, string(key)), 0)
	t.size--
	return t
}

// without is called for keys that are there only.
func (b *branch[V]) without(key name, hash uint64, shift uint) *branch[V] {
	c := *b
	if shift >= deepest {
		c.leaves = removed(c.leaves, slices.IndexFunc(c.leaves, func(o *leaf[V]) bool { return o.key == key }))
		return &c
	}
	bit := bitOf(hash, shift)
	leafAt, branchAt := below(c.leafMap, bit), below(c.branchMap, bit)
	if c.leafMap&bit != 0 {
		c.leafMap &^= bit
		c.leaves = removed(c.leaves, leafAt)
		return &c
	}
	child := c.branches[branchAt].without(key, hash, shift+chunk)
	if len(child.branches) > 0 || len(child.leaves) > 1 {
		c.branches = replaced(c.branches, branchAt, child)
		return &c
	}
	c.branchMap &^= bit
	c.branches = removed(c.branches, branchAt)
	c.leafMap |= bit
	c.leaves = inserted(c.leaves, leafAt, child.leaves[0])
	return &c
}

// all yields every value, in no order.
func (t trie[V]) all() iter.Seq[V] {
	return func(yield func(V) bool) {
		if t.root != nil {
			t.root.each(yield)
		}
	}
}

func (b *branch[V]) each(yield func(V) bool) bool {
	for _, l := range b.leaves {
		if !yield(l.value) {
			return false
		}
	}
	for _, child := range b.branches {
		if !child.each(yield) {
			return false
		}
	}
	return true
}

func replaced[T any](list []T, at int, v T) []T {
	made := slices.Clone(list)
	made[at] = v
	return made
}

func inserted[T any](list []T, at int, v T) []T {
	made := make([]T, len(list)+1)
	copy(made, list[:at])
	made[at] = v
	copy(made[at+1:], list[at:])
	return made
}

func removed[T any](list []T, at int) []T {
	made := make([]T, len(list)-1)
	copy(made, list[:at])
	copy(made[at:], list[at+1:])
	return made
}
