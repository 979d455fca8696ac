package dns

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

const (
	// maxValues is how many values a record set has, and maxSetBytes how long its records are, at most. They are those
	// that the API has.
	maxValues   = 1000
	maxSetBytes = 60_000
)

// An editor makes the changes of one update, which is done at once or not at all.
type editor struct {
	zone    *zone.Zone
	content Content
	names   map[string]*edited // by name in lower case, with the trailing dot
}

// edited is one name in the course of an update.
type edited struct {
	within  string
	before  map[uint16]*declaredSet
	after   map[uint16]*declaredSet
	foreign []dns.RR // that nobody declared as records: those of machines, devices and leases, and the zone's own
}

// declaredSet is a declared record set, taken apart. TTL 0 is the zone's.
type declaredSet struct {
	ttl int
	rrs []dns.RR
}

// at returns a name; its code is not success where no record set can have it.
func (e *editor) at(fqdn string) (*edited, int, error) {
	fqdn = strings.ToLower(fqdn)
	if n, ok := e.names[fqdn]; ok {
		return n, dns.RcodeSuccess, nil
	}
	within, ok := relative(fqdn, e.zone.Name())
	if nearest, _ := e.content.View().Find(fqdn); !ok || nearest != e.zone {
		return nil, dns.RcodeRefused, nil // a zone below this one has it
	}
	n := &edited{within: within, before: map[uint16]*declaredSet{}, after: map[uint16]*declaredSet{}}
	declared, err := e.content.Declared(strings.TrimSuffix(e.zone.Name(), "."), within)
	if err != nil {
		return nil, dns.RcodeServerFailure, err
	}
	var own []dns.RR
	for _, r := range declared {
		set := &declaredSet{ttl: r.Spec.TTL}
		for _, value := range r.Spec.Values {
			if rr, ok := parseRecord(fqdn, e.zone.Name(), r.Type, value); ok {
				set.rrs = append(set.rrs, rr)
			}
		}
		rrtype := dns.StringToType[r.Type]
		n.before[rrtype], n.after[rrtype] = set, &declaredSet{set.ttl, slices.Clone(set.rrs)}
		own = append(own, set.rrs...)
	}
	for _, set := range e.zone.At(fqdn) {
		for _, rr := range set.RRs {
			if !has(own, rr) {
				n.foreign = append(n.foreign, rr)
			}
		}
	}
	e.names[fqdn] = n
	return n, dns.RcodeSuccess, nil
}

// relative is a name as record sets have it: within the zone, of characters that a declared one may have.
func relative(fqdn, apex string) (string, bool) {
	if fqdn == apex {
		return "@", true
	}
	within, ok := strings.CutSuffix(fqdn, "."+apex)
	if !ok {
		return "", false
	}
	if within != "*" && zone.CheckName(strings.TrimPrefix(within, "*.")) != nil {
		return "", false
	}
	return within, true
}

// parseRecord reads one value of a record set.
func parseRecord(fqdn, apex, rrtype, value string) (dns.RR, bool) {
	parser := dns.NewZoneParser(strings.NewReader(fqdn+" 0 IN "+rrtype+" "+value+"\n"), apex, "")
	rr, ok := parser.Next()
	return rr, ok && parser.Err() == nil
}

// apply makes one update, the form of which is right (RFC 2136, section 3.4.2).
func (e *editor) apply(rr dns.RR) (rcode int, err error) {
	h := rr.Header()
	everything := h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY
	if !everything && !slices.Contains(metal.RecordTypes[:], dns.Type(h.Rrtype).String()) {
		return dns.RcodeRefused, nil
	}
	n, rcode, err := e.at(h.Name)
	if rcode != dns.RcodeSuccess || err != nil {
		return rcode, err
	}
	switch {
	case n.within == "@" && h.Rrtype == dns.TypeNS:
		return dns.RcodeRefused, nil // they are set with the zone
	case everything:
		return n.clear(), nil
	case h.Class == dns.ClassANY:
		return n.remove(h.Rrtype), nil
	case h.Class == dns.ClassNONE:
		return n.removeRecord(rr), nil
	}
	return n.add(rr, uint32(e.zone.Spec().TTL)), nil
}

// clear removes all records of a name; those that come with a zone stay (RFC 2136, section 3.4.2.3).
func (n *edited) clear() int {
	for _, rr := range n.foreign {
		if t := rr.Header().Rrtype; n.within != "@" || t != dns.TypeSOA && t != dns.TypeNS {
			return dns.RcodeRefused
		}
	}
	clear(n.after)
	return dns.RcodeSuccess
}

// remove removes all records of a type.
func (n *edited) remove(rrtype uint16) int {
	if n.isForeign(rrtype) {
		return dns.RcodeRefused
	}
	delete(n.after, rrtype)
	return dns.RcodeSuccess
}

func (n *edited) isForeign(rrtypes ...uint16) bool {
	return slices.ContainsFunc(n.foreign, func(rr dns.RR) bool { return slices.Contains(rrtypes, rr.Header().Rrtype) })
}

