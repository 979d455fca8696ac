package dns

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

var (
	servers = []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:53"), netip.MustParseAddrPort("[2001:db8::1]:5353")}
	noon    = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
)

func TestNotices(t *testing.T) {
	one := servers[:1]
	cases := []struct {
		name  string
		steps func(n *notices, say func(offset time.Duration))
		want  string
	}{
		{"a change is told at once", func(n *notices, say func(time.Duration)) {
			n.changed("a.", servers, noon)
			say(0)
		}, "0s 192.0.2.1:53 [2001:db8::1]:5353"},
		{"many changes at once are told once", func(n *notices, say func(time.Duration)) {
			for range 100 {
				n.changed("a.", one, noon)
			}
			say(0)
			say(time.Second)
		}, "0s 192.0.2.1:53"},
		{"a change while one is told is told a second later", func(n *notices, say func(time.Duration)) {
			n.changed("a.", one, noon)
			say(0)
			n.changed("a.", one, noon.Add(10*time.Millisecond))
			say(20 * time.Millisecond)
			n.done(notice{"a.", one[0]}, true, noon.Add(30*time.Millisecond))
			say(40 * time.Millisecond)
			say(time.Second)
		}, "0s 192.0.2.1:53 | 1s 192.0.2.1:53"},
		{"a change right after one was told too", func(n *notices, say func(time.Duration)) {
			n.changed("a.", one, noon)
			say(0)
			n.done(notice{"a.", one[0]}, true, noon)
			n.changed("a.", one, noon.Add(time.Millisecond))
			say(time.Millisecond)
			say(time.Second)
		}, "0s 192.0.2.1:53 | 1s 192.0.2.1:53"},
		{"a server that does not answer is told five times", func(n *notices, say func(time.Duration)) {
			n.changed("a.", one, noon)
			at := time.Duration(0)
			for range 200 {
				say(at)
				if s := n.open[notice{"a.", one[0]}]; s != nil && s.busy {
					n.done(notice{"a.", one[0]}, false, noon.Add(at))
				}
				at += time.Second
			}
		}, "0s 192.0.2.1:53 | 2s 192.0.2.1:53 | 6s 192.0.2.1:53 | 14s 192.0.2.1:53 | 30s 192.0.2.1:53"},
		{"another change begins anew", func(n *notices, say func(time.Duration)) {
			n.changed("a.", one, noon)
			say(0)
			n.done(notice{"a.", one[0]}, false, noon)
			n.changed("a.", one, noon.Add(1500*time.Millisecond))
			say(1500 * time.Millisecond)
		}, "0s 192.0.2.1:53 | 1.5s 192.0.2.1:53"},
		{"a server that is not wanted any more is not told", func(n *notices, say func(time.Duration)) {
			n.changed("a.", servers, noon)
			n.changed("a.", one, noon)
			say(0)
		}, "0s 192.0.2.1:53"},
		{"nor any of a zone that is gone", func(n *notices, say func(time.Duration)) {
			n.changed("a.", servers, noon)
			n.changed("b.", one, noon)
			n.changed("a.", nil, noon)
			say(0)
		}, "0s 192.0.2.1:53"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := newNotices()
			var told []string
			c.steps(n, func(offset time.Duration) {
				list, _ := n.due(noon.Add(offset))
				var line []string
				for _, it := range list {
					line = append(line, it.server.String())
				}
				if slices.Sort(line); len(line) > 0 {
					told = append(told, offset.String()+" "+strings.Join(line, " "))
				}
			})
			if got := strings.Join(told, " | "); got != c.want {
				t.Errorf("got %s; want %s", got, c.want)
			}
		})
	}
}

