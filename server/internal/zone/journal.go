package zone

import "github.com/miekg/dns"

const (
	maxDeltas       = 1000    // that the journal of a zone remembers
	maxJournalBytes = 1 << 20 // of the records in it, as they are sent without compression
)

// A Delta is one change of a zone's content: the difference between two serials, as IXFR sends it. Nothing in it must
// be changed.
type Delta struct {
	From, To       *dns.SOA
	Removed, Added []dns.RR // without the SOA records
	bytes          int
}

// journal is the changes that are remembered of a zone, oldest first. Moments of a zone share its memory: it only
// grows at its end, by one writer, and is cut at its front.
type journal struct {
	deltas []Delta
	bytes  int
}

// with returns the journal with one more change, and without the oldest where it has grown too long.
func (j journal) with(d Delta) journal {
	d.bytes = dns.Len(d.From) + dns.Len(d.To)
	for _, list := range [][]dns.RR{d.Removed, d.Added} {
		for _, rr := range list {
			d.bytes += dns.Len(rr)
		}
	}
	j.deltas, j.bytes = append(j.deltas, d), j.bytes+d.bytes
	for len(j.deltas) > maxDeltas || j.bytes > maxJournalBytes {
		j.bytes -= j.deltas[0].bytes
		j.deltas = j.deltas[1:]
	}
	return j
}

// since returns the changes from one serial to the present one.
func (j journal) since(serial, now uint32) ([]Delta, bool) {
	if serial == now {
		return nil, true
	}
	for i, d := range j.deltas {
		if d.From.Serial == serial {
			return j.deltas[i:len(j.deltas):len(j.deltas)], true
		}
	}
	return nil, false
}
