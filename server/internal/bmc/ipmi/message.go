package ipmi

import (
	"bytes"

	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// Addresses in an IPMI LAN message (IPMI 2.0, table 13-8): the BMC's slave address, and the software id of a remote
// console (table 5-4).
const (
	bmcAddress     = 0x20
	consoleAddress = 0x81
)

// request is a command on its way.
type request struct {
	bytes    []byte
	netFn    uint8
	command  uint8
	sequence uint8
}

// response is what the BMC answered.
type response struct {
	code types.CompletionCode
	data []byte
}

// request numbers a command and puts it into an IPMI LAN message (IPMI 2.0, 13.8).
func (s *session) request(cmd types.Command, data []byte) request {
	s.lastSequence = (s.lastSequence + 1) & 0x3f
	b := []byte{bmcAddress, uint8(cmd.NetFn) << 2}
	b = append(b, protocol.Checksum(b))
	b = append(b, consoleAddress, s.lastSequence<<2, cmd.ID)
	b = append(b, data...)
	b = append(b, protocol.Checksum(b[3:]))
	return request{b, uint8(cmd.NetFn), cmd.ID, s.lastSequence}
}

// answeredBy returns the answer in message, and false when it answers something else or is damaged.
func (r request) answeredBy(message []byte) (response, bool) {
	const header, trailer = 7, 1
	n := len(message)
	if n < header+trailer || protocol.Checksum(message[:3]) != 0 || protocol.Checksum(message[3:]) != 0 {
		return response{}, false
	}
	if message[1]>>2 != r.netFn|1 || message[4]>>2 != r.sequence || message[5] != r.command {
		return response{}, false
	}
	return response{types.CompletionCode(message[6]), bytes.Clone(message[header : n-trailer])}, true
}
