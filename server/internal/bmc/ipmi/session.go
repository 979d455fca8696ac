package ipmi

import (
	"bytes"
	"crypto/aes"
	"crypto/rand"
	"encoding/binary"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/types"
)

// A suite is the three algorithms of a cipher suite (IPMI 2.0, table 22-20).
type suite struct {
	auth      types.AuthAlg
	integrity types.IntegrityAlg
	crypt     types.CryptAlg
}

// suites returns the cipher suites on offer, best first: 17, then 3. All others lack a hash or encryption that holds.
func suites() [2]suite {
	return [2]suite{
		{types.AuthAlg_HMAC_SHA256, types.IntegrityAlg_HMAC_SHA256_128, types.CryptAlg_AES_CBC_128},
		{types.AuthAlg_HMAC_SHA1, types.IntegrityAlg_HMAC_SHA1_96, types.CryptAlg_AES_CBC_128},
	}
}

const (
	// headerSize is the RMCP header and the session header of RMCP+ (IPMI 2.0, table 13-8).
	headerSize     = 16
	rmcpHeaderSize = 4
	nextHeader     = 0x07
)

// session is an open RMCP+ session: it seals what goes out and opens what comes in.
type session struct {
	suite        suite
	consoleID    uint32 // by which the BMC addresses us
	bmcID        uint32
	k1, k2       []byte // integrity and confidentiality keys (IPMI 2.0, 13.32)
	sent, heard  uint32 // session sequence numbers, last sent and highest heard
	lastSequence uint8  // of the last request, 6 bits
}

// seal encrypts and signs a message (IPMI 2.0, 13.28.4 and 13.29). Each call uses a new session sequence number, as a
// BMC ignores one that it has seen.
func (s *session) seal(message []byte) ([]byte, error) {
	iv := make([]byte, aes.BlockSize)
	if _, err := rand.Read(iv); err != nil {
		return nil, err
	}
	payload, err := crypto.EncryptAESPayload(message, s.k2, iv)
	if err != nil {
		return nil, err
	}
	s.sent++
	flags := types.PayloadFlagEncrypted | types.PayloadFlagAuthenticated
	datagram := protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeIPMI), flags, s.bmcID, s.sent, payload)
	pad := types.IntegrityPadLen(headerSize-rmcpHeaderSize, len(payload))
	datagram = append(datagram, bytes.Repeat([]byte{0xff}, pad)...)
	datagram = append(datagram, byte(pad), nextHeader)
	code, err := crypto.SessionIntegrityAuthCode(s.suite.integrity, datagram[rmcpHeaderSize:], s.k1, "")
	if err != nil {
		return nil, err
	}
	return append(datagram, code...), nil
}

// open returns the message in a datagram, and false for a datagram that is not of this session, not signed with its
// key, older than one heard before, or malformed.
func (s *session) open(datagram []byte) ([]byte, bool) {
	p, ok := parsePacket(datagram)
	const protected = types.PayloadFlagEncrypted | types.PayloadFlagAuthenticated
	if !ok || p.kind != types.PayloadTypeIPMI || p.flags&protected != protected || p.session != s.consoleID || p.sequence <= s.heard {
		return nil, false
	}
	n, _ := crypto.IntegrityAuthCodeLen(s.suite.integrity)
	if len(p.trailer) < 2+n {
		return nil, false
	}
	signed := len(datagram) - n
	want, err := crypto.SessionIntegrityAuthCode(s.suite.integrity, datagram[rmcpHeaderSize:signed], s.k1, "")
	if err != nil || !crypto.Equal(want, datagram[signed:]) {
		return nil, false
	}
	// An IV and at least one block; DecryptAES panics at parts of blocks.
	if len(p.payload) < 2*aes.BlockSize || len(p.payload)%aes.BlockSize != 0 {
		return nil, false
	}
	message, err := crypto.DecryptAESPayload(p.payload, s.k2)
	if err != nil {
		return nil, false
	}
	s.heard = p.sequence
	return message, true
}

// closeRequest returns the data of Close Session (IPMI 2.0, 22.19).
func (s *session) closeRequest() []byte { return binary.LittleEndian.AppendUint32(nil, s.bmcID) }

// packet is a datagram of RMCP+.
type packet struct {
	kind     types.PayloadType
	flags    uint8
	session  uint32
	sequence uint32
	payload  []byte
	trailer  []byte // what follows the payload
}

// parsePacket takes an RMCP+ datagram apart (IPMI 2.0, table 13-8), and returns false when it is not one.
func parsePacket(datagram []byte) (packet, bool) {
	// Version 06h and class 07h of RMCP, authentication type 06h: RMCP+.
	if len(datagram) < headerSize || datagram[0] != 0x06 || datagram[3]&0x1f != 0x07 || datagram[4]&0x0f != 0x06 {
		return packet{}, false
	}
	id, sequence, kind, flags, payload, ok := protocol.ParseRMCPPlusHeader(datagram)
	if !ok {
		return packet{}, false
	}
	return packet{
		kind: types.PayloadType(kind), flags: flags, session: id, sequence: sequence,
		payload: payload, trailer: datagram[headerSize+len(payload):],
	}, true
}
