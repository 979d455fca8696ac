package ntp

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// start is a moment by whose clock now is.
var start = moment{wall: now, uptime: time.Hour}

// after is a moment later than start, by a clock that was not set.
func after(d time.Duration) moment { return moment{wall: start.wall.Add(d), uptime: start.uptime + d} }

// set is m by a clock that was set forward by d before.
func (m moment) set(d time.Duration) moment { return moment{wall: m.wall.Add(d), uptime: m.uptime} }

var asked = query{nonce: 0xfeedfacecafebeef, sent: start, self: [4]byte{10, 9, 9, 9}}

// reply is what a good server of stratum 2 answers to asked, whose clock is ahead by the offset, and which got the
// request after a wait and answered a millisecond later, with its bytes changed by edit.
func reply(offset, wait time.Duration, edit func(b []byte)) []byte {
	b := make([]byte, packetSize)
	b[0], b[1], b[2], b[3] = 4<<3|modeServer, 2, 6, 0xec
	binary.BigEndian.PutUint32(b[atRootDelay:], short(10*time.Millisecond))
	binary.BigEndian.PutUint32(b[atRootDispersion:], short(2*time.Millisecond))
	copy(b[atRefID:], []byte{192, 0, 2, 1})
	binary.BigEndian.PutUint64(b[atRefTime:], timestamp(now.Add(offset-time.Minute)))
	binary.BigEndian.PutUint64(b[atOrigin:], asked.nonce)
	binary.BigEndian.PutUint64(b[atReceive:], timestamp(now.Add(offset+wait)))
	binary.BigEndian.PutUint64(b[atTransmit:], timestamp(now.Add(offset+wait+time.Millisecond)))
	if edit != nil {
		edit(b)
	}
	return b
}

func TestWhatAnAnswerSaysOfOurClock(t *testing.T) {
	cases := []struct {
		name          string
		answer        []byte
		arrived       moment
		offset, delay time.Duration
	}{
		{"it is right", reply(0, 5*time.Millisecond, nil), after(11 * time.Millisecond), 0, 10 * time.Millisecond},
		{"it is behind", reply(3*time.Second, 5*time.Millisecond, nil), after(11 * time.Millisecond), 3 * time.Second, 10 * time.Millisecond},
		{"it is ahead by an hour", reply(-time.Hour, 5*time.Millisecond, nil), after(11 * time.Millisecond), -time.Hour, 10 * time.Millisecond},
		{"it is behind by 50 years", reply(50*365*24*time.Hour, 0, nil), after(time.Millisecond), 50 * 365 * 24 * time.Hour, minDispersion},
		{"a way back that is slow looks like an offset of half of it", reply(0, 0, nil), after(21 * time.Millisecond), -10 * time.Millisecond, 20 * time.Millisecond},
		{"a server that is nearer than clocks can tell", reply(0, 0, nil), after(900 * time.Microsecond), 50 * time.Microsecond, minDispersion},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, what := asked.read(c.answer, c.arrived)
			if what != sampled {
				t.Fatalf("got outcome %d; want a sample", what)
			}
			if (s.offset-c.offset).Abs() > time.Microsecond || (s.delay-c.delay).Abs() > time.Microsecond {
				t.Errorf("got offset %s, delay %s; want %s, %s", s.offset, s.delay, c.offset, c.delay)
			}
		})
	}
}

func TestASampleHasWhatTheServerSaysOfItself(t *testing.T) {
	got, what := asked.read(reply(0, 0, func(b []byte) { b[0] |= LeapDelete << 6 }), after(time.Millisecond))
	want := sample{
		at: after(time.Millisecond), delay: minDispersion,
		dispersion: 2*minDispersion + 15*time.Nanosecond, // two clocks of a microsecond each, and 15 ppm of a millisecond
		leap:       LeapDelete, stratum: 2, rootDelay: 10 * time.Millisecond, rootDispersion: 2 * time.Millisecond,
		refID: [4]byte{192, 0, 2, 1},
	}
	got.offset = got.offset.Round(time.Microsecond)
	got.rootDelay = got.rootDelay.Truncate(100 * time.Microsecond)
	got.rootDispersion = got.rootDispersion.Truncate(100 * time.Microsecond)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(sample{}, moment{})); what != sampled || diff != "" {
		t.Errorf("got outcome %d (-want +got):\n%s", what, diff)
	}
}

