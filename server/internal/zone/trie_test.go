package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestATrieIsAMap(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	trie, want := newTrie[int](), map[name]int{}
	for step := range 20_000 {
		key := labels(fmt.Sprint(random.IntN(3000))) + root
		if random.IntN(3) == 0 {
			trie = trie.without(key)
			delete(want, key)
		} else {
			trie = trie.with(key, step)
			want[key] = step
		}
	}
	check(t, trie, want)
	before, size := trie, len(want)
	for key := range want {
		trie = trie.without(key)
	}
	if trie.size != 0 || len(slices.Collect(trie.all())) != 0 {
		t.Errorf("got %d of %v; want nothing", trie.size, slices.Collect(trie.all()))
	}
	if before.size != size {
		t.Errorf("the trie that was taken before has %d; want %d", before.size, size)
	}
	check(t, before, want)
}

func TestNamesWithEqualHashesAreToldApart(t *testing.T) {
	leafOf := func(key string, value int) *leaf[int] { return &leaf[int]{hash: 42, key: name(key), value: value} }
	var b *branch[int]
	for i := range 5 {
		b, _ = b.with(leafOf(fmt.Sprint(i), i), 0)
	}
	b, added := b.with(leafOf("3", 33), 0)
	if added {
		t.Error("a key that was there is added")
	}
	sum := func() (sum int) {
		b.each(func(v int) bool { sum += v; return true })
		return sum
	}
	if got := sum(); got != 0+1+2+33+4 {
		t.Errorf("got %d; want every value once", got)
	}
	for _, key := range []name{"0", "3", "1", "4"} {
		b = b.without(key, 42, 0)
	}
	if len(b.leaves) != 1 || b.leaves[0].key != "2" || len(b.branches) != 0 {
		t.Errorf("got %d leaves, %d branches; want the one that is left, at the top", len(b.leaves), len(b.branches))
	}
}

// check compares a trie with a map.
func check(t *testing.T, trie trie[int], want map[name]int) {
	t.Helper()
	if trie.size != len(want) {
		t.Errorf("got %d values; want %d", trie.size, len(want))
	}
	for key, value := range want {
		if got, ok := trie.get(key); !ok || got != value {
			t.Fatalf("%q: got %d, %t; want %d", key, got, ok, value)
		}
	}
	if _, ok := trie.get(labels("nobody") + root); ok {
		t.Error("a key is there that nobody put")
	}
	if got, want := slices.Sorted(trie.all()), slices.Sorted(maps.Values(want)); !slices.Equal(got, want) {
		t.Errorf("all: got %d values; want %d", len(got), len(want))
	}
}

func BenchmarkChange(b *testing.B) {
	z := empty(b)
	do(b, z, "subnet fleet 10.0.0.0/8")
	z.Change(func(batch *Batch) {
		for i := range 10_000 {
			apply(b, batch, []string{"machine", fmt.Sprint("m", i), fmt.Sprint("n", i)})
			apply(b, batch, []string{"addr", "fleet", fmt.Sprintf("10.0.%d.%d", i/250, i%250), fmt.Sprint("m:m", i)})
		}
	})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		z.Change(func(batch *Batch) { batch.SetMachine(fmt.Sprint("m", i%10_000), fmt.Sprint("x", i)) })
	}
}

func BenchmarkLeaseWithoutName(b *testing.B) {
	z := empty(b)
	do(b, z, "subnet fleet 10.0.0.0/8")
	l := leaseOf(b, []string{"lease", "fleet", "10.0.0.1", "aa", "-", "0"})
	b.ReportAllocs()
	for b.Loop() {
		z.Change(func(batch *Batch) { batch.SetLease("aa", l) })
	}
}
