package metal

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func eraseKey(seed byte) ed25519.PrivateKey {
	return ed25519.NewKeyFromSeed([]byte(strings.Repeat(string(rune(seed)), ed25519.SeedSize)))
}

func certified(t *testing.T) *EraseCertificate {
	t.Helper()
	c, err := Certify(EraseRecord{
		ID: "c1", MachineID: "m1", Machine: "node-1", Mode: EraseZero, CertifiedAt: time.Unix(1700000000, 0).UTC(),
		Disks: []DiskWiped{{Name: "sda", Serial: "S1", Bytes: 1 << 30, Method: "zero", Sampled: 66, Result: WipeVerified}},
	}, eraseKey('a'))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestACertificateSaysWhatWasSigned(t *testing.T) {
	c := certified(t)
	got, err := VerifyErase(c.Signed, NewJWK(eraseKey('a').Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	want, _ := json.Marshal(c.EraseRecord)
	if text, _ := json.Marshal(got); string(text) != string(want) {
		t.Errorf("got %s; want %s", text, want)
	}
}

func TestACertificateThatIsNotTheServersIsRefused(t *testing.T) {
	ours := NewJWK(eraseKey('a').Public().(ed25519.PublicKey))
	for _, c := range []struct {
		name, want string
		change     func(*JWS, *JWK)
	}{
		{"another key", "signature is not by key", func(_ *JWS, k *JWK) { *k = NewJWK(eraseKey('b').Public().(ed25519.PublicKey)) }},
		{"another text", "or the certificate was changed", func(s *JWS, _ *JWK) {
			raw, _ := base64.RawURLEncoding.DecodeString(s.Payload)
			s.Payload = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(raw), "S1", "S2", 1)))
		}},
		{"no signature", "signature is not by key", func(s *JWS, _ *JWK) { s.Signature = "" }},
		{"a signature that is no base64", "signature cannot be read", func(s *JWS, _ *JWK) { s.Signature = "!" }},
		{"a header that cannot be read", "header cannot be read", func(s *JWS, _ *JWK) { s.Protected = "AA" }},
		{"algorithm none", `signed by "none"`, func(s *JWS, _ *JWK) {
			s.Protected = base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`))
		}},
		{"a key that is too short", "not an Ed25519 public key", func(_ *JWS, k *JWK) { k.X = "AAAA" }},
		{"a key of another kind", "not an Ed25519 public key", func(_ *JWS, k *JWK) { k.Curve = "Ed448" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, k := certified(t).Signed, ours
			c.change(&s, &k)
			_, err := VerifyErase(s, k)
			if CodeOf(err) != Invalid || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want Invalid with %q", err, c.want)
			}
		})
	}
}

func TestWhatIsSignedButNoRecordIsRefused(t *testing.T) {
	key := eraseKey('a')
	s := JWS{
		Payload:   base64.RawURLEncoding.EncodeToString([]byte("[]")),
		Protected: base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"EdDSA","kid":"x"}`)),
	}
	s.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(key, s.input()))
	if _, err := VerifyErase(s, NewJWK(key.Public().(ed25519.PublicKey))); CodeOf(err) != Invalid || !strings.Contains(err.Error(), "not an erase record") {
		t.Errorf("got %v; want a refusal", err)
	}
}

func FuzzVerifyErase(f *testing.F) {
	f.Add("e30", "eyJhbGciOiJFZERTQSJ9", "AAAA", "AAAA")
	f.Fuzz(func(t *testing.T, payload, protected, signature, x string) {
		if _, err := VerifyErase(JWS{payload, protected, signature}, JWK{KeyType: "OKP", Curve: "Ed25519", X: x}); err == nil {
			t.Errorf("took %q.%q.%q for signed by %q", protected, payload, signature, x)
		}
	})
}
