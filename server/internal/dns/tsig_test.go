package dns

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// signed makes a request of "name type", signed with a key at a time.
func signed(t testing.TB, question string, k *key, at time.Time) []byte {
	t.Helper()
	q := query(t, question)
	q.Extra = append(q.Extra, k.record(q.Id, at))
	wire, _, err := dns.TsigGenerateWithProvider(q, k, "", false)
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func keyFrom(t testing.TB, keys Keys, name string) *key {
	t.Helper()
	k, ok := keyOf(keys, name)
	if !ok {
		t.Fatalf("there is no key %s", name)
	}
	return k
}

func TestSignaturesOfRequests(t *testing.T) {
	now := time.Now()
	good := signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "xfer"), now)
	change := func(wire []byte, f func(m *dns.Msg)) []byte {
		m := new(dns.Msg)
		if err := m.Unpack(wire); err != nil {
			t.Fatal(err)
		}
		f(m)
		wire, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	plain, err := query(t, "n1.lab.example. A").Pack()
	if err != nil {
		t.Fatal(err)
	}
	shouted := &key{name: "XFER", algorithm: "HMAC-SHA256", hash: keyFrom(t, xferKeys, "xfer").hash, secret: []byte(xferSecret)}
	cases := []struct {
		name  string
		wire  []byte
		by    string
		rcode int
		fault uint16
	}{
		{"none", plain, "", dns.RcodeSuccess, 0},
		{"a right one", good, "xfer", dns.RcodeSuccess, 0},
		{"SHA-384", signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "hmac-sha384"), now), "hmac-sha384", dns.RcodeSuccess, 0},
		{"SHA-512", signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "hmac-sha512"), now), "hmac-sha512", dns.RcodeSuccess, 0},
		{"a name in capitals", signed(t, "n1.lab.example. A", shouted, now), "xfer", dns.RcodeSuccess, 0},
		{"a clock that is a little behind", signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "xfer"), now.Add(-4*time.Minute)), "xfer", dns.RcodeSuccess, 0},
		{"a clock that is far behind", signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "xfer"), now.Add(-6*time.Minute)), "", dns.RcodeNotAuth, dns.RcodeBadTime},
		{"a clock that is far ahead", signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "xfer"), now.Add(6*time.Minute)), "", dns.RcodeNotAuth, dns.RcodeBadTime},
		{"a key that nobody knows", signed(t, "n1.lab.example. A", keyFrom(t, testKeys{"foe": "x"}, "foe"), now), "", dns.RcodeNotAuth, dns.RcodeBadKey},
		{"another secret", signed(t, "n1.lab.example. A", keyFrom(t, testKeys{"xfer": "x"}, "xfer"), now), "", dns.RcodeNotAuth, dns.RcodeBadSig},
		{"another algorithm than the key's", change(good, func(m *dns.Msg) { m.IsTsig().Algorithm = dns.HmacSHA512 }), "", dns.RcodeNotAuth, dns.RcodeBadKey},
		{"another question than was signed", change(good, func(m *dns.Msg) { m.Question[0].Name = "n2.lab.example." }), "", dns.RcodeNotAuth, dns.RcodeBadSig},
		{"another id, by a forwarder that keeps the first", change(good, func(m *dns.Msg) { m.Id++ }), "xfer", dns.RcodeSuccess, 0},
		{"half a signature", change(good, func(m *dns.Msg) { ts := m.IsTsig(); ts.MAC, ts.MACSize = ts.MAC[:32], 16 }), "", dns.RcodeNotAuth, dns.RcodeBadSig},
		{"an empty signature", change(good, func(m *dns.Msg) { ts := m.IsTsig(); ts.MAC, ts.MACSize = "", 0 }), "", dns.RcodeNotAuth, dns.RcodeBadSig},
		{"two", change(good, func(m *dns.Msg) { m.Extra = append(m.Extra, m.Extra[0]) }), "", dns.RcodeFormatError, 0},
		{"one that is not last", change(good, func(m *dns.Msg) { m.SetEdns0(1232, false) }), "", dns.RcodeFormatError, 0},
		{"one that is no additional record", change(good, func(m *dns.Msg) { m.Ns, m.Extra = m.Extra, nil }), "", dns.RcodeFormatError, 0},
		{"one without data", change(plain, func(m *dns.Msg) {
			m.Extra = []dns.RR{&dns.RR_Header{Name: "xfer.", Rrtype: dns.TypeTSIG, Class: dns.ClassANY}}
		}), "", dns.RcodeNotAuth, dns.RcodeBadKey},
		{"one of another class", change(good, func(m *dns.Msg) { m.IsTsig().Hdr.Class = dns.ClassINET }), "", dns.RcodeFormatError, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q, _, err := parse(c.wire)
			if err != nil {
				t.Fatal(err)
			}
			before := string(c.wire)
			sig, rcode := verify(c.wire, q, xferKeys, now)
			fault := uint16(0)
			if sig != nil {
				fault = sig.fault
			}
			if rcode != c.rcode || sig.by() != c.by || fault != c.fault {
				t.Errorf("got %s, key %q, fault %d; want %s, %q, %d", dns.RcodeToString[rcode], sig.by(), fault, dns.RcodeToString[c.rcode], c.by, c.fault)
			}
			if string(c.wire) != before {
				t.Error("the request was changed")
			}
		})
	}
}

func TestNobodyHasAKeyWhereThereAreNone(t *testing.T) {
	wire := signed(t, "n1.lab.example. A", keyFrom(t, xferKeys, "xfer"), time.Now())
	q, _, err := parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	if sig, rcode := verify(wire, q, nil, time.Now()); rcode != dns.RcodeNotAuth || sig.fault != dns.RcodeBadKey {
		t.Errorf("got %d; want BADKEY", rcode)
	}
	if _, ok := keyOf(xferKeys, "hmac-md5"); ok {
		t.Error("a key may have hmac-md5")
	}
}

