package ntp

import (
	"testing"
	"time"
)

// ask asks once and takes what came of it.
func (a *association) ask(s sample, what outcome) {
	a.asked()
	a.heard(s, what)
}

func TestAServerIsAskedInARowAndThenEverLessOften(t *testing.T) {
	a := newAssociation()
	var waits []time.Duration
	for range burstSize + 5*calm {
		waits = append(waits, a.wait())
		a.ask(seen(start, 0, time.Millisecond), sampled)
	}
	for i, got := range waits {
		want := burstEvery
		if i >= burstSize {
			want = 64 * time.Second << max((i-burstSize+1)/calm, 0)
		}
		if got != min(want, 1024*time.Second) {
			t.Errorf("wait %d: got %s; want %s", i, got, want)
		}
	}
	if got := a.wait(); got != 1024*time.Second {
		t.Errorf("got %s in the end; want 1024s", got)
	}
}

func TestAServerIsAskedMoreOftenWhenSomethingChanges(t *testing.T) {
	cases := []struct {
		name string
		s    sample
		what outcome
		want time.Duration
	}{
		{"nothing", seen(start, 0, ms), sampled, 1024 * time.Second},
		{"a little", seen(start, nearly, ms), sampled, 1024 * time.Second},
		{"as little as a long way explains", seen(start, 40*ms, 80*ms), sampled, 1024 * time.Second},
		{"our clock went away", seen(start, 3*ms, ms), sampled, 64 * time.Second},
		{"no answer", sample{}, foreign, 64 * time.Second},
		{"the server lost the time", sample{}, unfit, 64 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			a := newAssociation()
			for range 100 {
				a.ask(seen(start, 0, ms), sampled)
			}
			a.ask(c.s, c.what)
			if got := a.wait(); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
}

func TestAKissSlowsUsDownForGood(t *testing.T) {
	a := newAssociation()
	a.ask(sample{}, slower)
	if got := a.wait(); got != 128*time.Second {
		t.Errorf("the first ends the burst: got %s; want 128s", got)
	}
	a.ask(sample{}, foreign)
	if got := a.wait(); got != 128*time.Second {
		t.Errorf("no answer: got %s; want 128s still", got)
	}
	for range 10 {
		a.ask(sample{}, slower)
	}
	if got := a.wait(); got != 1024*time.Second {
		t.Errorf("many: got %s; want 1024s", got)
	}
	a.set()
	if a.ask(sample{}, foreign); a.least != maxPoll {
		t.Errorf("our clock was set: got least interval 2^%d; want 2^%d still", a.least, maxPoll)
	}
}

func TestAServerThatRefusesUsIsNotAskedAgain(t *testing.T) {
	a := newAssociation()
	if a.ask(sample{}, denied); !a.denied {
		t.Error("got a server that is asked on; want none")
	}
}

func TestReach(t *testing.T) {
	a := newAssociation()
	if a.reachable() {
		t.Error("got a reachable server that was never asked")
	}
	a.ask(seen(start, 0, ms), sampled)
	for i := range stages {
		if !a.reachable() {
			t.Errorf("after %d without answer: got unreachable", i)
		}
		a.ask(sample{}, unfit)
	}
	if a.reachable() {
		t.Error("after eight without an answer of use: got reachable")
	}
}

func TestWhenOurClockIsSetTheServersAreAskedInARowAgain(t *testing.T) {
	a := newAssociation()
	for range 100 {
		a.ask(seen(start, 0, ms), sampled)
	}
	a.set()
	if _, ok := a.filter.estimate(start, steeredDrift); ok || a.wait() != burstEvery || !a.reachable() {
		t.Errorf("got samples %t, wait %s, reachable %t; want false, %s, true", ok, a.wait(), a.reachable(), burstEvery)
	}
	for range burstSize {
		a.ask(seen(start, time.Hour, ms), sampled)
	}
	if got := a.wait(); got != 64*time.Second {
		t.Errorf("got %s afterwards; want 64s", got)
	}
}
