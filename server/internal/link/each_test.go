package link

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

func TestDiffStopsAndStartsServices(t *testing.T) {
	eth0 := at(2, "eth0", true, "10.0.0.1/24")
	moved := eth0
	moved.Hardware = []byte{2, 0, 0, 0, 0, 1}
	tagged := eth0
	tagged.VLAN = 9
	tests := map[string]struct {
		running   []Link
		now       []Link
		byAddress bool
		stop      []string
		start     []string
	}{
		"nothing":                                 {},
		"one appears":                             {now: []Link{eth0}, start: []string{"eth0"}},
		"one stays":                               {running: []Link{eth0}, now: []Link{eth0}},
		"one goes":                                {running: []Link{eth0}, stop: []string{"eth0"}},
		"one without an address waits":            {now: []Link{at(2, "eth0", true)}},
		"one that is down waits":                  {now: []Link{at(2, "eth0", false, "10.0.0.1/24")}},
		"one goes down":                           {running: []Link{eth0}, now: []Link{at(2, "eth0", false, "10.0.0.1/24")}, stop: []string{"eth0"}},
		"one loses its last address":              {running: []Link{eth0}, now: []Link{at(2, "eth0", true)}, stop: []string{"eth0"}},
		"one is made anew":                        {running: []Link{eth0}, now: []Link{at(3, "eth0", true, "10.0.0.1/24")}, stop: []string{"eth0"}, start: []string{"eth0"}},
		"another hardware address":                {running: []Link{eth0}, now: []Link{moved}, stop: []string{"eth0"}, start: []string{"eth0"}},
		"another VLAN under the same name":        {running: []Link{eth0}, now: []Link{tagged}, stop: []string{"eth0"}, start: []string{"eth0"}},
		"another name":                            {running: []Link{eth0}, now: []Link{at(2, "lan", true, "10.0.0.1/24")}, stop: []string{"eth0"}, start: []string{"lan"}},
		"a second address changes nothing":        {running: []Link{eth0}, now: []Link{at(2, "eth0", true, "10.0.0.1/24", "10.0.0.2/24")}},
		"a second address where addresses matter": {running: []Link{eth0}, now: []Link{at(2, "eth0", true, "10.0.0.1/24", "10.0.0.2/24")}, byAddress: true, stop: []string{"eth0"}, start: []string{"eth0"}},
		"the same where addresses matter":         {running: []Link{eth0}, now: []Link{eth0}, byAddress: true},
		"each by itself, in order of names": {
			running: []Link{at(4, "c", true, "10.0.4.1/24"), at(3, "b", true, "10.0.3.1/24")},
			now:     []Link{at(9, "a", true, "10.0.9.1/24"), at(5, "c", true, "10.0.4.1/24"), at(6, "d", true, "10.0.6.1/24")},
			stop:    []string{"b", "c"}, start: []string{"a", "c", "d"},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			running := map[string]Link{}
			for _, l := range test.running {
				running[l.Name] = l
			}
			stop, links := diff(running, test.now, test.byAddress)
			var start []string
			for _, l := range links {
				start = append(start, l.Name)
			}
			if diff := cmp.Diff(test.stop, stop); diff != "" {
				t.Errorf("stop (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.start, start); diff != "" {
				t.Errorf("start (-want +got):\n%s", diff)
			}
		})
	}
}

// FuzzDiff checks that what diff says leads to the right services, whatever was there before.
func FuzzDiff(f *testing.F) {
	f.Add([]byte{2, 3, 0x83}, []byte{2, 0x13, 5}, true)
	f.Add([]byte{}, []byte{1}, false)
	f.Add([]byte{1, 1, 1}, []byte{}, false)
	links := func(raw []byte) []Link {
		byName := map[string]Link{}
		for _, b := range raw {
			l := at(int(b>>4&3)+1, string(rune('a'+b&7)), b&8 == 0)
			if b&0x40 == 0 {
				l = at(l.Index, l.Name, l.Up, "10.0.0.1/24")
			}
			if b&0x80 != 0 {
				l.Addrs = append(l.Addrs, at(1, "", true, "10.0.0.2/24").Addrs...)
			}
			byName[l.Name] = l
		}
		return slices.Collect(maps.Values(byName))
	}
	f.Fuzz(func(t *testing.T, before, after []byte, byAddress bool) {
		running := map[string]Link{}
		_, first := diff(nil, links(before), byAddress)
		for _, l := range first {
			running[l.Name] = l
		}
		now := links(after)
		stop, start := diff(running, now, byAddress)
		for _, name := range stop {
			if _, ok := running[name]; !ok {
				t.Errorf("stops %s, which does not run", name)
			}
			delete(running, name)
		}
		for _, l := range start {
			if _, ok := running[l.Name]; ok {
				t.Errorf("starts %s twice", l.Name)
			}
			running[l.Name] = l
		}
		if stop, start := diff(running, now, byAddress); len(stop)+len(start) != 0 {
			t.Errorf("a second time: got stop %v, start %v; want nothing to do", stop, start)
		}
		for _, l := range now {
			if _, runs := running[l.Name]; runs != l.served() {
				t.Errorf("%s runs: got %v; want %v", l.Name, runs, l.served())
			}
		}
	})
}

