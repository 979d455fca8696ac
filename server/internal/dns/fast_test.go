package dns

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// slow is what is sent to a request when it is not answered quickly; nil for nothing.
func slow(t testing.TB, request []byte, v *zone.View, recursive bool, l limits) []byte {
	t.Helper()
	q, m, err := parse(request)
	if err == nil {
		m = Answer(q, v, labSelf)
		if m != nil && recursive {
			m.RecursionAvailable = true
		}
	}
	if m == nil {
		return nil
	}
	wire, err := pack(m, l.limit(q), make([]byte, 4096))
	if err != nil {
		t.Fatalf("the answer cannot be written: %v\n%s", err, m)
	}
	return wire
}

// agree checks that a request is answered quickly as it is slowly, and says whether it was answered quickly.
func agree(t testing.TB, request []byte, v *zone.View, recursive bool, l limits) bool {
	t.Helper()
	before := bytes.Clone(request)
	fast, ok := quick(nil, request, v, labSelf, recursive, l)
	if !bytes.Equal(before, request) {
		t.Errorf("the request was changed to % x", request)
	}
	if !ok {
		return false
	}
	if _, known := quick(nil, fast, v, labSelf, recursive, l); known {
		t.Error("the answer is answered")
	}
	var got, want dns.Msg
	if err := got.Unpack(fast); err != nil {
		t.Fatalf("the answer cannot be read: %v\n% x", err, fast)
	}
	if err := want.Unpack(slow(t, request, v, recursive, l)); err != nil {
		t.Fatal(err)
	}
	// The library writes a name with its own capitals, where we point to the question's.
	if diff := cmp.Diff(canonical(&want), canonical(&got)); diff != "" {
		t.Errorf("(-slowly +quickly):\n%s", diff)
	}
	return true
}

// canonical is all of a message in text, with the owners of records outside of the answer in lower case: the library
// writes them with the zone's capitals, and we point to the question's.
func canonical(m *dns.Msg) string {
	for _, rr := range m.Ns {
		rr.Header().Name = dns.CanonicalName(rr.Header().Name)
	}
	return m.String()
}

func TestWhatIsAnsweredQuicklyAndWhatIsNot(t *testing.T) {
	view := rack(t).Now()
	cases := []struct {
		question string
		change   func(*dns.Msg)
		quick    bool
	}{
		{"n1.lab.example. A", nil, true},
		{"N1.lAb.ExAmPlE. AAAA", nil, true},
		{"n2.lab.example. AAAA", nil, true}, // there is none
		{"nosuch.lab.example. A", nil, true},
		{"noSuch.lab.Example. A", nil, true},
		{"11.0.31.172.in-addr.arpa. PTR", nil, true},
		{"99.0.31.172.in-addr.arpa. PTR", nil, true},
		{"lab.example. SOA", nil, true},
		{"rich.test. TXT", nil, true},
		{"key.rich.test. SSHFP", nil, true},
		{"rich.test. CAA", nil, true},
		{"www.rich.test. CNAME", nil, true},
		{"n1.lab.example. TYPE65280", nil, true},
		{"n1.lab.example. A", func(q *dns.Msg) { q.SetEdns0(1232, true) }, true},
		{"n1.lab.example. A", func(q *dns.Msg) { q.RecursionDesired, q.CheckingDisabled, q.AuthenticatedData = true, true, true }, true},
		{"n1.lab.example. A", func(q *dns.Msg) {
			q.SetEdns0(1232, false)
			q.IsEdns0().Option = []dns.EDNS0{
				&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"},
				&dns.EDNS0_PADDING{Padding: make([]byte, 31)},
			}
		}, true},
		{"www.rich.test. A", nil, false},
		{"any.wild.rich.test. A", nil, false},
		{"x.child.rich.test. A", nil, false},
		{"rich.test. MX", nil, false},
		{"rich.test. NS", nil, false},
		{"n1.lab.example. ANY", nil, false},
		{"n1.lab.example. DS", nil, false},
		{"n1.lab.example. AXFR", nil, false},
		{"www.example.com. A", nil, false},
		{"n1.lab.example. CH A", nil, false},
		{"n1.lab.example. A", func(q *dns.Msg) { q.Opcode = dns.OpcodeNotify }, false},
		{"n1.lab.example. A", func(q *dns.Msg) { q.Question = append(q.Question, q.Question[0]) }, false},
		{"n1.lab.example. A", func(q *dns.Msg) { q.SetEdns0(1232, false).SetEdns0(1232, false) }, false},
		{"n1.lab.example. A", func(q *dns.Msg) { q.SetEdns0(1232, false); q.IsEdns0().SetVersion(1) }, false},
		{"n1.lab.example. A", func(q *dns.Msg) { q.SetTsig("key.", dns.HmacSHA256, 300, 0) }, false},
		{"long.rich.test. TXT", nil, false}, // it does not fit
		{"long.rich.test. TXT", func(q *dns.Msg) { q.SetEdns0(4096, false) }, true},
	}
	for _, c := range cases {
		q := query(t, c.question)
		if c.change != nil {
			c.change(q)
		}
		for _, recursive := range []bool{false, true} {
			if got := agree(t, packed(t, q), view, recursive, byDatagram); got != c.quick {
				t.Errorf("%s: answered quickly %t; want %t\n%s", c.question, got, c.quick, q)
			}
		}
	}
	if !agree(t, packed(t, query(t, "long.rich.test. TXT")), view, false, byStream) {
		t.Error("by TCP what is long fits, and was not answered quickly")
	}
}

