package ipam

import (
	"encoding/binary"
	"math"
	"math/bits"
	"net/netip"
)

// distance is how many steps of Next lead from a to b, which is not before a and of the same family; at most 2^64-1.
func distance(a, b netip.Addr) uint64 {
	aHigh, aLow := halves(a)
	bHigh, bLow := halves(b)
	low, borrow := bits.Sub64(bLow, aLow, 0)
	if high, _ := bits.Sub64(bHigh, aHigh, borrow); high != 0 {
		return math.MaxUint64
	}
	return low
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

func halves(a netip.Addr) (high, low uint64) {
	raw := a.As16()
	return binary.BigEndian.Uint64(raw[:]), binary.BigEndian.Uint64(raw[8:])
}
