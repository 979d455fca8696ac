package ntp

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// server is a reachable candidate whose clock is ahead of ours by the offset, give or take the distance.
func server(name string, offset, distance time.Duration) candidate {
	return candidate{
		name: name, id: [4]byte{10, 0, 0, name[0]}, reachable: true,
		estimate: estimate{sample: sample{
			at: start, offset: offset, delay: minDelay, dispersion: distance - minDelay/2, stratum: 2,
		}},
	}
}

func (c candidate) with(edit func(*candidate)) candidate {
	edit(&c)
	return c
}

const ms = time.Millisecond

func TestWhoseTimeIsBelieved(t *testing.T) {
	stratum := func(n uint8) func(*candidate) { return func(c *candidate) { c.stratum = n } }
	gone := func(c *candidate) { c.reachable = false }
	cases := []struct {
		name       string
		candidates []candidate
		want       string // the best one, and how many agree with it
	}{
		{"nobody", nil, "unreachable"},
		{"one", []candidate{server("a", 0, 10*ms)}, "a of 1"},
		{"one that is far off is believed as well", []candidate{server("a", time.Hour, 10*ms)}, "a of 1"},
		{"one that knows too little", []candidate{server("a", 0, 1501*ms)}, "unreachable"},
		{"two that agree", []candidate{server("a", 0, 10*ms), server("b", 5*ms, 8*ms)}, "b of 2"},
		{"two that do not", []candidate{server("a", 0, 10*ms), server("b", 30*ms, 10*ms)}, "disagreeing"},
		{"one of three is false", []candidate{server("a", time.Second, 10*ms), server("b", 0, 10*ms), server("c", 1*ms, 9*ms)}, "c of 2"},
		{"one of three is false and says it is best", []candidate{server("a", time.Second, 3*ms).with(stratum(1)), server("b", 0, 10*ms), server("c", 1*ms, 9*ms)}, "c of 2"},
		{"all three differ", []candidate{server("a", 0, 10*ms), server("b", time.Second, 10*ms), server("c", 2*time.Second, 10*ms)}, "disagreeing"},
		{"two against two", []candidate{server("a", 0, 10*ms), server("b", 0, 10*ms), server("c", time.Second, 10*ms), server("d", time.Second, 10*ms)}, "disagreeing"},
		{"two of five are false together", []candidate{server("a", time.Minute, 10*ms), server("b", time.Minute, 10*ms), server("c", 0, 10*ms), server("d", 0, 9*ms), server("e", 0, 11*ms)}, "d of 3"},
		{"a vague one overlaps with all, and is not followed", []candidate{server("a", 300*ms, 1000*ms), server("b", 0, 10*ms), server("c", 1*ms, 10*ms)}, "b of 2"},
		{"intervals that only touch", []candidate{server("a", 0, 10*ms), server("b", 10*ms, 10*ms)}, "a of 2"},
		{"the lower stratum first", []candidate{server("a", 0, 5*ms).with(stratum(3)), server("b", 0, 100*ms)}, "b of 2"},
		{"below stratum 15 is no other", []candidate{server("a", 0, 10*ms).with(stratum(15))}, "unreachable"},
		{"stratum 14 is the last to follow", []candidate{server("a", 0, 10*ms).with(stratum(14))}, "a of 1"},
		{"who does not answer has no vote", []candidate{server("a", time.Second, 10*ms).with(gone), server("b", time.Second, 10*ms).with(gone), server("c", 0, 10*ms)}, "c of 1"},
		{"when nobody answers, what they said counts", []candidate{server("a", 0, 10*ms).with(gone)}, "a of 1"},
		{"but not for ever", []candidate{server("a", 0, 2*time.Second).with(gone)}, "unreachable"},
		{"a server that knows too little does not shut up one that went away", []candidate{server("a", 0, 10*ms).with(gone), server("b", 0, 2*time.Second)}, "a of 1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := slices.Clone(c.candidates)
			got := choose(c.candidates, start, steeredDrift)
			text := []string{"asking", "unreachable", "disagreeing", fmt.Sprintf("%s of %d", got.name, got.agree)}[got.verdict]
			if text != c.want {
				t.Errorf("got %s; want %s", text, c.want)
			}
			if diff := cmp.Diff(before, c.candidates, cmp.AllowUnexported(candidate{}, estimate{}, sample{}, moment{})); diff != "" {
				t.Errorf("the candidates were changed:\n%s", diff)
			}
		})
	}
}

func TestAMinorityOfFalseClocksDoesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		var candidates []candidate
		truth := 1 + random.IntN(7)
		for range truth {
			distance := 3*ms + time.Duration(random.Int64N(int64(50*ms)))
			// Who tells the truth may be wrong by the distance it admits, but not more.
			candidates = append(candidates, server("true", time.Duration(random.Int64N(int64(distance)))-distance/2, distance))
		}
		for range random.IntN(truth) {
			candidates = append(candidates, server("false", time.Second+time.Duration(random.Int64N(int64(time.Hour))), 3*ms+time.Duration(random.Int64N(int64(100*ms)))))
		}
		random.Shuffle(len(candidates), func(i, j int) { candidates[i], candidates[j] = candidates[j], candidates[i] })
		if got := choose(candidates, start, steeredDrift); got.name == "false" {
			t.Fatalf("got %+v of %+v", got, candidates)
		}
	}
}

