package ntp

import (
	"net/netip"
	"testing"
	"time"
)

var (
	firstAddr  = netip.MustParseAddrPort("192.0.2.1:123")
	secondAddr = netip.MustParseAddrPort("[2001:db8::1]:123")
)

// poll asks peer i once.
func (r *roster) poll(i int, s sample, what outcome) {
	r.peers[i].asked()
	r.peers[i].take(s, what)
}

func TestANameIsLookedUpAtFirstAndWhenNobodyAnswers(t *testing.T) {
	r := newRoster([]string{"one"})
	p := &r.peers[0]
	if !p.stale() {
		t.Error("at first: got no look-up")
	}
	if p.move(nil); p.addr.IsValid() || !p.stale() {
		t.Errorf("a name without addresses: got %s", p.addr)
	}
	p.move([]netip.AddrPort{firstAddr, secondAddr})
	if p.addr != firstAddr || p.stale() {
		t.Errorf("got %s, stale %t; want the first address", p.addr, p.stale())
	}
	for range burstSize {
		if p.stale() {
			t.Error("during the first questions: got stale")
		}
		r.poll(0, sample{}, foreign)
	}
	if !p.stale() {
		t.Error("nobody answered: got no look-up")
	}
	p.move([]netip.AddrPort{firstAddr, secondAddr})
	if p.addr != secondAddr || p.wait() != 64*time.Second {
		t.Errorf("got %s after %s; want the second after 64s: who is not there is not asked in a row", p.addr, p.wait())
	}
	p.move([]netip.AddrPort{firstAddr, secondAddr})
	if p.addr != firstAddr {
		t.Errorf("got %s; want the first again", p.addr)
	}
}

func TestWhatAnAddressSaidHoldsUntilAnotherAnswers(t *testing.T) {
	r := newRoster([]string{"one"})
	p := &r.peers[0]
	p.move([]netip.AddrPort{firstAddr})
	for range burstSize {
		r.poll(0, seen(start, 10*ms, ms), sampled)
	}
	for range stages {
		r.poll(0, sample{}, foreign)
	}
	p.move([]netip.AddrPort{secondAddr})
	if c := r.choose(start, steeredDrift); c.verdict != chosen || c.offset != 10*ms || c.id != [4]byte{192, 0, 2, 1} {
		t.Errorf("before: got %+v; want what the first said", c)
	}
	r.poll(0, seen(start, 20*ms, ms), sampled)
	if got := p.wait(); got != burstEvery {
		t.Errorf("got %s; want the new one asked in a row", got)
	}
	if c := r.choose(start, steeredDrift); c.verdict != asking {
		t.Errorf("one answer: got %+v; want to ask on", c)
	}
	for range burstSize {
		r.poll(0, seen(start, 20*ms, ms), sampled)
	}
	if c := r.choose(start, steeredDrift); c.offset != 20*ms || c.id != refID(secondAddr.Addr()) {
		t.Errorf("after: got %+v; want what the second says", c)
	}
}

func TestARosterIsAskedUntilAllHadTheirSay(t *testing.T) {
	r := newRoster([]string{"one", "two"})
	for i := range r.peers {
		r.peers[i].move([]netip.AddrPort{firstAddr})
	}
	for range burstSize {
		r.poll(0, sample{}, foreign)
	}
	if c := r.choose(start, steeredDrift); c.verdict != asking {
		t.Errorf("the second was not asked: got %d; want %d", c.verdict, asking)
	}
	for range burstSize - 1 {
		r.poll(1, sample{}, foreign)
	}
	r.poll(1, sample{}, denied)
	if c := r.choose(start, steeredDrift); c.verdict != unreachable {
		t.Errorf("nobody answered: got %d; want %d", c.verdict, unreachable)
	}
}

func TestAServerThatRefusesUsHasNoVote(t *testing.T) {
	r := newRoster([]string{"one", "two"})
	for i := range r.peers {
		r.peers[i].move([]netip.AddrPort{firstAddr})
		for range burstSize {
			r.poll(i, seen(start, time.Duration(i)*time.Second, ms), sampled)
		}
	}
	if c := r.choose(start, steeredDrift); c.verdict != disagreeing {
		t.Errorf("got %d; want %d", c.verdict, disagreeing)
	}
	r.poll(1, sample{}, denied)
	if c := r.choose(start, steeredDrift); c.name != "one" {
		t.Errorf("got %+v; want one", c)
	}
}

func TestAnOutageOfAllServers(t *testing.T) {
	r := newRoster([]string{"one", "two", "three"})
	for i := range r.peers {
		r.peers[i].move([]netip.AddrPort{firstAddr})
		for range burstSize {
			r.poll(i, seen(start, ms, ms), sampled)
		}
	}
	var last time.Duration
	for minute := range 48 * 60 {
		at := after(time.Duration(minute) * time.Minute)
		for i := range r.peers {
			r.poll(i, sample{}, foreign)
		}
		clock := r.choose(at, steeredDrift).clock(at, 0)
		if !clock.Synchronised {
			if hours := minute / 60; hours < 24 || hours > 28 {
				t.Errorf("got not synchronised after %d hours; want after about 27", hours)
			}
			return
		}
		if clock.RootDispersion < last {
			t.Fatalf("minute %d: got dispersion %s after %s; want it to grow", minute, clock.RootDispersion, last)
		}
		last = clock.RootDispersion
	}
	t.Error("got synchronised after two days")
}
