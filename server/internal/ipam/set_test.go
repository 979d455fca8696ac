package ipam

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func rng(first, last string) metal.AddrRange {
	return metal.AddrRange{First: addr(first), Last: addr(last)}
}

// advance is the address n steps of Next behind a, which must exist.
func advance(a netip.Addr, n uint64) netip.Addr {
	high, low := halves(a)
	low, carry := bits.Add64(low, n, 0)
	var raw [16]byte
	binary.BigEndian.PutUint64(raw[:], high+carry)
	binary.BigEndian.PutUint64(raw[8:], low)
	out := netip.AddrFrom16(raw)
	if a.Is4() {
		return out.Unmap()
	}
	return out
}

// universes are stretches of 64 addresses that the properties are tried on; two end where their family ends.
var universes = map[string]netip.Addr{
	"IPv4":                addr("192.0.2.0"),
	"the end of IPv4":     addr("255.255.255.192"),
	"IPv6":                addr("2001:db8::ffff:ffff:ffff:ffe0"), // the low 64 bits overflow in the middle
	"the end of IPv6":     addr("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffc0"),
	"the beginning of it": addr("::"),
}

const universe = 64

// model is what a Set must behave like.
type model [universe]bool

func (m *model) firstGap(from, last int) (first, end int, ok bool) {
	for first = from; first <= last; first++ {
		if !m[first] {
			for end = first; end < last && !m[end+1]; end++ {
			}
			return first, end, true
		}
	}
	return 0, 0, false
}

func TestSetBehavesLikeOneFlagPerAddress(t *testing.T) {
	for name, base := range universes {
		t.Run(name, func(t *testing.T) {
			at := func(i int) netip.Addr { return advance(base, uint64(i)) }
			rapid.Check(t, func(t *rapid.T) {
				var set Set
				var want model
				index := rapid.IntRange(0, universe-1)
				pair := func() (int, int) {
					a, b := index.Draw(t, "a"), index.Draw(t, "b")
					return min(a, b), max(a, b)
				}
				t.Repeat(map[string]func(*rapid.T){
					"add": func(t *rapid.T) {
						i := index.Draw(t, "i")
						set.Add(at(i))
						want[i] = true
					},
					"remove": func(t *rapid.T) {
						i := index.Draw(t, "i")
						set.Remove(at(i))
						want[i] = false
					},
					"add a range": func(t *rapid.T) {
						a, b := pair()
						set.AddRange(metal.AddrRange{First: at(a), Last: at(b)})
						for i := a; i <= b; i++ {
							want[i] = true
						}
					},
					"remove a range": func(t *rapid.T) {
						a, b := pair()
						set.RemoveRange(metal.AddrRange{First: at(a), Last: at(b)})
						for i := a; i <= b; i++ {
							want[i] = false
						}
					},
					"": func(t *rapid.T) {
						check(t, set.root)
						for i := range universe {
							if set.Contains(at(i)) != want[i] {
								t.Fatalf("contains %v: got %v; want %v", at(i), !want[i], want[i])
							}
						}
						a, b := pair()
						gap, ok := set.FirstGap(at(a), at(b))
						first, end, wantOK := want.firstGap(a, b)
						if ok != wantOK || (ok && gap != metal.AddrRange{First: at(first), Last: at(end)}) {
							t.Fatalf("first gap of %v to %v: got %v, %v; want %v to %v, %v", at(a), at(b), gap, ok, at(first), at(end), wantOK)
						}
						var runs []metal.AddrRange
						count := 0
						for i := a; i <= b; i++ {
							if !want[i] {
								continue
							}
							if count++; len(runs) > 0 && runs[len(runs)-1].Last == at(i).Prev() {
								runs[len(runs)-1].Last = at(i)
							} else {
								runs = append(runs, metal.AddrRange{First: at(i), Last: at(i)})
							}
						}
						in := metal.AddrRange{First: at(a), Last: at(b)}
						if got := set.count(in); got != (tally{0, uint64(count)}) {
							t.Fatalf("count of %v: got %v; want %d", in, got, count)
						}
						if got := slices.Collect(set.runs(in)); !slices.Equal(got, runs) {
							t.Fatalf("runs of %v: got %v; want %v", in, got, runs)
						}
						if free, ok := set.FirstFree(at(a), at(b)); ok != wantOK || (ok && free != at(first)) {
							t.Fatalf("first free of %v to %v: got %v, %v; want %v", at(a), at(b), free, ok, at(first))
						}
					},
				})
			})
		})
	}
}

// check fails when runs of a treap overlap, touch or are out of order, or a priority is exceeded below it.
func check(t *rapid.T, root *run) {
	var runs []*run
	var walk func(*run)
	walk = func(n *run) {
		if n == nil {
			return
		}
		if want := lengthOf(n.first, n.last).plus(totalOf(n.left)).plus(totalOf(n.right)); n.total != want {
			t.Fatalf("%v to %v and what is below: got a total of %v; want %v", n.first, n.last, n.total, want)
		}
		for _, below := range []*run{n.left, n.right} {
			if below != nil && below.priority > n.priority {
				t.Fatalf("priority %d is below %d", below.priority, n.priority)
			}
		}
		walk(n.left)
		runs = append(runs, n)
		walk(n.right)
	}
	walk(root)
	for i, r := range runs {
		if r.last.Less(r.first) || (i > 0 && touches(runs[i-1].last, r.first)) {
			t.Fatalf("run %d, %v to %v, is reversed or touches the one before", i, r.first, r.last)
		}
	}
}

func TestSetIgnoresWhatIsNoRange(t *testing.T) {
	var set Set
	for _, r := range []metal.AddrRange{
		{},
		{First: addr("192.0.2.1")},
		{Last: addr("192.0.2.1")},
		rng("192.0.2.2", "192.0.2.1"),
		rng("192.0.2.1", "2001:db8::1"),
	} {
		set.AddRange(r)
		if set.root != nil {
			t.Errorf("%v is added", r)
		}
		set.RemoveRange(r)
		if _, ok := set.FirstGap(r.First, r.Last); ok {
			t.Errorf("%v has a gap", r)
		}
	}
}

func TestSetKeepsTheFamiliesApart(t *testing.T) {
	var set Set
	set.AddRange(rng("255.255.255.254", "255.255.255.255"))
	set.AddRange(rng("::", "::1"))
	if set.Contains(addr("::2")) || !set.Contains(addr("::1")) || !set.Contains(addr("255.255.255.255")) || set.Contains(addr("255.255.255.253")) {
		t.Error("the end of IPv4 and the beginning of IPv6 are mixed up")
	}
	if set.root.left == set.root.right {
		t.Error("got one run; want one for each family")
	}
}

// BenchmarkSet allocates and gives back in a set of so many addresses, of which every second one is free: the worst
// case, as each is a run of its own.
func BenchmarkSet(b *testing.B) {
	for _, size := range []int{100, 10_000, 100_000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var set Set
			first := addr("10.0.0.0")
			for i := range size {
				set.Add(advance(first, uint64(2*i)))
			}
			from := first
			for b.Loop() {
				a, ok := set.FirstFree(from, addr("10.255.255.255"))
				if !ok {
					b.Fatal("nothing is free")
				}
				set.Add(a)
				set.Remove(a)
				if from = advance(a, 1); (tally{0, uint64(2 * size)}).less(lengthOf(first, from)) {
					from = first
				}
			}
		})
	}
}
