package link

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/netns"
)

// space is a network namespace that interfaces come and go in.
type space struct {
	netns.Space
	t *testing.T
}

func newSpace(t *testing.T) space {
	t.Helper()
	return space{netns.New(t, "l"), t}
}

// ip runs an ip command in the namespace, words split at blanks.
func (s space) ip(line string) {
	s.t.Helper()
	s.Run(s.t, "ip "+line)
}

// watch runs a watcher in the namespace until the test ends: on a thread that stays there, for it reads all anew by
// sockets of its own. tamper changes it before it runs.
func (s space) watch(tamper func(*Watcher), patterns ...string) *Watcher {
	s.t.Helper()
	made := make(chan *Watcher, 1)
	netns.Keep(s.t, "the watcher", func(ctx context.Context) error {
		defer close(made)
		return s.In(func() error {
			w, err := New(patterns, slog.New(slog.DiscardHandler))
			if err != nil {
				return err
			}
			if tamper != nil {
				tamper(w)
			}
			made <- w
			return w.Run(ctx)
		})
	})
	w, ok := <-made
	if !ok {
		s.t.FailNow() // its end tells why
	}
	return w
}

// await waits until the snapshot is as wanted, woken by Changed alone.
func await(t *testing.T, w *Watcher, what string, is func([]Link) bool) []Link {
	t.Helper()
	deadline := time.After(netns.Patience)
	for {
		changed := w.Changed()
		links := w.Now()
		if is(links) {
			return links
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited %s for: %s\ngot %+v", netns.Patience, what, links)
		}
	}
}

// describe writes interfaces as a line that tests compare: name, VLAN, state, IPv4 addresses.
func describe(links []Link) string {
	var all []string
	for _, l := range links {
		words := []string{l.Name}
		if l.VLAN != 0 {
			words = append(words, fmt.Sprint("vlan", l.VLAN))
		}
		if l.Up {
			words = append(words, "up")
		}
		for _, a := range l.Addrs {
			if a.Addr().Is4() {
				words = append(words, a.String())
			}
		}
		all = append(all, strings.Join(words, " "))
	}
	return strings.Join(all, ", ")
}

func awaitThese(t *testing.T, w *Watcher, want string) []Link {
	t.Helper()
	return await(t, w, want, func(links []Link) bool { return describe(links) == want })
}
