package ipmi

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/crypto"
	"github.com/bougou/go-ipmi/pkg/protocol"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

// errProof means that the BMC could not prove to know our password; most likely it knows another one.
var errProof = fmt.Errorf("%w: its proof of the password is not the one expected", bmc.ErrRefused)

// errSuite means that the BMC chose other algorithms than the ones on offer.
var errSuite = errors.New("the BMC chose another cipher suite than the one on offer")

// handshake opens a session (IPMI 2.0, 13.15 to 13.24).
type handshake struct {
	link      *link
	username  string
	password  metal.Secret
	suite     suite
	privilege types.PrivilegeLevel

	consoleID, bmcID        uint32
	consoleRandom, bmcNonce [16]byte
	guid                    [16]byte
	role                    uint8
}

// run returns the open session. Errors are a *types.RmcpStatusError when the BMC declined, errProof, errSuite or
// those of link.exchange.
func (h *handshake) run(ctx context.Context) (*session, error) {
	var seed [4]byte
	for _, b := range [][]byte{seed[:], h.consoleRandom[:]} {
		if _, err := rand.Read(b); err != nil {
			return nil, err
		}
	}
	h.consoleID = binary.LittleEndian.Uint32(seed[:]) | 1 // 0 means none
	if err := h.openSession(ctx); err != nil {
		return nil, err
	}
	if err := h.introduce(ctx); err != nil {
		return nil, err
	}
	return h.prove(ctx)
}

// openSession agrees on session ids and algorithms: RMCP+ Open Session Request and Response (13.17, 13.18).
func (h *handshake) openSession(ctx context.Context) error {
	auth, integrity, crypt := rmcpplus.NewAlgorithmPayloads(h.suite.auth, h.suite.integrity, h.suite.crypt)
	request := rmcpplus.OpenSessionRequest{
		RemoteConsoleSessionID: h.consoleID,
		AuthenticationPayload:  auth, IntegrityPayload: integrity, ConfidentialityPayload: crypt,
	}
	var answer rmcpplus.OpenSessionResponse
	err := h.exchange(ctx, types.PayloadTypeRmcpOpenSessionRequest, types.PayloadTypeRmcpOpenSessionResponse,
		func(tag uint8) []byte { request.MessageTag = tag; return request.Pack() },
		func(payload []byte) (uint32, bool) {
			return answer.RemoteConsoleSessionID, answer.Unpack(payload) == nil
		})
	if err != nil {
		return err
	}
	chosen := suite{types.AuthAlg(answer.AuthAlg), types.IntegrityAlg(answer.IntegrityAlg), types.CryptAlg(answer.CryptAlg)}
	if chosen != h.suite {
		return errSuite
	}
	h.bmcID = answer.ManagedSystemSessionID
	return nil
}

// introduce names the user and lets the BMC prove that it knows the password: RAKP messages 1 and 2 (13.20, 13.21).
func (h *handshake) introduce(ctx context.Context) error {
	request := rmcpplus.RAKPMessage1{
		ManagedSystemSessionID: h.bmcID, RemoteConsoleRandomNumber: h.consoleRandom,
		NameOnlyLookup: true, RequestedMaximumPrivilegeLevel: h.privilege,
		UsernameLength: uint8(len(h.username)), Username: []byte(h.username),
	}
	h.role = request.Role()
	answer := rmcpplus.RAKPMessage2{AuthAlg: h.suite.auth}
	err := h.exchange(ctx, types.PayloadTypeRAKPMessage1, types.PayloadTypeRAKPMessage2,
		func(tag uint8) []byte { request.MessageTag = tag; return request.Pack() },
		func(payload []byte) (uint32, bool) {
			return answer.RemoteConsoleSessionID, answer.Unpack(payload) == nil
		})
	if err != nil {
		return err
	}
	h.bmcNonce, h.guid = answer.ManagedSystemRandomNumber, answer.ManagedSystemGUID
	want, err := crypto.RAKP2AuthCode(h.suite.auth, h.consoleID, h.bmcID, h.consoleRandom[:], h.bmcNonce[:], h.guid[:],
		h.role, h.username, h.key())
	if err != nil {
		return err
	}
	if !crypto.Equal(want, answer.KeyExchangeAuthenticationCode) {
		h.abandon()
		return errProof
	}
	return nil
}