func TestALeapSecondIsAnnouncedByMostOrNotAtAll(t *testing.T) {
	cases := []struct {
		leaps []uint8
		want  uint8
	}{
		{[]uint8{LeapNone}, LeapNone},
		{[]uint8{LeapInsert}, LeapInsert},
		{[]uint8{LeapInsert, LeapNone}, LeapNone},
		{[]uint8{LeapInsert, LeapNone, LeapInsert}, LeapInsert},
		{[]uint8{LeapDelete, LeapDelete, LeapInsert}, LeapDelete},
	}
	for _, c := range cases {
		var candidates []candidate
		for i, leap := range c.leaps {
			candidates = append(candidates, server(strings.Repeat("x", i+1), 0, 10*ms).with(func(c *candidate) { c.leap = leap }))
		}
		if got := choose(candidates, start, steeredDrift).clock(start, 0).Leap; got != c.want {
			t.Errorf("%v: got %d; want %d", c.leaps, got, c.want)
		}
	}
}

func TestHowGoodOurClockIsBehindAServer(t *testing.T) {
	best := server("a", 20*ms, 10*ms).with(func(c *candidate) {
		c.rootDelay, c.rootDispersion, c.dispersion, c.jitter = 30*ms, 4*ms, 2*ms, 1*ms
	})
	got := choose([]candidate{best}, start, steeredDrift).clock(after(1000*time.Second), 0)
	want := Clock{
		Synchronised: true, Stratum: 3, RootDelay: 30*ms + minDelay,
		RootDispersion: 4*ms + 2*ms + 1*ms + 20*ms + 15*ms, // with what we are off, and 15 ppm of 1000 s
		RefID:          [4]byte{10, 0, 0, 'a'}, RefTime: start.wall,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhenOurClockIsSaidToBeSynchronised(t *testing.T) {
	one := func(offset time.Duration, drift int64) choice {
		return choose([]candidate{server("a", offset, 10*ms)}, start, drift)
	}
	differ := choose([]candidate{server("a", 0, 10*ms), server("b", time.Second, 10*ms)}, start, steeredDrift)
	cases := []struct {
		name         string
		choice       choice
		now          moment
		localStratum int
		want         uint8 // stratum
	}{
		{"before the first answers", choice{}, start, 0, 0},
		{"before the first answers on an island", choice{}, start, 10, 0},
		{"it is right", one(0, steeredDrift), start, 0, 3},
		{"it is off by as much as may be", one(128*ms, steeredDrift), start, 0, 3},
		{"it is ahead by as much as may be", one(-128*ms, steeredDrift), start, 0, 3},
		{"it is off by more", one(129*ms, steeredDrift), start, 0, 0},
		{"it is off by more, on an island", one(129*ms, steeredDrift), start, 10, 0},
		{"it was set back by an hour since", one(0, steeredDrift), after(time.Second).set(-time.Hour), 0, 0},
		{"it was set right since", one(time.Hour, steeredDrift), after(time.Second).set(time.Hour), 0, 3},
		{"the servers disagree", differ, start, 0, 0},
		{"the servers disagree, on an island", differ, start, 10, 0},
		{"nobody answered for a day", one(0, steeredDrift), after(24 * time.Hour), 0, 3},
		{"nobody answered for 28 hours", one(0, steeredDrift), after(28 * time.Hour), 0, 0},
		{"nobody answered for four hours, and nobody steers it", one(0, freeDrift), after(4 * time.Hour), 0, 3},
		{"nobody answered for five hours, and nobody steers it", one(0, freeDrift), after(5 * time.Hour), 0, 0},
		{"nobody ever answered", choose(nil, start, freeDrift), start, 0, 0},
		{"nobody ever answered, on an island", choose(nil, start, freeDrift), start, 10, 10},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := c.choice.clock(c.now, c.localStratum)
			if got.Stratum != c.want || got.Synchronised != (c.want != 0) {
				t.Errorf("got %+v; want stratum %d", got, c.want)
			}
		})
	}
}

func FuzzChoose(f *testing.F) {
	f.Add(int64(0), int64(time.Millisecond), int64(time.Second), int64(0), int64(5), int64(1))
	f.Add(int64(-1<<62), int64(1<<40), int64(1<<62), int64(0), int64(0), int64(0))
	f.Fuzz(func(t *testing.T, o1, d1, o2, d2, o3, d3 int64) {
		var candidates []candidate
		for _, c := range [][2]int64{{o1, d1}, {o2, d2}, {o3, d3}} {
			// What a sample can have: 136 years, and less than 16 s and the parts of the filter.
			offset, distance := time.Duration(c[0]/2), max(time.Duration(c[1]%int64(20*time.Second)), minDelay)
			candidates = append(candidates, server("x", offset, distance))
		}
		c := choose(candidates, start, steeredDrift)
		if c.verdict != chosen {
			return
		}
		if 2*c.agree <= 1 || c.distance() > maxDistance {
			t.Fatalf("got %+v", c)
		}
		if clock := c.clock(start, 0); clock.Synchronised && (c.offset.Abs() > maxOffset || clock.RootDispersion < c.offset.Abs()) {
			t.Fatalf("got %+v for offset %s", clock, c.offset)
		}
	})
}
