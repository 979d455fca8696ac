package dns

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// packed is a request as it comes from the wire.
func packed(t testing.TB, q *dns.Msg) []byte {
	t.Helper()
	wire, err := q.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return wire
}

func TestMessagesThatCannotBeRead(t *testing.T) {
	head := func(flags uint16) []byte {
		b := binary.BigEndian.AppendUint16(nil, 0x1234)
		b = binary.BigEndian.AppendUint16(b, flags)
		return append(b, 0, 1, 0, 0, 0, 0, 0, 0) // and no question follows
	}
	cases := []struct {
		name string
		wire []byte
		want string
	}{
		{"nothing", nil, "no answer\n"},
		{"less than a header", head(0)[:11], "no answer\n"},
		{"an answer that cannot be read", head(0x8000), "no answer\n"},
		{"a query without its question", head(0), "FORMERR\n"},
		{"one that desires recursion", head(0x0100), "FORMERR rd\n"},
		{"an operation without a question, as DSO has", head(6 << 11), "NOTIMP\n"},
		{"a name that points at itself", append(head(0), 0xc0, 12, 0, 1, 0, 1), "FORMERR\n"},
		{"a label of 64 bytes", append(append(head(0), 64), strings.Repeat("x", 69)...), "FORMERR\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q, answer, err := parse(c.wire)
			if err == nil { // the library reads a message that ends behind its header
				answer = Answer(q, rack(t).Now(), labSelf)
			}
			if got := text(answer); got != c.want {
				t.Errorf("got %q; want %q", got, c.want)
			}
			if answer != nil && answer.Id != 0x1234 {
				t.Errorf("got id %x; want 1234", answer.Id)
			}
		})
	}
}

// crowded is zones in which one name has so many IPv6 addresses.
func crowded(t testing.TB, addresses int) *zone.Zones {
	var hosts strings.Builder
	for i := range addresses {
		fmt.Fprintf(&hosts, "fd00:31::1:%x crowd.lab.example\n", i+1)
	}
	return zonesOf(t, hosts.String())
}

func TestAnswersThatDoNotFitADatagramAreTruncated(t *testing.T) {
	cases := []struct {
		name      string
		addresses int
		edns      uint16 // 0 for none
		limit     int
		truncated bool
	}{
		{"few addresses, as plain DNS", 4, 0, 512, false},
		{"twenty do not fit plain DNS", 20, 0, 512, true},
		{"they fit EDNS", 20, 1232, 1232, false},
		{"a smaller EDNS size than plain DNS has is that", 20, 100, 512, true},
		{"a larger one than ours is ours", 100, 4096, 1232, true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			q := query(t, "crowd.lab.example. AAAA")
			if c.edns != 0 {
				q.SetEdns0(c.edns, false)
			}
			if got := byDatagram.limit(q); got != c.limit {
				t.Errorf("got limit %d; want %d", got, c.limit)
			}
			m := Answer(q, crowded(t, c.addresses).Now(), labSelf)
			wire, err := pack(m, byDatagram.limit(q), make([]byte, 4096))
			if err != nil {
				t.Fatal(err)
			}
			var back dns.Msg
			if err := back.Unpack(wire); err != nil {
				t.Fatal(err)
			}
			if len(wire) > c.limit || back.Truncated != c.truncated {
				t.Errorf("got %d bytes, truncated %t; want at most %d, %t", len(wire), back.Truncated, c.limit, c.truncated)
			}
			if c.edns != 0 && back.IsEdns0() == nil {
				t.Error("the OPT record was left out")
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"n1.lab.example. A", "N1.LAB.example. ANY", "11.0.31.172.in-addr.arpa. PTR", "version.bind. CH TXT", "lab.example. AXFR",
		"1.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.3.0.0.0.0.d.f.ip6.arpa. PTR", ". NS", "b.c.lab.example. MX",
	} {
		q := query(f, seed)
		f.Add(packed(f, q))
		q.SetEdns0(512, true)
		f.Add(packed(f, q))
	}
	view := rack(f).Now()
	f.Fuzz(func(t *testing.T, wire []byte) {
		q, m, err := parse(wire)
		if err == nil {
			m = Answer(q, view, labSelf)
		}
		if m == nil {
			return
		}
		limit := byDatagram.limit(q)
		out, err := pack(m, limit, make([]byte, 4096))
		if err != nil {
			t.Fatalf("the answer cannot be written: %v\n%s", err, m)
		}
		var back dns.Msg
		if err := back.Unpack(out); err != nil {
			t.Fatalf("the answer cannot be read: %v", err)
		}
		if back.Id != binary.BigEndian.Uint16(wire) || !back.Response {
			t.Errorf("got id %x, response %t for % x", back.Id, back.Response, wire[:2])
		}
		if len(out) > limit && len(back.Question) <= 1 { // questions are not left out
			t.Errorf("got %d bytes; want at most %d", len(out), limit)
		}
		if again := Answer(&back, view, labSelf); again != nil {
			t.Error("the answer is answered")
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	view := rack(b).Now()
	for _, question := range []string{"n1.lab.example. A", "nosuch.lab.example. A", "11.0.31.172.in-addr.arpa. PTR"} {
		b.Run(strings.ReplaceAll(question, " ", "/"), func(b *testing.B) {
			wire := packed(b, query(b, question))
			buf := make([]byte, 4096)
			b.ReportAllocs()
			for b.Loop() {
				q, _, err := parse(wire)
				if err != nil {
					b.Fatal(err)
				}
				if _, err := pack(Answer(q, view, labSelf), 512, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
