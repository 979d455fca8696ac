package dns

import (
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// Answer returns the answer to q, or nil where q is an answer itself. It never asks anybody else: names outside of the
// View's zones are refused. The question is given back as it was asked, its mix of capitals included, by which some
// resolvers tell forged answers.
func Answer(q *dns.Msg, v View, self Self) *dns.Msg {
	answer, _ := decide(q, v, self)
	return answer
}

// decide is Answer, and says whether the request is a query for a name elsewhere that somebody else may know.
func decide(q *dns.Msg, v View, self Self) (answer *dns.Msg, elsewhere bool) {
	if q.Response {
		return nil, false
	}
	m := reply(q)
	if q.Opcode != dns.OpcodeQuery {
		m.Rcode = dns.RcodeNotImplemented
		return m, false
	}
	if !wellFormed(q) {
		m.Rcode = dns.RcodeFormatError
		return m, false
	}
	if opt := q.IsEdns0(); opt != nil && opt.Version() != 0 {
		m.Rcode = dns.RcodeBadVers
		return m, false
	}
	question := q.Question[0]
	if question.Qclass != dns.ClassINET {
		m.Rcode = dns.RcodeRefused // CHAOS, in which version and host name are asked for, is nobody's business
		return m, false
	}
	if rcode := forbidden(question.Qtype); rcode != dns.RcodeSuccess {
		m.Rcode = rcode
		return m, false
	}
	name := strings.ToLower(question.Name)
	if reverse, ok := parseReverse(name); ok {
		if apex, ok := reverseZone(name, reverse, v.Subnets()); ok {
			answerReverse(m, name, apex, reverse, v, self)
			return m, false
		}
	}
	if apex, ok := forwardZone(name, v.Zones()); ok {
		answerForward(m, name, apex, v, self)
		return m, false
	}
	m.Rcode = dns.RcodeRefused
	return m, true
}

// reply starts the answer to q.
func reply(q *dns.Msg) *dns.Msg {
	m := &dns.Msg{Question: q.Question}
	m.Id, m.Response, m.Opcode = q.Id, true, q.Opcode
	m.RecursionDesired, m.CheckingDisabled = q.RecursionDesired, q.CheckingDisabled
	if opt := q.IsEdns0(); opt != nil {
		m.Extra = []dns.RR{ednsFor(opt)}
	}
	return m
}

// ednsFor is our OPT record in answer to the client's. Its DO bit is given back (RFC 3225), though nothing is signed.
func ednsFor(client *dns.OPT) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(ednsSize)
	if client.Do() {
		opt.SetDo()
	}
	return opt
}

// wellFormed says whether there is one question, and one OPT record at most (RFC 6891, section 6.1.1).
func wellFormed(q *dns.Msg) bool {
	opts := 0
	for _, rr := range q.Extra {
		if rr.Header().Rrtype == dns.TypeOPT {
			opts++
		}
	}
	return len(q.Question) == 1 && opts <= 1
}

// forbidden returns the code for a type that nobody is answered, or success.
func forbidden(qtype uint16) int {
	switch {
	case qtype == dns.TypeAXFR || qtype == dns.TypeIXFR:
		return dns.RcodeRefused // the whole inventory
	case qtype == dns.TypeNone || qtype == dns.TypeOPT:
		return dns.RcodeFormatError
	case qtype >= 128 && qtype < dns.TypeANY:
		return dns.RcodeNotImplemented // meta types (RFC 6895, section 3.1)
	}
	return dns.RcodeSuccess
}

// answerForward answers for a name in one of our zones.
func answerForward(m *dns.Msg, name, apex string, v View, self Self) {
	m.Authoritative = true
	addrs, exists := v.Lookup(name)
	if name == self.NS && len(addrs) == 0 {
		addrs = self.Addrs
	}
	if !exists && !within(apex, name) && !within(self.NS, name) {
		m.Rcode = dns.RcodeNameError
		m.Ns = []dns.RR{soa(apex, v, self, negativeTTL)}
		return
	}
	switch question := m.Question[0]; question.Qtype {
	case dns.TypeA, dns.TypeAAAA:
		m.Answer = addresses(nil, question.Name, question.Qtype, addrs, self.TTL)
	case dns.TypeANY:
		if len(addrs) > 0 || name == apex {
			m.Answer = []dns.RR{minimal(question.Name, self.TTL)}
		}
	default:
		if name == apex {
			answerApex(m, apex, v, self)
		}
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{soa(apex, v, self, negativeTTL)}
	}
}

