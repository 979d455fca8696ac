package ntpload

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"
)

// served is what a server makes of a request (RFC 5905, figure 24).
func served(request []byte, leap, stratum byte) []byte {
	b := make([]byte, size)
	b[0], b[1] = leap<<6|4<<3|4, stratum
	copy(b[24:32], request[40:48])
	binary.BigEndian.PutUint64(b[40:], 0xe4a7123400000001)
	return b
}

func TestAnswersAreJudged(t *testing.T) {
	request := make([]byte, size)
	putRequest(request, 77)
	if got := request[0]; got != 0x23 {
		t.Fatalf("got %#x as the first byte; want a client's of version 4", got)
	}
	elsewhere := served(request, 0, 2)
	elsewhere[24] ^= 1
	timeless := served(request, 0, 2)
	clear(timeless[40:])
	for _, c := range []struct {
		name   string
		packet []byte
		want   kind
	}{
		{"the time", served(request, 0, 10), answer},
		{"the time, with a leap second to come", served(request, 1, 1), answer},
		{"a kiss of death", served(request, 3, 0), refusal},
		{"a server without the time", served(request, 3, 16), refusal},
		{"no timestamp", timeless, refusal},
		{"our own request", request, strange},
		{"an answer to another's request", elsewhere, strange},
		{"a part of an answer", served(request, 0, 10)[:47], strange},
		{"nothing", nil, strange},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := parse(c.packet); got != c.want {
				t.Errorf("got %d; want %d", got, c.want)
			}
		})
	}
}

func TestSourcesAreTheHostsInTurn(t *testing.T) {
	p := netip.MustParsePrefix("192.0.2.0/29")
	seen := map[netip.Addr]int{}
	for i := range uint32(12) {
		a := source(p, i)
		if !p.Contains(a) || a == netip.MustParseAddr("192.0.2.0") || a == netip.MustParseAddr("192.0.2.7") {
			t.Errorf("got %s; want a host of %s", a, p)
		}
		seen[a]++
	}
	if len(seen) != 6 {
		t.Errorf("got %d sources; want all 6", len(seen))
	}
}

func TestTheRateIsOfAnswers(t *testing.T) {
	if got := (Result{Sent: 100, Answered: 80, Refused: 10, For: 2 * time.Second}).Rate(); got != 40 {
		t.Errorf("got %v; want 40", got)
	}
}

func FuzzParse(f *testing.F) {
	request := make([]byte, size)
	putRequest(request, 1)
	f.Add(request)
	f.Add(served(request, 0, 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k := parse(b); k != strange && len(b) < size {
			t.Errorf("got %d of %d bytes; want strange", k, len(b))
		}
	})
}
