package ntp

import (
	"encoding/binary"
	"strings"
	"time"
)

// Control messages are what ntpq asks (RFC 9327, mode 6). They are read here and never change anything.
const (
	modeControl = 6

	// controlHeader is a control message without data, in bytes (RFC 9327, section 2).
	controlHeader = 12
	// fragmentData is the most data of one message.
	fragmentData = 468
	// mostFragments of an answer: that many times 480 bytes is the most that a request of 12 brings about. All that
	// there is to tell is shorter.
	mostFragments = 2

	opReadStatus    = 1
	opReadVariables = 2
	opWrite         = 3
	opWriteClock    = 5
	opSetTrap       = 6
	opConfigure     = 8
	opSaveConfig    = 9
	opUnsetTrap     = 31

	flagResponse, flagError, flagMore = 0x80, 0x40, 0x20
)

// Error codes (RFC 9327, section 3.1).
const (
	errorFormat       = 2
	errorOpcode       = 3
	errorAssociation  = 4
	errorVariable     = 5
	errorNotPermitted = 7
)

// A controlRequest is what a client of mode 6 asks.
type controlRequest struct {
	version, opcode       byte
	sequence, association uint16
	variables             []string // by name; none for all
	fault                 byte     // an error code, or 0
}

// isControl says whether a datagram is a request of mode 6, well-formed or not. Answers and errors are none, so that no
// dialogue without end begins.
func isControl(pkt []byte) bool {
	if len(pkt) < controlHeader {
		return false
	}
	version := pkt[0] >> 3 & 7
	return pkt[0]&7 == modeControl && version >= 1 && version <= 4 && pkt[1]&(flagResponse|flagError) == 0
}

// controlOf reads a datagram that isControl.
func controlOf(pkt []byte) controlRequest {
	r := controlRequest{
		version: pkt[0] >> 3 & 7, opcode: pkt[1] & 0x1f,
		sequence: binary.BigEndian.Uint16(pkt[2:]), association: binary.BigEndian.Uint16(pkt[6:]),
	}
	offset, count := int(binary.BigEndian.Uint16(pkt[8:])), int(binary.BigEndian.Uint16(pkt[10:]))
	if pkt[1]&flagMore != 0 || offset != 0 || count > fragmentData || count > len(pkt)-controlHeader {
		r.fault = errorFormat
		return r
	}
	for name := range strings.SplitSeq(string(pkt[controlHeader:controlHeader+count]), ",") {
		if name = strings.Trim(name, " \x00\t\r\n"); name != "" {
			r.variables = append(r.variables, name)
		}
	}
	return r
}

// A system is all that is told of this server.
type system struct {
	clock Clock
	now   time.Time
	peers []Upstream
}

// control is what a client gets: an error, or what it asked for. Each of the messages is a datagram.
func (r controlRequest) control(s system) [][]byte {
	if r.fault != 0 {
		return r.refuse(r.fault)
	}
	switch r.opcode {
	case opReadStatus, opReadVariables:
	case opWrite, opWriteClock, opSetTrap, opUnsetTrap, opConfigure, opSaveConfig:
		return r.refuse(errorNotPermitted)
	default:
		return r.refuse(errorOpcode)
	}
	if r.association == 0 {
		if r.opcode == opReadStatus {
			return r.answer(s.status(), s.associations())
		}
		return r.tell(s.status(), s.variables())
	}
	if int(r.association) > len(s.peers) {
		return r.refuse(errorAssociation)
	}
	peer := &s.peers[r.association-1]
	return r.tell(peer.status(), peer.variables(s.now))
}

// tell answers with variables: those asked for that there are, or all.
func (r controlRequest) tell(status uint16, all []variable) [][]byte {
	if r.opcode == opReadVariables && len(r.variables) > 0 {
		all = named(all, r.variables)
		if len(all) == 0 {
			return r.refuse(errorVariable)
		}
	}
	return r.answer(status, []byte(text(all)))
}

// refuse is an answer without data, as long as the shortest request. An error code stands where the status does.
func (r controlRequest) refuse(code byte) [][]byte {
	return [][]byte{r.message(flagError, uint16(code)<<8, 0, nil)}
}

// answer splits data into messages, and leaves out what is beyond the most that is sent.
func (r controlRequest) answer(status uint16, data []byte) [][]byte {
	data = data[:min(len(data), mostFragments*fragmentData)]
	var all [][]byte
	for at := 0; at == 0 || at < len(data); at += fragmentData {
		end, flags := at+fragmentData, byte(flagMore)
		if end >= len(data) {
			end, flags = len(data), 0
		}
		all = append(all, r.message(flags, status, at, data[at:end]))
	}
	return all
}

// message writes one message; its data is filled up with zeros to words, which the count leaves out.
func (r controlRequest) message(flags byte, status uint16, offset int, data []byte) []byte {
	b := make([]byte, controlHeader+(len(data)+3)/4*4)
	b[0] = r.version<<3 | modeControl
	b[1] = flagResponse | flags | r.opcode
	binary.BigEndian.PutUint16(b[2:], r.sequence)
	binary.BigEndian.PutUint16(b[4:], status)
	binary.BigEndian.PutUint16(b[6:], r.association)
	binary.BigEndian.PutUint16(b[8:], uint16(offset))
	binary.BigEndian.PutUint16(b[10:], uint16(len(data)))
	copy(b[controlHeader:], data)
	return b
}
