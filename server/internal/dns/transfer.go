package dns

import (
	"iter"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// transferChunk is about how many bytes of records one message of a transfer has: names that are further behind cannot
// be pointed to by compression (RFC 1035, section 4.1.4). One record may have more.
const transferChunk = 1 << 14

// A transfer is the answer to AXFR or IXFR: the records in their order, of one moment.
type transfer struct {
	rcode   int
	records iter.Seq[dns.RR]
}

// mayTransfer says whether a client, whose request the named key signed, may copy a zone. Nobody may where nobody is
// named.
func mayTransfer(spec metal.TransferSpec, client netip.Addr, key string) bool {
	if len(spec.Networks) == 0 && len(spec.Keys) == 0 {
		return false
	}
	if len(spec.Networks) > 0 && !within(spec.Networks, client) {
		return false
	}
	return len(spec.Keys) == 0 || key != "" && slices.Contains(spec.Keys, key)
}

// within says whether one of the networks has an address.
func within(networks []netip.Prefix, addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	for _, p := range networks {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// transferOf decides on a request for AXFR (RFC 5936) or IXFR (RFC 1995). The question is one of them, in class IN.
func transferOf(q *dns.Msg, v *zone.View, client netip.Addr, key string) transfer {
	z, ok := v.Zone(q.Question[0].Name)
	if !ok {
		if _, inside := v.Find(q.Question[0].Name); inside || key != "" {
			return transfer{rcode: dns.RcodeNotAuth} // RFC 5936, section 2.2.1
		}
		return transfer{rcode: dns.RcodeRefused}
	}
	if !mayTransfer(z.Spec().Transfer, client, key) {
		return transfer{rcode: dns.RcodeRefused}
	}
	if q.Question[0].Qtype == dns.TypeAXFR {
		return transfer{records: whole(z)}
	}
	if len(q.Ns) != 1 {
		return transfer{rcode: dns.RcodeFormatError}
	}
	have, ok := q.Ns[0].(*dns.SOA)
	if !ok {
		return transfer{rcode: dns.RcodeFormatError}
	}
	return transfer{records: since(z, have.Serial)}
}

// whole is a zone as AXFR has it.
func whole(z *zone.Zone) iter.Seq[dns.RR] {
	return func(yield func(dns.RR) bool) {
		soa, records := z.Transfer()
		if !yield(soa) {
			return
		}
		for rr := range records {
			if !yield(rr) {
				return
			}
		}
		yield(soa)
	}
}

// since is what changed after a serial as IXFR has it; all of the zone where that is not known, and the SOA record alone
// for a client that has this or something newer (RFC 1995, sections 2 and 4).
func since(z *zone.Zone, serial uint32) iter.Seq[dns.RR] {
	soa := z.SOA()
	if int32(serial-soa.Serial) >= 0 { // RFC 1982
		return func(yield func(dns.RR) bool) { yield(soa) }
	}
	deltas, ok := z.Since(serial)
	if !ok {
		return whole(z)
	}
	return func(yield func(dns.RR) bool) {
		if !yield(soa) {
			return
		}
		for _, d := range deltas {
			if !yield(d.From) || !all(d.Removed, yield) || !yield(d.To) || !all(d.Added, yield) {
				return
			}
		}
		yield(soa)
	}
}

func all(rrs []dns.RR, yield func(dns.RR) bool) bool {
	for _, rr := range rrs {
		if !yield(rr) {
			return false
		}
	}
	return true
}

// messages splits records into messages that begin like head. Only the first repeats the question (RFC 5936, section
// 2.2.1). A message is valid until the next.
func messages(head *dns.Msg, records iter.Seq[dns.RR]) iter.Seq[*dns.Msg] {
	return func(yield func(*dns.Msg) bool) {
		m := *head
		m.Compress = true
		size := 0
		for rr := range records {
			more := dns.Len(rr)
			if size > 0 && size+more > transferChunk {
				if !yield(&m) {
					return
				}
				m.Question, m.Answer, size = nil, nil, 0
			}
			m.Answer = append(m.Answer, rr)
			size += more
		}
		yield(&m)
	}
}

// inOne is the answer to IXFR by UDP: all in one message, or else the SOA record alone, upon which the client comes by
// TCP (RFC 1995, section 2). limit is in bytes.
func inOne(head *dns.Msg, records iter.Seq[dns.RR], limit int) *dns.Msg {
	m := *head
	for rr := range records {
		m.Answer = append(m.Answer, rr)
		if len(m.Answer) > limit/headerSize { // more than could ever fit
			break
		}
	}
	m.Compress = true
	if m.Len() > limit {
		m.Answer = m.Answer[:1]
	}
	return &m
}