func TestNoMoreServersAreToldAtOnceThanAllowed(t *testing.T) {
	n := newNotices()
	for i := range 3 * maxNotifying {
		n.changed(fmt.Sprint(i, "."), servers[:1], noon)
	}
	list, _ := n.due(noon)
	if more, _ := n.due(noon); len(list) != maxNotifying || len(more) != 0 {
		t.Fatalf("got %d and %d; want %d and none", len(list), len(more), maxNotifying)
	}
	n.done(list[0], true, noon)
	if more, _ := n.due(noon); len(more) != 1 {
		t.Errorf("got %d when one was done; want 1", len(more))
	}
	told := 0
	for at := noon; len(n.open) > 0 && told < 1000; at = at.Add(time.Second) {
		for it, s := range n.open {
			if s.busy {
				n.done(it, true, at)
				told++
			}
		}
		n.due(at)
	}
	if told != 3*maxNotifying-1 || n.busy != 0 {
		t.Errorf("got %d told, %d busy, %d kept; want all told and none kept", told, n.busy, len(n.open))
	}
}

func TestWaitingIsNeverTooLong(t *testing.T) {
	n := newNotices()
	if _, wait := n.due(noon); wait < time.Minute {
		t.Errorf("nothing to do: got %s", wait)
	}
	n.changed("a.", servers[:1], noon)
	n.due(noon)
	n.done(notice{"a.", servers[0]}, false, noon)
	if _, wait := n.due(noon); wait != notifyRetry {
		t.Errorf("got %s; want %s", wait, notifyRetry)
	}
}

func TestTargets(t *testing.T) {
	got := targets(metal.TransferSpec{Notify: []string{"192.0.2.1", "2001:db8::1", "192.0.2.1:5353", "[2001:db8::1]:53", "ns.example.com", ""}})
	if want := "[192.0.2.1:53 [2001:db8::1]:53 192.0.2.1:5353 [2001:db8::1]:53]"; fmt.Sprint(got) != want {
		t.Errorf("got %v; want %s", got, want)
	}
}

func TestASecondaryIsToldUntilItAnswers(t *testing.T) {
	t.Parallel() // the first one is waited for
	var count atomic.Int64
	told := make(chan *dns.Msg, 100)
	secondary := upstreamOf(t, func(q *dns.Msg) *dns.Msg {
		told <- q
		if count.Add(1) == 1 {
			return nil // the first one is lost
		}
		return new(dns.Msg).SetReply(q)
	})
	zones := rack(t)
	zones.Change(func(b *zone.Batch) {
		b.SetZone(metal.Zone{Name: "rack.test", Spec: metal.ZoneSpec{Transfer: metal.TransferSpec{Keys: []string{"gone", "xfer"}, Notify: []string{secondary.String()}}}})
	})
	runUntilEnd(t, NewNotifier(zones, xferKeys, nil, slog.New(slog.DiscardHandler)).Run)
	found, _ := zones.Now().Zone("rack.test")
	for range 2 {
		select {
		case m := <-told:
			if m.Opcode != dns.OpcodeNotify || m.Question[0].Name != "rack.test." || m.Question[0].Qtype != dns.TypeSOA || !m.Authoritative || m.IsTsig() == nil {
				t.Errorf("got %v", m)
			}
			if len(m.Answer) != 1 || m.Answer[0].(*dns.SOA).Serial != found.Serial() {
				t.Errorf("got answer %v; want the SOA record", m.Answer)
			}
		case <-time.After(patience):
			t.Fatal("nothing came")
		}
	}
}

func TestANotifierEndsWhileAServerIsSilent(t *testing.T) {
	entered := make(chan struct{}, 100)
	silent := upstreamOf(t, func(*dns.Msg) *dns.Msg { entered <- struct{}{}; return nil })
	zones := rack(t)
	zones.Change(func(b *zone.Batch) {
		b.SetZone(metal.Zone{Name: "rack.test", Spec: metal.ZoneSpec{Transfer: metal.TransferSpec{Notify: []string{silent.String()}}}})
	})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- NewNotifier(zones, nil, nil, slog.New(slog.DiscardHandler)).Run(ctx) }()
	<-entered
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v; want nil", err)
	}
}
