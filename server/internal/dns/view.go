// Package dns tells the names and addresses of machines: it is authoritative for the zones of package zone, and forwards
// the rest where it is told to. What it answers is a pure function of request and View.
package dns

import "github.com/metalform/terraform-provider-metal/server/internal/zone"

// Self is the server, as it tells of itself.
type Self struct {
	NSID string // which of several servers it is (RFC 5001); "" tells nobody
}

// Zones is where the server finds the present moment of its zones. It must be as quick as loading a pointer.
type Zones interface {
	Now() *zone.View
}

// limits are how many bytes an answer may have.
type limits struct{ plain, edns int }

var (
	// byDatagram holds for UDP. With EDNS it is what passes every link without being fragmented (DNS Flag Day 2020),
	// without it what RFC 1035, section 4.2.1, says.
	byDatagram = limits{plain: 512, edns: ednsSize}
	// byStream holds for TCP, where the client's EDNS size says nothing (RFC 6891, section 6.2.5).
	byStream = limits{plain: 1<<16 - 1, edns: 1<<16 - 1}
)

// ednsSize is the largest datagram that is sent, in bytes, and the largest that we say we take.
const ednsSize = 1232

// with is the limit for a client that says in EDNS how much it takes; without EDNS that is 0.
func (l limits) with(size int) int { return min(max(size, l.plain), l.edns) }
