package zone

import (
	"slices"

	"github.com/miekg/dns"
)

// maxChain is how many CNAME records are followed for one question.
const maxChain = 8

// An Answer is what is known of a question. Where Zone is nil, its name is in none of our zones, and nothing is known.
// Records must not be changed.
type Answer struct {
	Zone          *Zone
	Rcode         int
	Authoritative bool
	// The sections of a message (RFC 1035, section 4.1). Records of the name that was asked for have it as it was
	// written.
	Answer, Authority, Additional []dns.RR
}

// Lookup answers a question as RFC 1034, section 4.3.2, says, with wildcards as RFC 4592 has them. Aliases are followed
// for as long as they stay in our zones (RFC 6604); a question for everything is answered with one record
// (RFC 8482). A denial has the zone's SOA record (RFC 2308), and holds for all names below (RFC 8020).
func (v *View) Lookup(qname string, qtype uint16) Answer {
	l := lookup{view: v, qtype: qtype}
	n, ok := parseName(qname)
	if !ok {
		return l.Answer
	}
	owner := dns.Fqdn(qname)
	for range maxChain + 1 {
		next := l.step(n, owner)
		if next == "" {
			break
		}
		n, ok = parseName(next)
		if !ok || slices.Contains(l.seen, n) {
			break
		}
		owner = next
	}
	return l.Answer
}

// lookup is one Answer in the making.
type lookup struct {
	Answer
	view  *View
	qtype uint16
	seen  []name
}

// step answers for one name, which is written as owner, and returns the name that it is an alias of, or "".
func (l *lookup) step(n name, owner string) (alias string) {
	z := l.view.zoneOf(n, l.qtype)
	if z == nil {
		return ""
	}
	first := l.Zone == nil
	if first {
		l.Zone, l.Authoritative = z, true
	}
	l.seen = append(l.seen, n)
	if cut := z.cutAbove(n, l.qtype); cut != nil {
		l.refer(cut, first)
		return ""
	}
	found, ok := z.match(n)
	if !ok {
		l.Rcode = dns.RcodeNameError
		l.deny(z)
		return ""
	}
	if l.qtype == dns.TypeANY && (len(found.sets) > 0 || n == z.apex) {
		l.Answer.Answer = append(l.Answer.Answer, &dns.HINFO{
			Hdr: dns.RR_Header{Name: owner, Rrtype: dns.TypeHINFO, Class: dns.ClassINET, Ttl: uint32(z.spec.TTL)}, Cpu: "RFC8482",
		})
		return ""
	}
	if set := z.set(found, l.qtype); set != nil {
		l.Answer.Answer = append(l.Answer.Answer, named(set.RRs, owner)...)
		l.add(set)
		return ""
	}
	if set := found.set(dns.TypeCNAME); set != nil {
		l.Answer.Answer = append(l.Answer.Answer, named(set.RRs, owner)...)
		return set.RRs[0].(*dns.CNAME).Target
	}
	l.deny(z)
	return ""
}

// zoneOf returns the zone that answers for a name. What signs a zone is told by the one above it (RFC 4035, section
// 3.1.4.1).
func (v *View) zoneOf(n name, qtype uint16) *Zone {
	z := v.at(n)
	if qtype == dns.TypeDS && z != nil && z.apex == n && n != root {
		if above := v.at(n.parent()); above != nil {
			return above
		}
	}
	return z
}

// cutAbove returns the highest node at or above a name where the zone ends, or nil. What signs the zone below the cut
// is told above it.
func (z *Zone) cutAbove(n name, qtype uint16) (cut *node) {
	if z.cuts == 0 {
		return nil
	}
	if qtype == dns.TypeDS && n != z.apex {
		n = n.parent()
	}
	for ; n != z.apex; n = n.parent() {
		if found, ok := z.nodes.get(n); ok && found.cut {
			cut = found
		}
	}
	return cut
}

// match returns the node of a name, or the wildcard that stands for it: the one right below the nearest name above it
// that exists (RFC 4592, section 3.3.1).
func (z *Zone) match(n name) (*node, bool) {
	if found, ok := z.nodes.get(n); ok || z.wild == 0 {
		return found, ok
	}
	for n != z.apex {
		n = n.parent()
		if _, ok := z.nodes.get(n); ok {
			return z.nodes.get(n.wildcard())
		}
	}
	return nil, false
}

// set returns a node's records of a type, the zone's SOA record with them.
func (z *Zone) set(n *node, rrtype uint16) *Set {
	if rrtype == dns.TypeSOA && n.name == z.apex {
		return z.soa
	}
	return n.set(rrtype)
}

// deny adds what says that there is nothing, and for how long.
func (l *lookup) deny(z *Zone) { l.Authority = z.denial.RRs }

// refer adds who knows about the names at and below a cut, and how to reach them.
func (l *lookup) refer(cut *node, first bool) {
	if first {
		l.Authoritative = false
	}
	servers := cut.set(dns.TypeNS)
	l.Authority = append(l.Authority, servers.RRs...)
	l.add(servers)
}

// add adds the addresses of the hosts that records name, where we know them.
func (l *lookup) add(set *Set) {
	for _, rr := range set.RRs {
		host, ok := target(rr)
		if !ok {
			continue
		}
		n, ok := parseName(host)
		if !ok {
			continue
		}
		z := l.view.at(n)
		if z == nil {
			continue
		}
		found, ok := z.nodes.get(n)
		if !ok {
			continue
		}
		for _, rrtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
			if addresses := found.set(rrtype); addresses != nil && !slices.Contains(l.Additional, addresses.RRs[0]) {
				l.Additional = append(l.Additional, addresses.RRs...)
			}
		}
	}
}

// target is the host that a record names for others to speak to.
func target(rr dns.RR) (string, bool) {
	switch rr := rr.(type) {
	case *dns.NS:
		return rr.Ns, true
	case *dns.MX:
		return rr.Mx, true
	case *dns.SRV:
		return rr.Target, true
	}
	return "", false
}

// named returns records with their owner written as in the question, or with the name that a wildcard stands for.
func named(rrs []dns.RR, owner string) []dns.RR {
	if rrs[0].Header().Name == owner {
		return rrs
	}
	list := make([]dns.RR, len(rrs))
	for i, rr := range rrs {
		list[i] = dns.Copy(rr)
		list[i].Header().Name = owner
	}
	return list
}

// Plain looks for the most frequent kind of answer, quickly: one record set of the very name, or none. wire is the name
// in the form in which it is sent, in lower case. ok is false where more must be looked at, which Lookup does.
func (v *View) Plain(wire []byte, qtype uint16) (z *Zone, set *Set, exists, ok bool) {
	switch qtype {
	case dns.TypeANY, dns.TypeDS, dns.TypeNS, dns.TypeMX, dns.TypeSRV:
		return nil, nil, false, false
	}
	n := borrow(wire)
	z = v.at(n)
	if z == nil || z.cuts > 0 && z.cutAbove(n, qtype) != nil {
		return nil, nil, false, false
	}
	found, exists := z.nodes.get(n)
	if !exists {
		return z, nil, false, z.wild == 0
	}
	set = z.set(found, qtype)
	if set == nil && found.set(dns.TypeCNAME) != nil {
		return nil, nil, false, false
	}
	return z, set, true, true
}

// ApexLength is how many bytes the zone's name has in the form in which it is sent.
func (z *Zone) ApexLength() int { return len(z.apex) }