func TestAnswersAreSignedOneAfterTheOther(t *testing.T) {
	k := keyFrom(t, xferKeys, "xfer")
	now := time.Now()
	wire := signed(t, "n1.lab.example. A", k, now)
	q, _, err := parse(wire)
	if err != nil {
		t.Fatal(err)
	}
	sig, rcode := verify(wire, q, xferKeys, now)
	if rcode != dns.RcodeSuccess {
		t.Fatal(dns.RcodeToString[rcode])
	}
	mac := sig.mac
	for i := range 3 {
		m := new(dns.Msg).SetReply(q)
		answer, err := sig.sign(m, now)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Extra) > 0 {
			t.Error("the message was changed")
		}
		if err := dns.TsigVerifyWithProvider(append([]byte(nil), answer...), k, mac, i > 0); err != nil {
			t.Errorf("answer %d: %v", i, err)
		}
		if plain, err := m.Pack(); err != nil || len(answer)-len(plain) > sig.size() {
			t.Errorf("the signature takes %d bytes; want %d at most, %v", len(answer)-len(plain), sig.size(), err)
		}
		got := new(dns.Msg)
		if err := got.Unpack(answer); err != nil {
			t.Fatal(err)
		}
		mac = got.IsTsig().MAC
	}
}

func TestFaultySignaturesAreAnsweredSo(t *testing.T) {
	now := time.Now()
	k := keyFrom(t, xferKeys, "xfer")
	cases := []struct {
		name   string
		wire   []byte
		fault  uint16
		signed bool
	}{
		{"another time", signed(t, "n1.lab.example. A", k, now.Add(-time.Hour)), dns.RcodeBadTime, true},
		{"another secret", signed(t, "n1.lab.example. A", keyFrom(t, testKeys{"xfer": "x"}, "xfer"), now), dns.RcodeBadSig, false},
		{"another key", signed(t, "n1.lab.example. A", keyFrom(t, testKeys{"foe": "x"}, "foe"), now), dns.RcodeBadKey, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q, _, err := parse(c.wire)
			if err != nil {
				t.Fatal(err)
			}
			sig, _ := verify(c.wire, q, xferKeys, now)
			mac := sig.mac
			m := new(dns.Msg).SetRcode(q, dns.RcodeNotAuth)
			wire, err := sig.sign(m, now)
			if err != nil {
				t.Fatal(err)
			}
			got := new(dns.Msg)
			if err := got.Unpack(wire); err != nil {
				t.Fatal(err)
			}
			ts := got.IsTsig()
			if ts == nil || ts.Error != c.fault || got.Rcode != dns.RcodeNotAuth {
				t.Fatalf("got %v; want fault %d", got, c.fault)
			}
			if !c.signed {
				if ts.MAC != "" {
					t.Error("it is signed; want it not to be (RFC 8945, section 5.2)")
				}
				return
			}
			if want := fmt.Sprintf("%012x", now.Unix()); ts.OtherData != want || ts.TimeSigned != uint64(now.Add(-time.Hour).Unix()) {
				t.Errorf("got other data %s, time %d; want our time %s, and the client's", ts.OtherData, ts.TimeSigned, want)
			}
			got.Rcode = dns.RcodeSuccess
			if err := k.Verify(tsigText(t, m, ts, mac), ts); err != nil {
				t.Errorf("the signature: %v", err)
			}
		})
	}
}

// tsigText is what is signed of an answer (RFC 8945, section 4.3), made without the library's own way.
func tsigText(t testing.TB, m *dns.Msg, ts *dns.TSIG, requestMAC string) []byte {
	t.Helper()
	catch := &catcher{}
	again := *m
	stub := *ts
	stub.MAC, stub.MACSize = "", 0
	again.Extra = []dns.RR{&stub}
	if _, _, err := dns.TsigGenerateWithProvider(&again, catch, requestMAC, false); err != nil {
		t.Fatal(err)
	}
	return catch.text
}

type catcher struct{ text []byte }

func (c *catcher) Generate(text []byte, _ *dns.TSIG) ([]byte, error) {
	c.text = append([]byte(nil), text...)
	return []byte{1}, nil
}

func (c *catcher) Verify([]byte, *dns.TSIG) error { return nil }

func TestASecretIsNotPrinted(t *testing.T) {
	k := keyFrom(t, xferKeys, "xfer")
	if got := fmt.Sprint(k, " ", fmt.Sprintf("%v %s", k, k)); strings.Contains(got, "sixteen") {
		t.Errorf("got %s", got)
	}
}

func FuzzSignedRequest(f *testing.F) {
	now := time.Unix(1_800_000_000, 0)
	f.Add(signed(f, "n1.lab.example. A", keyFrom(f, xferKeys, "xfer"), now))
	f.Add(signed(f, "n1.lab.example. A", keyFrom(f, xferKeys, "hmac-sha512"), now.Add(time.Hour)))
	f.Add(signed(f, "n1.lab.example. A", keyFrom(f, testKeys{"foe": "x"}, "foe"), now))
	f.Fuzz(func(t *testing.T, wire []byte) {
		q, _, err := parse(wire)
		if err != nil {
			return
		}
		sig, rcode := verify(wire, q, testKeys{"xfer": "a secret that no fuzzer finds"}, now)
		if sig.by() != "" {
			t.Errorf("a signature without the secret holds: %s", q)
		}
		if sig == nil {
			return
		}
		answer := reply(q, labSelf)
		answer.Rcode = rcode
		if _, err := sig.sign(answer, now); err != nil && !strings.Contains(err.Error(), "sign an answer") {
			t.Errorf("sign: %v", err)
		}
	})
}
