package ipam

import (
	"encoding/binary"
	"math/bits"
	"net/netip"
)

// A tally is a number of addresses: an IPv6 network has more than 64 bits can count.
type tally struct{ high, low uint64 }

func (t tally) plus(o tally) tally {
	low, carry := bits.Add64(t.low, o.low, 0)
	return tally{t.high + o.high + carry, low}
}

// minus takes off what is not more than t.
func (t tally) minus(o tally) tally {
	low, borrow := bits.Sub64(t.low, o.low, 0)
	return tally{t.high - o.high - borrow, low}
}

func (t tally) less(o tally) bool { return t.high < o.high || t.high == o.high && t.low < o.low }

// atMost returns the number, or most where it is larger.
func (t tally) atMost(most int64) int64 {
	if t.high > 0 || t.low > uint64(most) {
		return most
	}
	return int64(t.low)
}

// lengthOf is how many addresses there are from a to b, which is not before a and of the same family.
func lengthOf(a, b netip.Addr) tally {
	aHigh, aLow := halves(a)
	bHigh, bLow := halves(b)
	return tally{bHigh, bLow}.minus(tally{aHigh, aLow}).plus(tally{0, 1})
}

func halves(a netip.Addr) (high, low uint64) {
	raw := a.As16()
	return binary.BigEndian.Uint64(raw[:]), binary.BigEndian.Uint64(raw[8:])
}