// answerReverse answers for a name in one of our reverse zones.
func answerReverse(m *dns.Msg, name, apex string, reverse reverseName, v View, self Self) {
	m.Authoritative = true
	var pointer string
	known := !reverse.below
	if reverse.whole() {
		pointer, known = v.Reverse(reverse.prefix.Addr())
	}
	// A name between the apex and an address is not denied even where no address below it has a name: whoever hears
	// that it does not exist may take that for all below it (RFC 8020), and one may come tomorrow.
	if !known {
		m.Rcode = dns.RcodeNameError
		m.Ns = []dns.RR{soa(apex, v, self, negativeTTL)}
		return
	}
	switch question := m.Question[0]; {
	case question.Qtype == dns.TypePTR && pointer != "":
		m.Answer = []dns.RR{&dns.PTR{Hdr: header(question.Name, dns.TypePTR, self.TTL), Ptr: pointer}}
	case question.Qtype == dns.TypeANY && (pointer != "" || name == apex):
		m.Answer = []dns.RR{minimal(question.Name, self.TTL)}
	case name == apex:
		answerApex(m, apex, v, self)
	}
	if len(m.Answer) == 0 {
		m.Ns = []dns.RR{soa(apex, v, self, negativeTTL)}
	}
}

// answerApex answers SOA and NS, which only the apex of a zone has.
func answerApex(m *dns.Msg, apex string, v View, self Self) {
	switch question := m.Question[0]; question.Qtype {
	case dns.TypeSOA:
		m.Answer = []dns.RR{soa(question.Name, v, self, self.TTL)}
	case dns.TypeNS:
		m.Answer = []dns.RR{&dns.NS{Hdr: header(question.Name, dns.TypeNS, self.TTL), Ns: self.NS}}
		if within(self.NS, apex) {
			addrs, _ := v.Lookup(self.NS)
			if len(addrs) == 0 {
				addrs = self.Addrs
			}
			m.Extra = addresses(m.Extra, self.NS, dns.TypeA, addrs, self.TTL)
			m.Extra = addresses(m.Extra, self.NS, dns.TypeAAAA, addrs, self.TTL)
		}
	}
}

// addresses appends the records of type A or AAAA that addrs make.
func addresses(to []dns.RR, name string, qtype uint16, addrs []netip.Addr, ttl uint32) []dns.RR {
	for _, addr := range addrs {
		addr = addr.Unmap()
		switch {
		case qtype == dns.TypeA && addr.Is4():
			to = append(to, &dns.A{Hdr: header(name, dns.TypeA, ttl), A: addr.AsSlice()})
		case qtype == dns.TypeAAAA && addr.Is6():
			to = append(to, &dns.AAAA{Hdr: header(name, dns.TypeAAAA, ttl), AAAA: addr.AsSlice()})
		}
	}
	return to
}

// soa is the zone's SOA record. In the authority section its TTL is that of what does not exist (RFC 2308, section 3).
func soa(apex string, v View, self Self, ttl uint32) dns.RR {
	return &dns.SOA{
		Hdr: header(apex, dns.TypeSOA, ttl), Ns: self.NS, Mbox: "hostmaster." + strings.ToLower(apex), Serial: v.Serial(),
		Refresh: refresh, Retry: retry, Expire: expire, Minttl: negativeTTL,
	}
}

// minimal answers a query for everything (RFC 8482, section 4.2).
func minimal(name string, ttl uint32) dns.RR {
	return &dns.HINFO{Hdr: header(name, dns.TypeHINFO, ttl), Cpu: "RFC8482"}
}

// header is what all records have.
func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}
