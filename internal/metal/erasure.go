package metal

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"time"
)

// Erasure is the latest wipe of a machine's disks.
type Erasure struct {
	Mode Erase       `json:"mode"`
	At   time.Time   `json:"at"`
	Disk []DiskWiped `json:"disks"`
	// Certificate is the signed record of this wipe; empty for those before there were certificates.
	Certificate string `json:"certificate,omitempty" doc:"Id of the erase certificate"`
}

// DiskWiped is the proof for one disk.
type DiskWiped struct {
	Name   string `json:"name"`
	Model  string `json:"model,omitempty"`
	Serial string `json:"serial,omitempty"`
	WWN    string `json:"wwn,omitempty"`
	Bytes  int64  `json:"bytes" doc:"Size of the disk"`
	Method string `json:"method" doc:"What was done: signatures, blkdiscard, zero, nvme-format, ata-sanitize-crypto, ..."`
	// Sampled is how many blocks were read back, and NonZero how many of them held anything.
	Sampled   int        `json:"sampled" doc:"Blocks read back afterwards"`
	NonZero   int        `json:"non_zero" doc:"Of these, blocks that were not zero"`
	Result    WipeResult `json:"result,omitempty" doc:"What reading back proved"`
	StartedAt time.Time  `json:"started_at,omitzero"`
	EndedAt   time.Time  `json:"ended_at,omitzero"`
}

// WipeResult is what reading samples back says of a wipe.
type WipeResult string

const (
	WipeVerified WipeResult = "verified"  // every block read back was zero
	WipeTrusted  WipeResult = "trusted"   // the device destroyed its own key: what reads back is noise, or zero, and proves nothing
	WipeDataLeft WipeResult = "data_left" // blocks still hold data: quick does not overwrite everything on every device
)

// An EraseRecord is what an erase certificate states.
type EraseRecord struct {
	ID          string      `json:"id"`
	Operation   string      `json:"operation" doc:"The operation that wiped"`
	MachineID   string      `json:"machine_id"`
	Machine     string      `json:"machine" doc:"Its name then"`
	Vendor      string      `json:"vendor,omitempty"`
	Product     string      `json:"product,omitempty"`
	Serial      string      `json:"serial,omitempty" doc:"Serial number of the chassis"`
	UUID        string      `json:"uuid,omitempty" doc:"SMBIOS system UUID"`
	Allocation  string      `json:"allocation,omitempty" doc:"Name of the claim that ended with it"`
	Mode        Erase       `json:"mode" doc:"What was asked for" enum:"quick,zero,secure"`
	Disks       []DiskWiped `json:"disks"`
	CertifiedAt time.Time   `json:"certified_at"`
}

// An EraseCertificate is the server's signed statement that a machine's disks were wiped. It outlives the machine.
type EraseCertificate struct {
	EraseRecord
	// Signed holds the same record with the server's signature, for those who do not take our word for it.
	Signed JWS `json:"signed"`
}

// JWS is a signed text in the flattened JSON form of RFC 7515, 7.2.2. Payload is the record as JSON.
type JWS struct {
	Payload   string `json:"payload" doc:"What is signed: the record as JSON, in base64url"`
	Protected string `json:"protected" doc:"Header, in base64url: algorithm EdDSA and the id of the key"`
	Signature string `json:"signature" doc:"Ed25519 signature, in base64url"`
}

// JWK is a public Ed25519 key (RFC 8037, 2).
type JWK struct {
	KeyType string `json:"kty" enum:"OKP"`
	Curve   string `json:"crv" enum:"Ed25519"`
	X       string `json:"x" doc:"The key, in base64url"`
	ID      string `json:"kid"`
}

type jwsHeader struct {
	Algorithm string `json:"alg"`
	Key       string `json:"kid"`
}

// NewJWK describes a public key. Its id is the beginning of the key itself: enough to tell a server's keys apart.
func NewJWK(key ed25519.PublicKey) JWK {
	x := base64.RawURLEncoding.EncodeToString(key)
	return JWK{KeyType: "OKP", Curve: "Ed25519", X: x, ID: x[:16]}
}

// key returns the key itself; Invalid when it is none that we know.
func (k JWK) key() (ed25519.PublicKey, error) {
	raw, err := base64.RawURLEncoding.DecodeString(k.X)
	if err != nil || k.KeyType != "OKP" || k.Curve != "Ed25519" || len(raw) != ed25519.PublicKeySize {
		return nil, Errorf(Invalid, "read the key %q: it is not an Ed25519 public key in JWK form (kty OKP, crv Ed25519, x of 32 bytes)", k.ID)
	}
	return raw, nil
}

// Certify signs a record with the server's key.
func Certify(record EraseRecord, key ed25519.PrivateKey) (*EraseCertificate, error) {
	payload, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	header, err := json.Marshal(jwsHeader{"EdDSA", NewJWK(key.Public().(ed25519.PublicKey)).ID})
	if err != nil {
		return nil, err
	}
	s := JWS{Payload: base64.RawURLEncoding.EncodeToString(payload), Protected: base64.RawURLEncoding.EncodeToString(header)}
	s.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, s.input()))
	return &EraseCertificate{EraseRecord: record, Signed: s}, nil
}

// input is what the signature is made over (RFC 7515, 5.1).
func (s JWS) input() []byte { return []byte(s.Protected + "." + s.Payload) }

// VerifyErase checks a signature against a key, and returns the record that was signed; Invalid with the reason
// otherwise. What stands beside the signature is not looked at: only what was signed is evidence.
func VerifyErase(s JWS, k JWK) (EraseRecord, error) {
	var record EraseRecord
	key, err := k.key()
	if err != nil {
		return record, err
	}
	header, headerErr := decodePart[jwsHeader](s.Protected)
	signature, err := base64.RawURLEncoding.DecodeString(s.Signature)
	switch {
	case headerErr != nil:
		return record, Errorf(Invalid, "verify the certificate: its header cannot be read: %w", headerErr)
	case header.Algorithm != "EdDSA":
		return record, Errorf(Invalid, "verify the certificate: it is signed by %q; only EdDSA (Ed25519) is accepted", header.Algorithm)
	case err != nil:
		return record, Errorf(Invalid, "verify the certificate: its signature cannot be read: %w", err)
	case !ed25519.Verify(key, s.input(), signature):
		return record, Errorf(Invalid, "verify the certificate: the signature is not by key %s (it says %q), or the certificate was changed", k.ID, header.Key)
	}
	if record, err = decodePart[EraseRecord](s.Payload); err != nil {
		return record, Errorf(Invalid, "verify the certificate: it is signed, but not an erase record: %w", err)
	}
	return record, nil
}

func decodePart[T any](part string) (v T, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(raw, &v)
	}
	return v, err
}
