package dns

import (
	"encoding/binary"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// Bits of the third and fourth byte of a message's header (RFC 1035, section 4.1.1; RFC 4035, section 3.2.2).
const (
	bitQR, bitAA, bitRD = 0x80, 0x04, 0x01
	bitRA, bitCD        = 0x80, 0x10
	opcodeBits          = 0x78

	maxName = 255 // bytes of a name (RFC 1035, section 3.1)
)

// A plainQuery is a query as almost all are: one question, and at most an OPT record with options that we need not
// read.
type plainQuery struct {
	name     [maxName]byte // in lower case
	length   int           // of the name
	question []byte        // as it was sent
	qtype    uint16
	edns     bool
	size     int // that the client takes, with EDNS
	do, nsid bool
}

// quick answers a request without making a message of it, if it is a plain one with a plain answer: it appends the
// answer to out. In every other case ok is false, and Answer is to be asked, which would say the same.
func quick(out, request []byte, v *zone.View, self Self, recursive bool, l limits) (answer []byte, ok bool) {
	var q plainQuery
	if !q.read(request) {
		return out, false
	}
	z, set, exists, ok := v.Plain(q.name[:q.length], q.qtype)
	if !ok {
		return out, false
	}
	start := len(out)
	out = append(out, request[0], request[1], bitQR|bitAA|request[2]&bitRD, request[3]&bitCD, 0, 1, 0, 0, 0, 0, 0, 0)
	if recursive {
		out[start+3] |= bitRA
	}
	out = append(out, q.question...)
	if set != nil {
		binary.BigEndian.PutUint16(out[start+6:], uint16(set.Count()))
		out = set.Append(out)
	} else {
		if !exists {
			out[start+3] |= dns.RcodeNameError
		}
		out[start+9] = 1
		out = z.AppendDenial(out, headerSize+q.length-z.ApexLength())
	}
	if q.edns {
		out[start+11] = 1
		out = q.appendEDNS(out, self)
	}
	return out, len(out)-start <= l.with(q.size)
}

// read takes a request apart, and is false for one that is not plain.
func (q *plainQuery) read(request []byte) bool {
	if len(request) < headerSize || request[2]&(bitQR|opcodeBits) != 0 {
		return false
	}
	const counts = 1 << 48 // one question, no answer, no authority
	additional := binary.BigEndian.Uint64(request[4:]) - counts
	if additional > 1 {
		return false
	}
	at := headerSize
	for {
		if at >= len(request) {
			return false
		}
		label := int(request[at])
		end := at + 1 + label
		if label > 63 || end > len(request) || end-headerSize > maxName {
			return false
		}
		at = end
		if label == 0 {
			break
		}
	}
	q.length = copy(q.name[:], request[headerSize:at])
	zone.Lower(q.name[:q.length])
	if at+4 > len(request) {
		return false
	}
	q.qtype = binary.BigEndian.Uint16(request[at:])
	class := binary.BigEndian.Uint16(request[at+2:])
	at += 4
	if class != dns.ClassINET || q.qtype == dns.TypeANY || forbidden(q.qtype) != dns.RcodeSuccess {
		return false
	}
	q.question = request[headerSize:at]
	if additional == 1 {
		return q.readEDNS(request[at:])
	}
	return at == len(request)
}

// readEDNS reads an OPT record of version 0 at the end of a request (RFC 6891, section 6.1.2).
func (q *plainQuery) readEDNS(record []byte) bool {
	const fixed = 11
	if len(record) < fixed || record[0] != 0 || binary.BigEndian.Uint16(record[1:]) != dns.TypeOPT || record[6] != 0 {
		return false
	}
	q.edns, q.size, q.do = true, int(binary.BigEndian.Uint16(record[3:])), record[7]&0x80 != 0
	options := record[fixed:]
	if int(binary.BigEndian.Uint16(record[9:])) != len(options) {
		return false
	}
	for len(options) > 0 {
		if len(options) < 4 {
			return false
		}
		size := 4 + int(binary.BigEndian.Uint16(options[2:]))
		if size > len(options) {
			return false
		}
		switch binary.BigEndian.Uint16(options) {
		case dns.EDNS0NSID:
			q.nsid = true
		case dns.EDNS0COOKIE, dns.EDNS0PADDING: // any data will do
		default:
			return false
		}
		options = options[size:]
	}
	return true
}

// appendEDNS appends our OPT record.
func (q *plainQuery) appendEDNS(out []byte, self Self) []byte {
	do := byte(0)
	if q.do {
		do = 0x80
	}
	out = append(out, 0, 0, byte(dns.TypeOPT), ednsSize>>8, ednsSize&0xff, 0, 0, do, 0)
	if !q.nsid || self.NSID == "" {
		return append(out, 0, 0)
	}
	out = binary.BigEndian.AppendUint16(out, uint16(4+len(self.NSID)))
	out = binary.BigEndian.AppendUint16(out, dns.EDNS0NSID)
	out = binary.BigEndian.AppendUint16(out, uint16(len(self.NSID)))
	return append(out, self.NSID...)
}
