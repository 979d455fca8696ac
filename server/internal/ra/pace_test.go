package ra

import (
	"net/netip"
	"testing"
	"time"
)

var (
	epoch = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	host  = netip.MustParseAddr("fe80::5054:ff:fe00:1")
	none  = netip.IPv6Unspecified()
)

func after(d time.Duration) time.Time { return epoch.Add(d) }

func TestTheFirstMulticastsComeQuickerThanTheRest(t *testing.T) {
	p := newPace(epoch, DefaultInterval)
	for i, want := range []string{"0s", "16s", "32s", "3m52s", "7m12s"} {
		if due := p.next.Sub(epoch).String(); due != want {
			t.Fatalf("multicast %d: due after %s; want %s", i, due, want)
		}
		p.multicast(p.next, 1)
	}
}

func TestJitterTakesAtMostAQuarterOfTheInterval(t *testing.T) {
	for _, c := range []struct {
		jitter float64
		want   time.Duration
	}{{0, 150 * time.Second}, {0.5, 175 * time.Second}, {1, 200 * time.Second}} {
		p := newPace(epoch, DefaultInterval)
		p.sent = initialCount
		p.multicast(epoch, c.jitter)
		if got := p.next.Sub(epoch); got != c.want {
			t.Errorf("jitter %g: got %s; want %s", c.jitter, got, c.want)
		}
	}
}

func TestAnIntervalBelowTheInitialOneHolds(t *testing.T) {
	p := newPace(epoch, 4*time.Second)
	p.multicast(epoch, 1)
	if got := p.next.Sub(epoch); got != 4*time.Second {
		t.Errorf("got %s; want 4s", got)
	}
}

func TestAHostWithAnAddressIsAnsweredAtOnceAndAlone(t *testing.T) {
	p := newPace(epoch, DefaultInterval)
	p.multicast(epoch, 1)
	due := p.next
	if !p.solicited(host, after(time.Millisecond)) {
		t.Error("got no unicast answer 1 ms after a multicast; want one")
	}
	if !p.next.Equal(due) {
		t.Errorf("the next multicast moved to %s; want %s", p.next.Sub(epoch), due.Sub(epoch))
	}
}

func TestHostsWithoutAnAddressShareOneMulticastAfterTheGap(t *testing.T) {
	cases := []struct {
		name  string
		asks  []time.Duration // after the last multicast
		want  time.Duration
		froms netip.Addr
	}{
		{"one that asks within the gap waits for its end", []time.Duration{time.Second}, minMulticastGap, none},
		{"many that ask within the gap wait for the same", []time.Duration{0, time.Second, 2 * time.Second}, minMulticastGap, none},
		{"one that asks after the gap has it at once", []time.Duration{5 * time.Second}, 5 * time.Second, none},
		{"one that asks just before the regular one does not delay it", []time.Duration{16*time.Second - 1}, 16*time.Second - 1, none},
		{"a global source is no unicast target", []time.Duration{5 * time.Second}, 5 * time.Second, netip.MustParseAddr("2001:db8::1")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPace(epoch, DefaultInterval)
			p.multicast(epoch, 1)
			for _, ask := range c.asks {
				if p.solicited(c.froms, after(ask)) {
					t.Error("got a unicast answer; want the multicast")
				}
			}
			if got := p.next.Sub(epoch); got != c.want {
				t.Errorf("multicast due after %s; want %s", got, c.want)
			}
		})
	}
}

func TestBeforeTheFirstMulticastNoGapHolds(t *testing.T) {
	p := newPace(epoch, DefaultInterval)
	p.solicited(none, epoch)
	if !p.next.Equal(epoch) {
		t.Errorf("due after %s; want at once", p.next.Sub(epoch))
	}
}

func TestAFloodIsAnsweredByMulticastUntilTokensComeBack(t *testing.T) {
	p := newPace(epoch, DefaultInterval)
	p.multicast(epoch, 1)
	answered := 0
	for range 10 * unicastBurst {
		if p.solicited(host, epoch) {
			answered++
		}
	}
	if answered != unicastBurst {
		t.Errorf("got %d unicast answers at once; want %d", answered, unicastBurst)
	}
	if got := p.next.Sub(epoch); got != minMulticastGap {
		t.Errorf("multicast for the rest due after %s; want %s", got, minMulticastGap)
	}
	if p.solicited(host, after(unicastGap-1)) {
		t.Error("got a unicast answer before a token came back")
	}
	if !p.solicited(host, after(unicastGap)) {
		t.Error("got no unicast answer after a token came back")
	}
	if !p.solicited(host, after(time.Hour)) || p.tokens != unicastBurst-1 {
		t.Errorf("got %d tokens after an hour and an answer; want %d", p.tokens, unicastBurst-1)
	}
}

func TestAChangeIsToldAtOnceAndThreeTimes(t *testing.T) {
	for _, c := range []struct {
		name  string
		after time.Duration // the last multicast
		want  time.Duration // of the three that follow
	}{{"soon after a multicast it waits for the gap", time.Second, minMulticastGap}, {"later it does not", time.Minute, time.Minute}} {
		p := newPace(epoch, DefaultInterval)
		p.sent = initialCount
		p.multicast(epoch, 1)
		p.changed(after(c.after))
		for i, want := range []time.Duration{c.want, c.want + 16*time.Second, c.want + 32*time.Second, c.want + 232*time.Second} {
			if got := p.next.Sub(epoch); got != want {
				t.Errorf("%s: multicast %d due after %s; want %s", c.name, i, got, want)
			}
			p.multicast(p.next, 1)
		}
	}
}