// recorder is a service that notes what it does.
type recorder struct {
	mu      sync.Mutex
	running map[string]int // by name: the index it runs on
	starts  map[string]int
	answer  func(name string, start int) (err error, wait bool)
	linger  time.Duration
}

func (r *recorder) run(ctx context.Context, l Link) error {
	r.mu.Lock()
	r.starts[l.Name]++
	if at, twice := r.running[l.Name]; twice {
		r.mu.Unlock()
		panic("started while it runs on " + string(rune('0'+at)))
	}
	r.running[l.Name] = l.Index
	start := r.starts[l.Name]
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		delete(r.running, l.Name)
	}()
	if r.answer != nil {
		if err, wait := r.answer(l.Name, start); !wait {
			return err
		}
	}
	<-ctx.Done()
	time.Sleep(r.linger)
	return nil
}

func (r *recorder) check(t *testing.T, what string, running, starts map[string]int) {
	t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if diff := cmp.Diff(running, r.running); diff != "" {
		t.Errorf("%s: running (-want +got):\n%s", what, diff)
	}
	if diff := cmp.Diff(starts, r.starts); diff != "" {
		t.Errorf("%s: starts (-want +got):\n%s", what, diff)
	}
}

// supervise runs Each over w, in a bubble, and returns what ends it.
func supervise(t *testing.T, w *Watcher, r *recorder, byAddress bool) (stop func()) {
	t.Helper()
	r.running, r.starts = map[string]int{}, map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Each(ctx, w, Service{Name: "test", Run: r.run, ByAddress: byAddress, Log: slog.New(slog.DiscardHandler)})
	}()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Each: got %v; want nil", err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if len(r.running) != 0 {
			t.Errorf("after Each returned: got %v still running", r.running)
		}
	}
}

func TestEachFollowsTheInterfaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := at(2, "a", true, "10.0.2.1/24"), at(3, "b", true, "10.0.3.1/24")
		w := fixed(a, at(3, "b", true))
		r := &recorder{linger: time.Second}
		stop := supervise(t, w, r, false)
		r.check(t, "first", map[string]int{"a": 2}, map[string]int{"a": 1})
		w.publish([]Link{a, b}, nil)
		r.check(t, "b gets an address", map[string]int{"a": 2, "b": 3}, map[string]int{"a": 1, "b": 1})

		w.publish([]Link{at(9, "a", true, "10.0.2.1/24"), b}, nil)
		r.check(t, "a made anew waits for the old", map[string]int{"a": 2, "b": 3}, map[string]int{"a": 1, "b": 1})
		time.Sleep(time.Second)
		r.check(t, "a made anew runs", map[string]int{"a": 9, "b": 3}, map[string]int{"a": 2, "b": 1})

		w.publish([]Link{b}, nil)
		synctest.Wait()
		w.publish([]Link{at(10, "a", true, "10.0.2.1/24"), b}, nil)
		synctest.Wait()
		w.publish([]Link{at(11, "a", true, "10.0.2.1/24"), b}, nil)
		time.Sleep(5 * time.Second)
		r.check(t, "a made anew twice while the first one ends", map[string]int{"a": 11, "b": 3}, map[string]int{"a": 3, "b": 1})
		w.publish(nil, nil)
		time.Sleep(time.Second)
		r.check(t, "all gone", map[string]int{}, map[string]int{"a": 3, "b": 1})
		w.publish([]Link{a}, nil)
		r.check(t, "one back", map[string]int{"a": 2}, map[string]int{"a": 4, "b": 1})
		stop()
	})
}

