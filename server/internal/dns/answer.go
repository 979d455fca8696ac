package dns

import (
	"encoding/hex"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// Answer returns the answer to q, or nil where q is an answer itself. It never asks anybody else: names outside of the
// View's zones are refused. The question is given back as it was asked, its mix of capitals included, by which some
// resolvers tell forged answers.
func Answer(q *dns.Msg, v *zone.View, self Self) *dns.Msg {
	answer, _ := decide(q, v, self)
	return answer
}

// decide is Answer, and says whether the request is a query for a name elsewhere that somebody else may know.
func decide(q *dns.Msg, v *zone.View, self Self) (answer *dns.Msg, elsewhere bool) {
	if q.Response {
		return nil, false
	}
	m := reply(q, self)
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
	known := v.Lookup(question.Name, question.Qtype)
	if known.Zone == nil {
		m.Rcode = dns.RcodeRefused
		return m, true
	}
	m.Rcode, m.Authoritative = known.Rcode, known.Authoritative
	m.Answer, m.Ns = known.Answer, known.Authority
	m.Extra = append(m.Extra, known.Additional...)
	return m, false
}

// reply starts the answer to q.
func reply(q *dns.Msg, self Self) *dns.Msg {
	m := &dns.Msg{Question: q.Question}
	m.Id, m.Response, m.Opcode = q.Id, true, q.Opcode
	m.RecursionDesired, m.CheckingDisabled = q.RecursionDesired, q.CheckingDisabled
	if opt := q.IsEdns0(); opt != nil {
		m.Extra = []dns.RR{ednsFor(opt, self)}
	}
	return m
}

// ednsFor is our OPT record in answer to the client's. Its DO bit is given back (RFC 3225), though nothing is signed;
// options that we do not know are passed over (RFC 6891, section 6.1.2).
func ednsFor(client *dns.OPT, self Self) *dns.OPT {
	opt := &dns.OPT{Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeOPT}}
	opt.SetUDPSize(ednsSize)
	if client.Do() {
		opt.SetDo()
	}
	for _, option := range client.Option {
		if option.Option() == dns.EDNS0NSID && self.NSID != "" {
			opt.Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID, Nsid: hex.EncodeToString([]byte(self.NSID))}}
		}
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