// removeRecord removes one record.
func (n *edited) removeRecord(rr dns.RR) int {
	rr = inClass(rr)
	if has(n.foreign, rr) {
		return dns.RcodeRefused
	}
	set := n.after[rr.Header().Rrtype]
	if set == nil {
		return dns.RcodeSuccess
	}
	set.rrs = slices.DeleteFunc(set.rrs, func(other dns.RR) bool { return same(other, rr) })
	if len(set.rrs) == 0 {
		delete(n.after, rr.Header().Rrtype)
	}
	return dns.RcodeSuccess
}

// inClass is a record of class NONE as it is in the zone.
func inClass(rr dns.RR) dns.RR {
	rr = dns.Copy(rr)
	rr.Header().Class = dns.ClassINET
	return rr
}

// add adds one record. All records of a set have one TTL, the last one given (RFC 2181, section 5.2).
func (n *edited) add(rr dns.RR, zoneTTL uint32) int {
	h := rr.Header()
	if zone.CheckValue(rr) != nil {
		return dns.RcodeRefused // as by the API
	}
	switch h.Rrtype {
	case dns.TypeA, dns.TypeAAAA, dns.TypeCNAME:
		if n.isForeign(dns.TypeA, dns.TypeAAAA, dns.TypeCNAME) {
			return dns.RcodeRefused // the name is somebody's
		}
	case dns.TypePTR:
		if n.isForeign(dns.TypePTR) {
			return dns.RcodeRefused
		}
	case dns.TypeNS:
		if strings.HasPrefix(n.within, "*") { // RFC 4592, section 4.2
			return dns.RcodeRefused
		}
	}
	if n.hidesOrHidden(h.Rrtype) {
		return dns.RcodeSuccess // passed over in silence (RFC 2136, section 3.4.2.2)
	}
	set := n.after[h.Rrtype]
	if set == nil {
		set = new(declaredSet)
		n.after[h.Rrtype] = set
	}
	if set.ttl != 0 || h.Ttl != zoneTTL {
		set.ttl = int(h.Ttl)
	}
	if h.Ttl > math.MaxInt32 { // no TTL at all (RFC 2181, section 8)
		set.ttl = 0
	}
	if h.Rrtype == dns.TypeCNAME {
		set.rrs = nil
	}
	if !has(set.rrs, rr) {
		set.rrs = append(set.rrs, rr)
	}
	return dns.RcodeSuccess
}

// hidesOrHidden says whether an alias and something else would be at one name.
func (n *edited) hidesOrHidden(rrtype uint16) bool {
	for other := range n.after {
		if other != rrtype && (other == dns.TypeCNAME || rrtype == dns.TypeCNAME) {
			return true
		}
	}
	return len(n.foreign) > 0 && rrtype == dns.TypeCNAME
}

// changes are the differences between the names before and after, in order. A set that could not be kept or answered
// refuses all.
func (e *editor) changes() (list []RecordChange, rcode int, err error) {
	for _, fqdn := range slices.Sorted(maps.Keys(e.names)) {
		n := e.names[fqdn]
		for rrtype, set := range n.after {
			if was := n.before[rrtype]; was != nil && was.ttl == set.ttl && sameRecords(was.rrs, set.rrs) {
				continue
			}
			values, ok := set.values(fqdn, e.zone.Name())
			if !ok {
				return nil, dns.RcodeRefused, nil
			}
			list = append(list, e.change(fqdn, n, rrtype, metal.RecordSetSpec{TTL: set.ttl, Values: values}))
		}
		for rrtype := range n.before {
			if n.after[rrtype] == nil {
				list = append(list, e.change(fqdn, n, rrtype, metal.RecordSetSpec{}))
			}
		}
	}
	slices.SortFunc(list, func(a, b RecordChange) int { return cmp.Or(cmp.Compare(a.FQDN, b.FQDN), cmp.Compare(a.Type, b.Type)) })
	return list, dns.RcodeSuccess, nil
}

func (e *editor) change(fqdn string, n *edited, rrtype uint16, spec metal.RecordSetSpec) RecordChange {
	return RecordChange{Gone: len(spec.Values) == 0, RecordSet: metal.RecordSet{
		Zone: strings.TrimSuffix(e.zone.Name(), "."), Name: n.within, Type: dns.Type(rrtype).String(),
		FQDN: strings.TrimSuffix(fqdn, "."), Spec: spec,
	}}
}

// values are the records as in a zone file. ok is false where they are too many or too long, or one would not be read
// as it is written.
func (s *declaredSet) values(fqdn, apex string) (list []string, ok bool) {
	size := 0
	for _, rr := range s.rrs {
		value := strings.TrimPrefix(rr.String(), rr.Header().String())
		again, ok := parseRecord(fqdn, apex, dns.Type(rr.Header().Rrtype).String(), value)
		if !ok || !same(again, rr) {
			return nil, false
		}
		size += dns.Len(rr)
		list = append(list, value)
	}
	return list, len(list) <= maxValues && size <= maxSetBytes
}
