package ipam

import (
	"math"
	"math/big"
	"net/netip"
	"testing"

	"pgregory.net/rapid"
)

func (t tally) big() *big.Int {
	n := new(big.Int).SetUint64(t.high)
	return n.Add(n.Lsh(n, 64), new(big.Int).SetUint64(t.low))
}

func TestTalliesCountAsLargeNumbersDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.Uint64()
		a, b := tally{word.Draw(t, "a high") >> 1, word.Draw(t, "a low")}, tally{word.Draw(t, "b high") >> 1, word.Draw(t, "b low")}
		sum := a.plus(b)
		if want := new(big.Int).Add(a.big(), b.big()); sum.big().Cmp(want) != 0 {
			t.Fatalf("%v and %v: got %v; want %v", a, b, sum, want)
		}
		if got := sum.minus(b); got != a {
			t.Fatalf("%v without %v: got %v; want %v", sum, b, got, a)
		}
		if got, want := a.less(b), a.big().Cmp(b.big()) < 0; got != want {
			t.Fatalf("%v is less than %v: got %v; want %v", a, b, got, want)
		}
		most := rapid.Int64Range(0, math.MaxInt64).Draw(t, "most")
		want := most
		if a.big().Cmp(big.NewInt(most)) < 0 {
			want = a.big().Int64()
		}
		if got := a.atMost(most); got != want {
			t.Fatalf("%v, at most %d: got %d; want %d", a, most, got, want)
		}
	})
}

func TestLengthsCountBothEnds(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want tally
	}{
		{"10.0.0.1", "10.0.0.1", tally{0, 1}},
		{"0.0.0.0", "255.255.255.255", tally{0, 1 << 32}},
		{"2001:db8::", "2001:db8::ffff:ffff:ffff:ffff", tally{1, 0}},
		{"2001:db8::ffff:ffff:ffff:ffff", "2001:db8:0:1::", tally{0, 2}},
	} {
		if got := lengthOf(netip.MustParseAddr(tt.a), netip.MustParseAddr(tt.b)); got != tt.want {
			t.Errorf("%s to %s: got %v; want %v", tt.a, tt.b, got, tt.want)
		}
	}
}
