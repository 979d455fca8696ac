package link

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// patience bounds every wait; no test passes or fails by how fast it was within it.
const patience = 30 * time.Second

// need skips the test where a tool is missing or the user is not root, but not in CI, where both must be there.
func need(t *testing.T, tools ...string) {
	t.Helper()
	missing := ""
	if os.Getuid() != 0 {
		missing = "root"
	}
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			missing = tool
		}
	}
	switch {
	case missing == "":
	case os.Getenv("CI") != "":
		t.Fatalf("this test needs %s", missing)
	default:
		t.Skipf("this test needs %s", missing)
	}
}

// space is a network namespace that is gone after the test.
type space struct {
	t    *testing.T
	name string
}

func newSpace(t *testing.T) space {
	t.Helper()
	need(t, "ip")
	s := space{t, fmt.Sprintf("link%d", os.Getpid())}
	if out, err := exec.Command("ip", "netns", "add", s.name).CombinedOutput(); err != nil {
		t.Fatalf("make namespace: %v\n%s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", s.name).Run() })
	s.ip("link set lo up")
	return s
}

// ip runs an ip command in the namespace, words split at blanks.
func (s space) ip(line string) {
	s.t.Helper()
	out, err := exec.Command("ip", append([]string{"-n", s.name}, strings.Fields(line)...)...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("ip %s: %v\n%s", line, err, out)
	}
}

// watch runs a watcher in the namespace until the test ends. tamper changes it before it runs.
func (s space) watch(tamper func(*Watcher), patterns ...string) *Watcher {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	made, ended := make(chan *Watcher), make(chan error, 1)
	go func() {
		defer close(made)
		// Not unlocked: the thread has changed its namespace, so it must end with the goroutine.
		runtime.LockOSThread()
		handle, err := netns.GetFromName(s.name)
		if err == nil {
			defer handle.Close()
			err = netns.Set(handle)
		}
		var w *Watcher
		if err == nil {
			w, err = New(patterns, slog.New(slog.DiscardHandler))
		}
		if err != nil {
			ended <- err
			return
		}
		if tamper != nil {
			tamper(w)
		}
		made <- w
		ended <- w.Run(ctx)
	}()
	w, ok := <-made
	if !ok {
		cancel()
		s.t.Fatalf("watch: %v", <-ended)
	}
	s.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			s.t.Errorf("Run: got %v; want nil after the end of its context", err)
		}
	})
	return w
}

// await waits until the snapshot is as wanted, woken by Changed alone.
func await(t *testing.T, w *Watcher, what string, is func([]Link) bool) []Link {
	t.Helper()
	deadline := time.After(patience)
	for {
		changed := w.Changed()
		links := w.Now()
		if is(links) {
			return links
		}
		select {
		case <-changed:
		case <-deadline:
			t.Fatalf("waited %s for: %s\ngot %+v", patience, what, links)
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