func TestEachStartsAnewByAddressWhereThatIsAskedFor(t *testing.T) {
	for _, byAddress := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := fixed(at(2, "a", true, "10.0.2.1/24"))
			r := &recorder{}
			stop := supervise(t, w, r, byAddress)
			synctest.Wait()
			w.publish([]Link{at(2, "a", true, "10.0.2.2/24")}, nil)
			want := 1
			if byAddress {
				want = 2
			}
			r.check(t, "another address", map[string]int{"a": 2}, map[string]int{"a": want})
			stop()
		})
	}
}

func TestAServiceThatFailsIsTriedAgainLaterAndLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fixed(at(2, "bad", true, "10.0.2.1/24"), at(3, "good", true, "10.0.3.1/24"))
		r := &recorder{answer: func(name string, start int) (error, bool) { return errors.New("address in use"), name == "good" }}
		stop := supervise(t, w, r, false)
		good := map[string]int{"good": 3}
		r.check(t, "at once", good, map[string]int{"bad": 1, "good": 1})
		time.Sleep(999 * time.Millisecond)
		r.check(t, "before a second", good, map[string]int{"bad": 1, "good": 1})
		time.Sleep(time.Millisecond)
		r.check(t, "after 1 s", good, map[string]int{"bad": 2, "good": 1})
		time.Sleep(2 * time.Second)
		r.check(t, "after 3 s", good, map[string]int{"bad": 3, "good": 1})
		time.Sleep(4 * time.Second)
		r.check(t, "after 7 s", good, map[string]int{"bad": 4, "good": 1})
		time.Sleep(time.Hour)
		synctest.Wait()
		// 1, 2, 4, 8, 16, 32, 60, 60, ...: 6 tries in the first 63 s after the first one, then one a minute.
		if got := r.starts["bad"]; got < 60 || got > 67 {
			t.Errorf("in an hour: got %d tries; want about one a minute", got)
		}
		w.publish([]Link{at(3, "good", true, "10.0.3.1/24")}, nil)
		before := r.starts["bad"]
		time.Sleep(time.Hour)
		if got := r.starts["bad"]; got != before {
			t.Errorf("after its interface has gone: got %d more tries", got-before)
		}
		stop()
	})
}

func TestAServiceThatIsDoneIsNotCalledAgainBeforeItsInterfaceChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := fixed(at(2, "a", true, "10.0.2.1/24"))
		r := &recorder{answer: func(string, int) (error, bool) { return nil, false }}
		stop := supervise(t, w, r, false)
		r.check(t, "done", map[string]int{}, map[string]int{"a": 1})
		w.publish([]Link{at(2, "a", true, "10.0.2.1/24"), at(3, "b", true)}, nil)
		r.check(t, "another interface changed", map[string]int{}, map[string]int{"a": 1})
		w.publish([]Link{at(4, "a", true, "10.0.2.1/24")}, nil)
		r.check(t, "made anew", map[string]int{}, map[string]int{"a": 2})
		stop()
	})
}

func TestEachOverRealInterfaces(t *testing.T) {
	s := newSpace(t)
	w := s.watch(nil, "*")
	seen := make(chan string, 16)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- Each(ctx, w, Service{Name: "test", Log: slog.New(slog.DiscardHandler), Run: func(ctx context.Context, l Link) error {
			seen <- "start " + l.Name
			<-ctx.Done()
			seen <- "stop " + l.Name
			return nil
		}})
	}()
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-seen:
			if got != want {
				t.Errorf("got %q; want %q", got, want)
			}
		case <-time.After(netns.Patience):
			t.Fatalf("waited %s for %q", netns.Patience, want)
		}
	}
	s.ip("link add trunk type bridge")
	s.ip("addr add 10.0.0.1/24 dev trunk")
	s.ip("link set trunk up")
	expect("start trunk")
	s.ip("link add v7 type bridge")
	s.ip("addr add 10.7.0.1/24 dev v7")
	s.ip("link set v7 up")
	expect("start v7")
	s.ip("link del v7")
	expect("stop v7")
	cancel()
	expect("stop trunk")
	if err := <-ended; err != nil {
		t.Errorf("Each: got %v; want nil", err)
	}
}
