package ra

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// sent is an advertisement that left, and when.
type sent struct {
	to    netip.Addr
	after time.Duration
	said  Advertisement
}

// script runs the loop in a bubble of its own time, does what play does, stops it, and returns what left.
func script(t *testing.T, config Config, play func(solicit chan<- netip.Addr, change chan<- struct{})) (list []sent) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		changed := make(chan struct{}, 1) // of the bubble, without which its time would stand still
		config.Interval, config.Changed = DefaultInterval, changed
		s := &Server{iface: &net.Interface{HardwareAddr: mac}, config: config, told: config.Settings(), log: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithCancel(t.Context())
		solicitors, ended, begin := make(chan netip.Addr), make(chan struct{}), time.Now()
		go func() {
			defer close(ended)
			s.loop(ctx, solicitors, func(to netip.Addr, a Advertisement) { list = append(list, sent{to, time.Since(begin), a}) })
		}()
		play(solicitors, changed)
		synctest.Wait()
		cancel()
		<-ended
	})
	return list
}

func TestWithoutSettingsNothingIsSaidWhenItEnds(t *testing.T) {
	list := script(t, telling(Settings{}), func(chan<- netip.Addr, chan<- struct{}) { time.Sleep(10 * time.Minute) })
	if len(list) < 5 || len(list) > 8 {
		t.Errorf("got %d advertisements in ten minutes; want three at the beginning, and one each 150 to 200 s", len(list))
	}
	for _, s := range list {
		if s.to != allNodes || s.said.RouterLifetime != 0 || len(s.said.Prefixes) > 0 || s.after == 10*time.Minute {
			t.Errorf("after %s: got %+v to %s; want one that says nothing, to all", s.after, s.said, s.to)
		}
	}
}

func TestARouterSaysGoodbyeAndPrefixesStay(t *testing.T) {
	p := Prefix{Prefix: prefix("fd00:31::/64"), OnLink: true, Valid: validFor, Preferred: preferredFor}
	list := script(t, telling(Settings{Router: true, Prefixes: []Prefix{p}}), func(chan<- netip.Addr, chan<- struct{}) { time.Sleep(time.Minute) })
	if first := list[0].said; first.RouterLifetime != 3*DefaultInterval {
		t.Errorf("got router lifetime %s; want %s", first.RouterLifetime, 3*DefaultInterval)
	}
	last := list[len(list)-1]
	if last.after != time.Minute || last.to != allNodes || last.said.RouterLifetime != 0 || last.said.Prefixes[0] != p {
		t.Errorf("got %+v as the last; want one without a router, with the prefix as it was", last)
	}
}

func TestAHostThatAsksIsToldAtOnce(t *testing.T) {
	list := script(t, telling(Settings{Managed: true}), func(solicit chan<- netip.Addr, _ chan<- struct{}) {
		time.Sleep(time.Minute)
		solicit <- host
		solicit <- none
	})
	if got := list[len(list)-2]; got.to != host || got.after != time.Minute || !got.said.Managed {
		t.Errorf("got %+v; want an answer to the host alone", got)
	}
	if got := list[len(list)-1]; got.to != allNodes || got.after != time.Minute {
		t.Errorf("got %+v; want an answer to all, for the host without an address", got)
	}
}

func TestAChangeIsToldAndWhatIsGoneIsTakenBack(t *testing.T) {
	old := Settings{Router: true, Prefixes: []Prefix{{Prefix: prefix("fd00:31::/64"), OnLink: true, Autonomous: true, Valid: validFor, Preferred: preferredFor}}, DNS: addrs("fd00::53")}
	now := old
	list := script(t, Config{Settings: func() Settings { return now }}, func(_ chan<- netip.Addr, changed chan<- struct{}) {
		time.Sleep(time.Minute)
		changed <- struct{}{} // nothing is new
		synctest.Wait()
		now = Settings{MTU: 1000}
		changed <- struct{}{} // no host would take that
		synctest.Wait()
		now = Settings{Managed: true}
		changed <- struct{}{}
		time.Sleep(5 * time.Minute)
	})
	var after []sent
	for _, s := range list {
		if s.after >= time.Minute {
			after = append(after, s)
		}
	}
	for i, s := range after {
		if !s.said.Managed || s.said.RouterLifetime != 0 || s.said.MTU != 0 {
			t.Errorf("advertisement %d after the change: got %+v; want the new settings", i, s.said)
		}
		takesBack := len(s.said.Prefixes) == 1 && s.said.Prefixes[0].Valid == 0 && len(s.said.Resolvers) == 1 && s.said.Resolvers[0].Lifetime == 0
		if takesBack != (i < initialCount) {
			t.Errorf("advertisement %d after the change: got %+v; want the old taken back: %t", i, s.said, i < initialCount)
		}
	}
	if len(after) < 4 || after[0].after != time.Minute || after[1].after > time.Minute+initialInterval {
		t.Errorf("got %+v; want the change told at once, and quicker than later", after)
	}
}