// abandon tells the BMC that its proof was wrong, so that it frees the session slot (13.22). Nothing answers.
func (h *handshake) abandon() {
	farewell := rmcpplus.RAKPMessage3{RmcpStatusCode: types.RmcpStatusCodeInvalidIntegrityCheckValue, ManagedSystemSessionID: h.bmcID}
	_, _ = h.link.conn.Write(protocol.BuildRMCPPlusPacket(uint8(types.PayloadTypeRAKPMessage3), 0, 0, 0, farewell.Pack()))
}

// prove proves that we know the password and derives the keys: RAKP messages 3 and 4 (13.22 to 13.24, 13.31, 13.32).
func (h *handshake) prove(ctx context.Context) (*session, error) {
	proof, err := crypto.RAKP3AuthCode(h.suite.auth, h.bmcNonce[:], h.consoleID, h.role, h.username, h.key())
	if err != nil {
		return nil, err
	}
	sik, k1, k2, err := crypto.DeriveSessionKeys(h.suite.auth, h.consoleRandom[:], h.bmcNonce[:], h.role, h.username, h.key())
	if err != nil {
		return nil, err
	}
	request := rmcpplus.RAKPMessage3{ManagedSystemSessionID: h.bmcID, KeyExchangeAuthenticationCode: proof}
	answer := rmcpplus.RAKPMessage4{AuthAlg: h.suite.auth}
	err = h.exchange(ctx, types.PayloadTypeRAKPMessage3, types.PayloadTypeRAKPMessage4,
		func(tag uint8) []byte { request.MessageTag = tag; return request.Pack() },
		func(payload []byte) (uint32, bool) {
			return answer.MgmtConsoleSessionID, answer.Unpack(payload) == nil
		})
	if err != nil {
		return nil, err
	}
	want, err := crypto.RAKP4ICV(h.suite.auth, h.consoleRandom[:], h.bmcID, h.guid[:], sik)
	if err != nil {
		return nil, err
	}
	if !crypto.Equal(want, answer.IntegrityCheckValue) {
		return nil, errProof
	}
	return &session{suite: h.suite, consoleID: h.consoleID, bmcID: h.bmcID, k1: k1, k2: k2}, nil
}

// exchange sends a message of the handshake and waits for its answer. Only the answer to the last transmission is
// taken, told by its tag: a BMC draws a new random number each time it hears RAKP message 1, and holds the last. An
// answer that declines is a *types.RmcpStatusError; it may be no longer than tag and status, as ipmi_sim's is.
func (h *handshake) exchange(ctx context.Context, ask, reply types.PayloadType, pack func(tag uint8) []byte, unpack func(payload []byte) (consoleID uint32, ok bool)) error {
	var tag uint8
	var status types.RmcpStatusCode
	err := h.link.exchange(ctx,
		func(attempt int) ([]byte, error) {
			tag = uint8(attempt)
			return protocol.BuildRMCPPlusPacket(uint8(ask), 0, 0, 0, pack(tag)), nil
		},
		func(datagram []byte) bool {
			p, ok := parsePacket(datagram)
			if !ok || p.kind != reply || p.session != 0 || len(p.payload) < 2 || p.payload[0] != tag {
				return false
			}
			if status = types.RmcpStatusCode(p.payload[1]); status != types.RmcpStatusCodeNoErrors {
				return true
			}
			id, ok := unpack(p.payload)
			return ok && id == h.consoleID
		})
	if err == nil && status != types.RmcpStatusCodeNoErrors {
		return types.NewRmcpStatusError(status)
	}
	return err
}

// key is the password as key material: 20 bytes, zero-padded (13.31).
func (h *handshake) key() []byte { return crypto.PadPassword20([]byte(h.password.Reveal())) }
