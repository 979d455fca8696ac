package dns

import (
	"context"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// An Updater changes declared record sets by DNS UPDATE (RFC 2136).
type Updater interface {
	// Update lets decide look at one moment of everything, and makes the changes that it returns, before anybody else
	// changes anything. What it made is answered when it returns. The code is that of decide; with an error nothing was
	// changed.
	Update(ctx context.Context, decide func(Content) (changes []RecordChange, rcode int, err error)) (rcode int, err error)
}

// Content is what an update is decided by: one moment.
type Content interface {
	View() *zone.View
	// Declared returns the record sets that somebody declared of a name within a zone; @ is the zone itself. The zone's
	// name is without the trailing dot.
	Declared(zone, name string) ([]metal.RecordSet, error)
}

// A RecordChange makes, replaces or removes one record set, of which Zone, Name, Type, FQDN and Spec are set.
type RecordChange struct {
	metal.RecordSet
	Gone bool
}

// mayUpdate checks the zone of an update and its key, before anything is looked for (RFC 2136, sections 3.1 and 3.3,
// the other way round: whoever may not write is told nothing).
func mayUpdate(q *dns.Msg, v *zone.View, key string) (z *zone.Zone, rcode int) {
	if len(q.Question) != 1 || q.Question[0].Qtype != dns.TypeSOA || q.Question[0].Qclass != dns.ClassINET {
		return nil, dns.RcodeFormatError
	}
	z, ok := v.Zone(q.Question[0].Name)
	if !ok {
		return nil, dns.RcodeNotAuth
	}
	if key == "" || !slices.Contains(z.Spec().Update.Keys, key) {
		return nil, dns.RcodeRefused
	}
	return z, dns.RcodeSuccess
}

// decideUpdate decides on the update q that the named key signed: either all of it is done, or nothing.
func decideUpdate(q *dns.Msg, key string, c Content) (changes []RecordChange, rcode int, err error) {
	z, rcode := mayUpdate(q, c.View(), key)
	if rcode != dns.RcodeSuccess {
		return nil, rcode, nil
	}
	if rcode := prerequisites(q.Answer, z); rcode != dns.RcodeSuccess {
		return nil, rcode, nil
	}
	if rcode := prescan(q.Ns, z); rcode != dns.RcodeSuccess {
		return nil, rcode, nil
	}
	e := editor{zone: z, content: c, names: map[string]*edited{}}
	for _, rr := range q.Ns {
		if rcode, err := e.apply(rr); rcode != dns.RcodeSuccess || err != nil {
			return nil, rcode, err
		}
	}
	return e.changes()
}

// prerequisites checks what must hold (RFC 2136, section 3.2).
func prerequisites(rrs []dns.RR, z *zone.Zone) int {
	type place struct {
		name   string
		rrtype uint16
	}
	exact := map[place][]dns.RR{}
	for _, rr := range rrs {
		h := rr.Header()
		if h.Ttl != 0 {
			return dns.RcodeFormatError
		}
		if !dns.IsSubDomain(z.Name(), h.Name) {
			return dns.RcodeNotZone
		}
		sets := z.At(h.Name)
		switch {
		case h.Class == dns.ClassINET && !isMeta(h.Rrtype) && h.Rdlength > 0:
			at := place{strings.ToLower(h.Name), h.Rrtype}
			exact[at] = append(exact[at], rr)
		case h.Class != dns.ClassANY && h.Class != dns.ClassNONE, h.Rdlength != 0, h.Rrtype != dns.TypeANY && isMeta(h.Rrtype):
			return dns.RcodeFormatError
		case h.Class == dns.ClassANY && h.Rrtype == dns.TypeANY && len(sets) == 0:
			return dns.RcodeNameError
		case h.Class == dns.ClassNONE && h.Rrtype == dns.TypeANY && len(sets) > 0:
			return dns.RcodeYXDomain
		case h.Rrtype == dns.TypeANY:
		case h.Class == dns.ClassANY && records(sets, h.Rrtype) == nil:
			return dns.RcodeNXRrset
		case h.Class == dns.ClassNONE && records(sets, h.Rrtype) != nil:
			return dns.RcodeYXRrset
		}
	}
	for at, want := range exact {
		if !sameRecords(records(z.At(at.name), at.rrtype), want) {
			return dns.RcodeNXRrset
		}
	}
	return dns.RcodeSuccess
}

// records returns those of a type.
func records(sets []*zone.Set, rrtype uint16) []dns.RR {
	for _, s := range sets {
		if s.Type == rrtype {
			return s.RRs
		}
	}
	return nil
}

// sameRecords says whether two lists have the same records, whatever their order and TTL.
func sameRecords(a, b []dns.RR) bool {
	holds := func(a, b []dns.RR) bool {
		return !slices.ContainsFunc(a, func(rr dns.RR) bool { return !has(b, rr) })
	}
	return holds(a, b) && holds(b, a)
}

func has(list []dns.RR, rr dns.RR) bool {
	return slices.ContainsFunc(list, func(other dns.RR) bool { return same(other, rr) })
}

// same says whether two records have the same name, type and data. The library takes the digits of fingerprints for
// text, which it writes in capitals and reads from messages in small letters.
func same(a, b dns.RR) bool {
	f, ok := a.(*dns.SSHFP)
	g, both := b.(*dns.SSHFP)
	if ok && both && strings.EqualFold(f.FingerPrint, g.FingerPrint) {
		alike := *g
		alike.FingerPrint = f.FingerPrint
		b = &alike
	}
	return dns.IsDuplicate(a, b)
}

// prescan checks the form of all updates before the first is made (RFC 2136, section 3.4.1).
func prescan(rrs []dns.RR, z *zone.Zone) int {
	for _, rr := range rrs {
		h := rr.Header()
		if !dns.IsSubDomain(z.Name(), h.Name) {
			return dns.RcodeNotZone
		}
		ok := false
		switch h.Class {
		case dns.ClassINET:
			ok = !isMeta(h.Rrtype) && h.Rdlength > 0
		case dns.ClassANY:
			ok = h.Ttl == 0 && h.Rdlength == 0 && (h.Rrtype == dns.TypeANY || !isMeta(h.Rrtype))
		case dns.ClassNONE:
			ok = h.Ttl == 0 && !isMeta(h.Rrtype) && h.Rdlength > 0
		}
		if !ok {
			return dns.RcodeFormatError
		}
	}
	return dns.RcodeSuccess
}

// isMeta says whether a type is none that records have (RFC 6895, section 3.1).
func isMeta(rrtype uint16) bool {
	return rrtype == dns.TypeNone || rrtype == dns.TypeOPT || rrtype >= 128 && rrtype <= dns.TypeANY
}