func TestNSIDIsToldToWhoAsks(t *testing.T) {
	view := rack(t).Now()
	for _, question := range []string{"n1.lab.example. A", "rich.test. MX"} { // one quickly, one slowly
		q := query(t, question)
		q.SetEdns0(1232, false)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}}
		request := packed(t, q)
		wire, ok := quick(nil, request, view, labSelf, false, byDatagram)
		if !ok {
			wire = slow(t, request, view, false, byDatagram)
		}
		var m dns.Msg
		if err := m.Unpack(wire); err != nil {
			t.Fatal(err)
		}
		options := m.IsEdns0().Option
		if len(options) != 1 || options[0].(*dns.EDNS0_NSID).Nsid != "6d6574616c642d31" {
			t.Errorf("%s: got %v; want metald-1 in hex", question, options)
		}
	}
}

// FuzzQuick looks for requests that are answered otherwise quickly than slowly.
func FuzzQuick(f *testing.F) {
	for _, seed := range []string{
		"n1.lab.example. A", "N1.LAB.example. AAAA", "nosuch.lab.example. A", "11.0.31.172.in-addr.arpa. PTR", "lab.example. SOA",
		"www.rich.test. A", "any.wild.rich.test. A", "x.child.rich.test. A", "long.rich.test. TXT", "lost.rich.test. A", ". A",
		"65.64/26.2.0.192.in-addr.arpa. PTR", "child.rich.test. DS", "n1.deep.lab.example. A", "b.c.lab.example. A", "version.bind. CH TXT",
	} {
		q := query(f, seed)
		f.Add(packed(f, q), false)
		q.SetEdns0(512, true)
		q.IsEdns0().Option = []dns.EDNS0{&dns.EDNS0_NSID{Code: dns.EDNS0NSID}, &dns.EDNS0_COOKIE{Code: dns.EDNS0COOKIE, Cookie: "0123456789abcdef"}}
		f.Add(packed(f, q), true)
		f.Add(binary.BigEndian.AppendUint16(packed(f, q), 7), true) // with more behind it
	}
	view := rack(f).Now()
	f.Fuzz(func(t *testing.T, request []byte, recursive bool) {
		agree(t, request, view, recursive, byDatagram)
		agree(t, request, view, recursive, byStream)
	})
}

func BenchmarkQuick(b *testing.B) {
	view := rack(b).Now()
	for _, question := range []string{"n1.lab.example. A", "nosuch.lab.example. A", "11.0.31.172.in-addr.arpa. PTR"} {
		b.Run(question, func(b *testing.B) {
			request, out := packed(b, query(b, question)), make([]byte, 0, ednsSize)
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := quick(out, request, view, labSelf, false, byDatagram); !ok {
					b.Fatal("it was not answered quickly")
				}
			}
		})
	}
}
