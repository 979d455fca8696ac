package dhcp

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestAClientMayAskOftenButNotAlways(t *testing.T) {
	const rate, burst = 5, 20
	steps := []struct {
		name  string
		after time.Duration
		sent  int
		want  int
	}{
		{"the burst", 0, 30, burst},
		{"nothing is left", 0, 5, 0},
		{"a second later", time.Second, 10, rate},
		{"a fifth of a second later", 200 * time.Millisecond, 10, 1},
		{"a clock that was set back gives nothing", -time.Hour, 10, 0},
		{"and takes nothing: it goes on from there", time.Second, 10, rate},
		{"an hour later it is as at first", time.Hour, 30, burst},
	}
	l, at := newLimiter(1024, rate, burst), now
	for _, s := range steps {
		at = at.Add(s.after)
		got := 0
		for range s.sent {
			if l.allow([]byte("client"), at) {
				got++
			}
		}
		if got != s.want {
			t.Errorf("%s: got %d of %d; want %d", s.name, got, s.sent, s.want)
		}
	}
	if !l.allow([]byte("another"), at) {
		t.Error("got another client refused; want each counted by itself")
	}
}

func TestAFloodOfMadeUpClientsTakesNoMemory(t *testing.T) {
	l := newLimiter(64, 5, 20)
	for i := range uint32(100_000) {
		if !l.allow(binary.BigEndian.AppendUint32(nil, i), now) {
			t.Fatalf("client %d: got its first packet refused; want it allowed", i)
		}
	}
	if len(l.slots) != 64 {
		t.Errorf("got %d slots; want 64 still", len(l.slots))
	}
}
