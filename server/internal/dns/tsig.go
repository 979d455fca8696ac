package dns

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Keys are the keys that messages are signed with (RFC 8945).
type Keys interface {
	// Key returns the key of a name, which is in lower case and without the trailing dot. The algorithm is hmac-sha256,
	// hmac-sha384 or hmac-sha512. It must be quick, and the secret must not be changed.
	Key(name string) (algorithm string, secret []byte, ok bool)
}

// fudge is by how many seconds two clocks may differ (RFC 8945, section 10).
const fudge = 300

// hashOf returns the hash of an algorithm that keys may have. The shorter ones of RFC 8945, section 6, are left out.
func hashOf(algorithm string) (func() hash.Hash, bool) {
	switch strings.TrimSuffix(strings.ToLower(algorithm), ".") {
	case "hmac-sha256":
		return sha256.New, true
	case "hmac-sha384":
		return sha512.New384, true
	case "hmac-sha512":
		return sha512.New, true
	}
	return nil, false
}

// A key signs messages, and verifies signatures.
type key struct {
	name, algorithm string
	hash            func() hash.Hash
	secret          []byte
}

// keyOf looks a key up; ok is false where there is none that can be used.
func keyOf(keys Keys, name string) (k *key, ok bool) {
	if keys == nil {
		return nil, false
	}
	algorithm, secret, ok := keys.Key(name)
	if !ok {
		return nil, false
	}
	hash, ok := hashOf(algorithm)
	return &key{name: name, algorithm: strings.ToLower(algorithm), hash: hash, secret: secret}, ok
}

// String keeps the secret out of logs.
func (k *key) String() string { return k.name }

// Generate is for dns.TsigProvider.
func (k *key) Generate(message []byte, _ *dns.TSIG) ([]byte, error) {
	mac := hmac.New(k.hash, k.secret)
	mac.Write(message)
	return mac.Sum(nil), nil
}

// Verify is for dns.TsigProvider. A truncated signature is none (RFC 8945, section 5.2.2.1, leaves that to us).
func (k *key) Verify(message []byte, t *dns.TSIG) error {
	got, err := hex.DecodeString(t.MAC)
	if err != nil {
		return err
	}
	want, err := k.Generate(message, t)
	if err != nil {
		return err
	}
	if !hmac.Equal(got, want) {
		return dns.ErrSig
	}
	return nil
}

// record is the key's TSIG record for a message that is still to be signed.
func (k *key) record(id uint16, now time.Time) *dns.TSIG {
	return &dns.TSIG{
		Hdr:       dns.RR_Header{Name: dns.Fqdn(k.name), Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: dns.Fqdn(k.algorithm), TimeSigned: uint64(now.Unix()), Fudge: fudge, OrigId: id,
	}
}

// A signature is what came of a request's TSIG record, and signs the answers to it. nil is that of a request without.
type signature struct {
	key     *key   // nil where it is not known
	name    string // of the key, as the request has it
	algo    string
	mac     string // of the message before: the request's, and then that of each answer
	fault   uint16 // BADKEY, BADSIG, BADTIME or none
	signed  uint64 // when, as the client says
	answers int    // that were signed
}

// verify checks the signature of a request, which is both wire and q. Where rcode is not success, it is what is to be
// answered, signed by sig, and the request must not be looked at any further (RFC 8945, section 5.2).
func verify(wire []byte, q *dns.Msg, keys Keys, now time.Time) (sig *signature, rcode int) {
	count := 0
	for _, rr := range slices.Concat(q.Answer, q.Ns, q.Extra) {
		if rr.Header().Rrtype == dns.TypeTSIG {
			count++
		}
	}
	if count == 0 {
		return nil, dns.RcodeSuccess
	}
	last, ok := lastTSIG(q)
	if count > 1 || !ok || last.Hdr.Class != dns.ClassANY || last.Hdr.Ttl != 0 {
		return nil, dns.RcodeFormatError
	}
	sig = &signature{name: last.Hdr.Name, algo: last.Algorithm, mac: last.MAC, signed: last.TimeSigned}
	k, ok := keyOf(keys, keyName(last.Hdr.Name))
	if !ok || keyName(last.Algorithm) != k.algorithm {
		sig.fault = dns.RcodeBadKey
		return sig, dns.RcodeNotAuth
	}
	sig.key = k
	if err := dns.TsigVerifyWithProvider(slices.Clone(wire), k, "", false); err != nil && !errors.Is(err, dns.ErrTime) {
		sig.fault = dns.RcodeBadSig
		return sig, dns.RcodeNotAuth
	}
	if off := now.Sub(time.Unix(int64(last.TimeSigned), 0)); off.Abs() > time.Duration(last.Fudge)*time.Second {
		sig.fault = dns.RcodeBadTime
		return sig, dns.RcodeNotAuth
	}
	return sig, dns.RcodeSuccess
}

// lastTSIG returns the TSIG record where it belongs. One without data has another type.
func lastTSIG(q *dns.Msg) (*dns.TSIG, bool) {
	if len(q.Extra) == 0 {
		return nil, false
	}
	t, ok := q.Extra[len(q.Extra)-1].(*dns.TSIG)
	return t, ok
}

// keyName is the name of a key as Keys has it.
func keyName(wire string) string { return strings.TrimSuffix(strings.ToLower(wire), ".") }

// by is the name of the key that signed the request, or "" for none that holds.
func (s *signature) by() string {
	if s == nil || s.key == nil || s.fault != 0 {
		return ""
	}
	return s.key.name
}

// size is how many bytes the signature of an answer takes.
func (s *signature) size() int {
	if s == nil {
		return 0
	}
	const longest = sha512.Size + 6 // and the other data
	return dns.Len(&dns.TSIG{Hdr: dns.RR_Header{Name: s.name}, Algorithm: s.algo}) + longest
}

// sign packs an answer with its signature. Each after the first of the same request goes on from the one before
// (RFC 8945, section 5.3.1).
func (s *signature) sign(m *dns.Msg, now time.Time) ([]byte, error) {
	t := &dns.TSIG{
		Hdr:       dns.RR_Header{Name: s.name, Rrtype: dns.TypeTSIG, Class: dns.ClassANY},
		Algorithm: s.algo, TimeSigned: uint64(now.Unix()), Fudge: fudge, OrigId: m.Id, Error: s.fault,
	}
	if s.fault == dns.RcodeBadTime {
		// The client's time, so that it can verify this, and ours beside it (RFC 8945, section 5.2.3).
		t.TimeSigned, t.OtherLen, t.OtherData = s.signed, 6, fmt.Sprintf("%012x", uint64(now.Unix())&(1<<48-1))
	}
	signed := *m
	signed.Extra = append(slices.Clip(m.Extra), t)
	wire, mac, err := dns.TsigGenerateWithProvider(&signed, s.key, s.mac, s.answers > 0)
	if err != nil {
		return nil, fmt.Errorf("sign an answer with key %s: %w", s.name, err)
	}
	s.mac = mac
	s.answers++
	return wire, nil
}
