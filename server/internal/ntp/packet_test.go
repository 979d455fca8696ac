package ntp

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestTimestamps(t *testing.T) {
	cases := []struct {
		name string
		time time.Time
		want uint64
	}{
		{"unknown", time.Time{}, 0},
		{"the Unix epoch", time.Unix(0, 0), 0x83aa7e80_00000000},
		{"the last second of era 0", time.Date(2036, 2, 7, 6, 28, 15, 0, time.UTC), 0xffffffff_00000000},
		{"the second of era 1 rolls over", time.Date(2036, 2, 7, 6, 28, 17, 0, time.UTC), 0x00000001_00000000},
		{"the largest fraction stays below a second", time.Unix(0, 999_999_999), 0x83aa7e80_fffffffb},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := timestamp(c.time); got != c.want {
				t.Errorf("got %016x; want %016x", got, c.want)
			}
		})
	}
}

func TestShortDurations(t *testing.T) {
	cases := []struct {
		duration time.Duration
		want     uint32
	}{
		{-time.Second, 0}, {0, 0}, {1, 1}, {time.Second, 1 << 16}, {time.Second + 1, 1<<16 + 1}, {250 * time.Millisecond, 1 << 14},
		{65535 * time.Second, 0xffff0000}, {65536 * time.Second, 0xffffffff}, {1<<63 - 1, 0xffffffff},
	}
	for _, c := range cases {
		if got := short(c.duration); got != c.want {
			t.Errorf("%s: got %08x; want %08x", c.duration, got, c.want)
		}
	}
}

func TestIntervalsAreReadAsTheyAreWritten(t *testing.T) {
	cases := []struct {
		wire uint32
		want time.Duration
	}{
		{0, 0}, {1, 15258 * time.Nanosecond}, {1 << 14, 250 * time.Millisecond}, {1 << 16, time.Second},
		{0xffff0000, 65535 * time.Second}, {0xffffffff, 65536*time.Second - 15259*time.Nanosecond},
	}
	for _, c := range cases {
		if got := interval(c.wire); got != c.want {
			t.Errorf("%08x: got %s; want %s", c.wire, got, c.want)
		}
		if got := short(interval(c.wire)); got != c.wire {
			t.Errorf("%08x: got %08x when it is written again", c.wire, got)
		}
	}
}

func TestATimestampIsTheTimeNearestToOurs(t *testing.T) {
	rollover := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	cases := []struct {
		name       string
		near, want time.Time
	}{
		{"now", now, now},
		{"our clock was never set", time.Unix(0, 0), now},
		{"our clock is years ahead", now.AddDate(60, 0, 0), now},
		{"we are in the era after the server's", rollover.Add(time.Second), rollover.Add(-time.Second)},
		{"the server is in the era after ours", rollover.Add(-time.Second), rollover.Add(time.Second)},
		{"both are in the next era", rollover.Add(time.Hour), rollover.Add(time.Hour + time.Second)},
		{"a fraction", now, now.Add(123456789 * time.Nanosecond)},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := timeOf(timestamp(c.want), c.near); got.Sub(c.want).Abs() > time.Nanosecond {
				t.Errorf("got %s; want %s", got.UTC(), c.want.UTC())
			}
		})
	}
}

func TestParsingAPacket(t *testing.T) {
	wire := unhex(t, "5c 02 06 e9 00018000 00004000 0a000001 eead57c000000000 0123456789abcdef eead57c080000000 eead57c0c0000000")
	want := packet{
		leap: LeapInsert, version: 3, mode: modeServer, stratum: 2, precision: -23,
		rootDelay: 1500 * time.Millisecond, rootDispersion: 250 * time.Millisecond, refID: [4]byte{10, 0, 0, 1},
		refTime: 0xeead57c000000000, origin: 0x0123456789abcdef, receive: 0xeead57c080000000, transmit: 0xeead57c0c0000000,
	}
	for _, extra := range []int{0, 4, 20, 68} { // an authenticator, an extension field
		got, ok := parse(append(bytes.Clone(wire), make([]byte, extra)...))
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(packet{})); !ok || diff != "" {
			t.Errorf("%d bytes more: got %t (-want +got):\n%s", extra, ok, diff)
		}
	}
	for _, size := range []int{0, 1, packetSize - 1} {
		if got, ok := parse(wire[:size]); ok {
			t.Errorf("%d bytes: got %+v; want none", size, got)
		}
	}
}

func TestWhatWeAnswerIsParsedAsWeMeantIt(t *testing.T) {
	b, ok := respond(unhex(t, ask("23")), good)
	if !ok {
		t.Fatal("got no answer")
	}
	got, ok := parse(b)
	want := packet{
		version: 4, mode: modeServer, stratum: good.Stratum, precision: precision,
		rootDelay: good.RootDelay, rootDispersion: good.RootDispersion, refID: good.RefID,
		refTime: timestamp(good.RefTime), origin: binary.BigEndian.Uint64(b[atOrigin:]),
		receive: timestamp(received), transmit: timestamp(now),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(packet{})); !ok || diff != "" {
		t.Errorf("got %t (-want +got):\n%s", ok, diff)
	}
}
