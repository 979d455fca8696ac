package zone

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"
)

// ownerPointer is a compressed name that says: as in the question, which follows the message's header of 12 bytes.
const ownerPointer = 0xc000 | 12

// A Set is every record of one name and type. It never changes.
type Set struct {
	Type uint16
	RRs  []dns.RR // in the order of their data; their owner is written in lower case
	wire []byte   // the same as they are sent, with ownerPointer for the owner
}

// Append appends the records as they are sent in answer to a question for their very name, and Count says how many.
func (s *Set) Append(to []byte) []byte { return append(to, s.wire...) }

// Count is how many records there are.
func (s *Set) Count() int { return len(s.RRs) }

// AppendDenial appends the SOA record that goes with a denial (RFC 2308). owner is where in the message the zone's
// name begins, which is the end of the question's.
func (z *Zone) AppendDenial(to []byte, owner int) []byte {
	to = binary.BigEndian.AppendUint16(to, 0xc000|uint16(owner))
	return append(to, z.denial.wire[2:]...)
}

// node is what readers see of a name. It has no sets where there are only names below it. It never changes.
type node struct {
	name name
	sets []*Set // by type
	cut  bool   // the zone ends here: NS records and glue are somebody else's (RFC 1034, section 4.2)
}

// set returns the records of a type, or nil.
func (n *node) set(rrtype uint16) *Set {
	for _, s := range n.sets {
		if s.Type == rrtype {
			return s
		}
	}
	return nil
}

// record is one record with its bytes: type, class, TTL, length and data (RFC 1035, section 3.2.1).
type record struct {
	rr   dns.RR
	wire []byte
}

// recordSize is the longest record that is packed, in bytes: as much as a message may have.
const recordSize = 1 << 16

// packer makes Sets. It is there for its buffer.
type packer struct{ buffer []byte }

// record gives rr an owner and a TTL. ok is false for data that cannot be sent.
func (p *packer) record(rr dns.RR, owner name, text string, ttl uint32) (r record, ok bool) {
	if p.buffer == nil {
		p.buffer = make([]byte, recordSize)
	}
	rr = dns.Copy(rr)
	h := rr.Header()
	h.Name, h.Class, h.Ttl = text, dns.ClassINET, ttl
	end, err := dns.PackRR(rr, p.buffer, 0, nil, false)
	if err != nil {
		return r, false
	}
	return record{rr, bytes.Clone(p.buffer[len(owner):end])}, true
}

// sets groups records by type, orders each group by its data and leaves doubles out.
func sets(records []record) []*Set {
	slices.SortFunc(records, func(a, b record) int {
		return cmp.Or(cmp.Compare(a.rr.Header().Rrtype, b.rr.Header().Rrtype), bytes.Compare(a.wire, b.wire))
	})
	records = slices.CompactFunc(records, func(a, b record) bool { return bytes.Equal(a.wire, b.wire) })
	var list []*Set
	for _, r := range records {
		rrtype := r.rr.Header().Rrtype
		if len(list) == 0 || list[len(list)-1].Type != rrtype {
			list = append(list, &Set{Type: rrtype})
		}
		s := list[len(list)-1]
		if rrtype == dns.TypeCNAME && len(s.RRs) > 0 { // a name has one true name
			continue
		}
		s.RRs = append(s.RRs, r.rr)
		s.wire = binary.BigEndian.AppendUint16(s.wire, ownerPointer)
		s.wire = append(s.wire, r.wire...)
	}
	return list
}

// differ appends the records that only one of two lists of Sets has to gone and added. Where a Set is the same in
// both, it is taken over into now, so that memory is shared.
func differ(was, now []*Set, gone, added []dns.RR) ([]dns.RR, []dns.RR) {
	for i, n := range now {
		at := slices.IndexFunc(was, func(w *Set) bool { return w.Type == n.Type })
		switch {
		case at < 0:
			added = append(added, n.RRs...)
		case bytes.Equal(was[at].wire, n.wire):
			now[i] = was[at]
		default:
			gone = append(gone, missing(was[at], n)...)
			added = append(added, missing(n, was[at])...)
		}
	}
	for _, w := range was {
		if !slices.ContainsFunc(now, func(n *Set) bool { return n.Type == w.Type }) {
			gone = append(gone, w.RRs...)
		}
	}
	return gone, added
}

// missing returns the records of a that b has not.
func missing(a, b *Set) (list []dns.RR) {
	have := make(map[string]bool, len(b.RRs))
	for _, rr := range b.RRs {
		have[rr.String()] = true
	}
	for _, rr := range a.RRs {
		if !have[rr.String()] {
			list = append(list, rr)
		}
	}
	return list
}