func TestAnswersFromWhichNoTimeIsTaken(t *testing.T) {
	refID := func(text string) func([]byte) {
		return func(b []byte) { b[0] |= LeapUnknown << 6; b[1] = 0; copy(b[atRefID:], text) }
	}
	cases := []struct {
		name string
		edit func(b []byte)
		want outcome
	}{
		{"to nobody's question, as a forger sends", func(b []byte) { b[atOrigin]++ }, foreign},
		{"to a question without a timestamp", func(b []byte) { clear(b[atOrigin : atOrigin+8]) }, foreign},
		{"our own request that came back", func(b []byte) { copy(b, asked.packet()) }, foreign},
		{"a broadcast", func(b []byte) { b[0] = 4<<3 | 5 }, foreign},
		{"of a version that is not known", func(b []byte) { b[0] = 5<<3 | modeServer }, foreign},
		{"a server that is not synchronised", func(b []byte) { b[0] |= LeapUnknown << 6 }, unfit},
		{"a server that does not know its stratum", func(b []byte) { b[1] = 0; clear(b[atRefID : atRefID+4]) }, unfit},
		{"a server that starts (INIT)", refID("INIT"), unfit},
		{"stratum 16", func(b []byte) { b[1] = 16 }, unfit},
		{"a kiss: too often", refID("RATE"), slower},
		{"a kiss: denied", refID("DENY"), denied},
		{"a kiss: restricted", refID("RSTR"), denied},
		{"a kiss with an origin that is not ours is a forger's", func(b []byte) { refID("DENY")(b); b[atOrigin]++ }, foreign},
		{"a code that is none in a stratum that is one", func(b []byte) { copy(b[atRefID:], "DENY") }, sampled},
		{"no time of receipt", func(b []byte) { clear(b[atReceive : atReceive+8]) }, unfit},
		{"no time of sending", func(b []byte) { clear(b[atTransmit : atTransmit+8]) }, unfit},
		{"sent before it was received", func(b []byte) { b[atTransmit+3] -= 1 }, unfit},
		{"held for longer than we waited", func(b []byte) { b[atTransmit+3] += 1 }, unfit},
		{"set after it was sent", func(b []byte) { b[atRefTime+2]++ }, unfit},
		{"a server that was never set", func(b []byte) { clear(b[atRefTime : atRefTime+8]) }, sampled},
		{"a server that is too far from the truth", func(b []byte) { b[atRootDispersion+1] = 16 }, unfit},
		{"a server that follows us", func(b []byte) { copy(b[atRefID:], asked.self[:]) }, unfit},
		{"a reference clock that is named as we are", func(b []byte) { b[1] = 1; copy(b[atRefID:], asked.self[:]) }, sampled},
		{"an answer in version 3", func(b []byte) { b[0] = 3<<3 | modeServer }, sampled},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s, got := asked.read(reply(0, time.Millisecond, c.edit), after(3*time.Millisecond))
			if got != c.want || got != sampled && s != (sample{}) {
				t.Errorf("got outcome %d, %+v; want %d", got, s, c.want)
			}
		})
	}
}

func TestNoSampleIsTakenWhileOurClockIsSet(t *testing.T) {
	answer := reply(0, time.Millisecond, nil)
	for _, step := range []time.Duration{time.Hour, -time.Hour, time.Second, setNoticed} {
		if _, got := asked.read(answer, after(3*time.Millisecond).set(step)); got != unfit {
			t.Errorf("set by %s: got outcome %d; want %d", step, got, unfit)
		}
	}
}

func TestOurRequestTellsNothingOfUs(t *testing.T) {
	want := make([]byte, packetSize)
	want[0] = 0x23
	copy(want[atTransmit:], []byte{0xfe, 0xed, 0xfa, 0xce, 0xca, 0xfe, 0xbe, 0xef})
	if got := asked.packet(); !bytes.Equal(got, want) {
		t.Errorf("got % x; want % x", got, want)
	}
	if _, ok := requestOf(asked.packet()); !ok {
		t.Error("our own server does not answer it")
	}
}

func TestDrift(t *testing.T) {
	cases := []struct {
		time  time.Duration
		drift int64
		want  time.Duration
	}{
		{time.Second, steeredDrift, 15 * time.Microsecond},
		{1024 * time.Second, steeredDrift, 15360 * time.Microsecond},
		{time.Second, freeDrift, 100 * time.Microsecond},
		{100 * 365 * 24 * time.Hour, steeredDrift, 100 * 365 * 24 * 1296 * time.Millisecond / 24},
		{-time.Second, steeredDrift, 0},
	}
	for _, c := range cases {
		if got := drifted(c.time, c.drift); got != c.want {
			t.Errorf("%s: got %s; want %s", c.time, got, c.want)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add(reply(0, time.Millisecond, nil), int64(2*time.Millisecond))
	f.Add(reply(-time.Hour, 0, nil), int64(time.Second))
	f.Add(reply(0, 0, func(b []byte) { b[1] = 0; copy(b[atRefID:], "RATE") }), int64(time.Millisecond))
	f.Add(reply(0, 0, func(b []byte) { b[3] = 127 }), int64(time.Millisecond))
	f.Add(reply(0, 0, func(b []byte) { b[3] = 128 }), int64(time.Millisecond))
	f.Add([]byte("short"), int64(0))
	f.Fuzz(func(t *testing.T, b []byte, wait int64) {
		arrived := after(time.Duration(uint64(wait) % uint64(answerWithin+1)))
		s, what := asked.read(b, arrived)
		if what != sampled {
			if s != (sample{}) {
				t.Fatalf("got outcome %d with %+v", what, s)
			}
			return
		}
		if s.stratum < 1 || s.stratum > maxStratum || s.leap == LeapUnknown || s.delay <= 0 || s.dispersion <= 0 ||
			s.delay > arrived.since(start)+minDispersion || s.rootDelay/2+s.rootDispersion >= maxDispersion {
			t.Fatalf("got %+v", s)
		}
		var samples filter
		samples.add(s)
		e, _ := samples.estimate(arrived, steeredDrift)
		if clock := choose([]candidate{{estimate: e, reachable: true}}, arrived, steeredDrift).clock(arrived, 0); clock.Synchronised {
			t.Fatalf("one answer alone is believed: %+v", clock)
		}
	})
}
