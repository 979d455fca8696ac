package dns

import (
	"encoding/binary"
	"errors"

	"github.com/miekg/dns"
)

// headerSize is the fixed part of a message, in bytes (RFC 1035, section 4.1.1).
const headerSize = 12

// errAnswer is why a message gets no answer: it is one.
var errAnswer = errors.New("the message is an answer, or too short to be a request")

// parse reads a request. Where that fails, the message it returns says so to the sender, and is nil where nothing may
// be answered.
func parse(wire []byte) (q, complaint *dns.Msg, err error) {
	if len(wire) < headerSize || wire[2]&0x80 != 0 {
		return nil, nil, errAnswer
	}
	q = new(dns.Msg)
	if err := q.Unpack(wire); err != nil {
		m := new(dns.Msg)
		m.Id = binary.BigEndian.Uint16(wire)
		m.Response = true
		m.Opcode = int(wire[2] >> 3 & 15)
		m.RecursionDesired = wire[2]&1 != 0
		m.Rcode = dns.RcodeFormatError
		if m.Opcode != dns.OpcodeQuery {
			m.Rcode = dns.RcodeNotImplemented // its body may have a form of its own
		}
		return nil, m, err
	}
	return q, nil, nil
}

// pack writes the answer m into buf, if that is large enough, or else elsewhere. Where it has more bytes than limit,
// addresses that are only a courtesy are left out first; if that is not enough, everything is, and the client is told
// to come by TCP: nobody can use half of an answer, and whoever forged its sender gets little out of it.
func pack(m *dns.Msg, limit int, buf []byte) ([]byte, error) {
	// The few records that are usual fit without compression, which costs more than all the rest.
	m.Compress = len(m.Answer)+len(m.Ns)+len(m.Extra) > 4
	wire, err := m.PackBuffer(buf)
	if err != nil || len(wire) <= limit {
		return wire, err
	}
	if !m.Compress {
		m.Compress = true
		if wire, err = m.PackBuffer(buf); err != nil || len(wire) <= limit {
			return wire, err
		}
	}
	opt := m.IsEdns0()
	m.Extra = nil
	if opt != nil {
		m.Extra = []dns.RR{opt}
	}
	// Who is referred elsewhere needs the addresses there (RFC 9471).
	if referral := !m.Authoritative && len(m.Answer) == 0 && len(m.Ns) > 0; !referral {
		if wire, err = m.PackBuffer(buf); err != nil || len(wire) <= limit {
			return wire, err
		}
	}
	m.Answer, m.Ns, m.Truncated = nil, nil, true
	return m.PackBuffer(buf)
}

// limit is how many bytes an answer to q may have.
func (l limits) limit(q *dns.Msg) int {
	if q != nil {
		if opt := q.IsEdns0(); opt != nil {
			return l.with(int(opt.UDPSize()))
		}
	}
	return l.with(0)
}
