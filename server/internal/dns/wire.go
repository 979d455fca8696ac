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
// records are left out and the client told to come by TCP.
func pack(m *dns.Msg, limit int, buf []byte) ([]byte, error) {
	// The few records that are usual fit without compression, which costs more than all the rest.
	m.Compress = len(m.Answer)+len(m.Ns)+len(m.Extra) > 4
	wire, err := m.PackBuffer(buf)
	if err != nil || len(wire) <= limit {
		return wire, err
	}
	m.Truncate(limit)
	return m.PackBuffer(buf)
}

// datagramLimit is how many bytes an answer to q may have by UDP.
func datagramLimit(q *dns.Msg) int {
	if q == nil {
		return plainSize
	}
	if opt := q.IsEdns0(); opt != nil {
		return min(max(int(opt.UDPSize()), plainSize), ednsSize)
	}
	return plainSize
}
