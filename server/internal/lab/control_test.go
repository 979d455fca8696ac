package lab

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// serveFake runs the control service of a lab with fake machines, and returns its directory.
func serveFake(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "lab") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cfg := Config{Dir: dir, Machines: 2}.withDefaults()
	l := &Lab{cfg: cfg, nodes: make(map[string]*node), state: sampleState(dir)}
	if l.state.Owner, err = thisProcess(); err != nil {
		t.Fatal(err)
	}
	for _, m := range l.state.Machines {
		l.nodes[m.Name], _ = newNode(t)
	}
	if err := l.state.save(); err != nil {
		t.Fatal(err)
	}
	c, err := NewControl(l, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("control service: got %v; want nil", err)
		}
	})
	return dir
}

func TestTheControlSocketShowsAndTurnsMachines(t *testing.T) {
	c, err := Connect(serveFake(t))
	if err != nil {
		t.Fatal(err)
	}
	powers := func() (all []metal.Power) {
		t.Helper()
		status, err := c.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range status {
			all = append(all, m.Power)
		}
		return all
	}
	for _, step := range []struct {
		machine string
		action  Action
		want    []metal.Power
	}{
		{"node2", PowerOn, []metal.Power{metal.PowerOff, metal.PowerOn}},
		{"node2", Reset, []metal.Power{metal.PowerOff, metal.PowerOn}},
		{"node1", PowerOn, []metal.Power{metal.PowerOn, metal.PowerOn}},
		{"node2", PowerOff, []metal.Power{metal.PowerOn, metal.PowerOff}},
	} {
		if err := c.Act(t.Context(), step.machine, step.action); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, powers()); diff != "" {
			t.Errorf("after %s %s (-want +got):\n%s", step.machine, step.action, diff)
		}
	}
}

func TestRefusalsKeepTheirCodeOnTheirWay(t *testing.T) {
	c, err := Connect(serveFake(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []struct {
		machine string
		action  Action
		want    metal.Code
	}{
		{"node9", PowerOn, metal.NotFound},
		{"../x", PowerOn, metal.NotFound},
		{"node1", "explode", metal.Invalid},
		{"node1", Reset, metal.Conflict}, // it is off
	} {
		if err := c.Act(t.Context(), r.machine, r.action); metal.CodeOf(err) != r.want {
			t.Errorf("%s %s: got %v; want a %s error", r.machine, r.action, err, r.want)
		}
	}
}

func TestTheControlSocketIsTheOwnersOnly(t *testing.T) {
	info, err := os.Stat(socketPath(serveFake(t)))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %o; want 600", got)
	}
}

func TestADirectoryTooLongForASocketIsRefused(t *testing.T) {
	l := &Lab{cfg: Config{Dir: "/" + strings.Repeat("x", 120)}}
	if _, err := NewControl(l, testLog(t)); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("got %v; want an %s error", err, metal.Invalid)
	}
}

func TestConnectTellsWhyItCannot(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(*State)
		want string
	}{
		{"the owner died", func(s *State) { s.Owner.Started-- }, "died"},
		{"it is not up yet", func(s *State) { s.Ready = false }, "still being made"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := sampleState(t.TempDir())
			s.Owner, _ = thisProcess()
			c.bend(&s)
			if err := s.save(); err != nil {
				t.Fatal(err)
			}
			if _, err := Connect(s.Dir); metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want a %s error with %q", err, metal.Conflict, c.want)
			}
		})
	}
	if _, err := Connect(t.TempDir()); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("no lab: got %v; want a %s error", err, metal.NotFound)
	}
}

// watched is a writer that cancels once it saw what it waits for.
type watched struct {
	text strings.Builder
	want string
	seen func()
	size atomic.Int64
}

func (w *watched) Write(p []byte) (int, error) {
	w.text.Write(p)
	w.size.Store(int64(w.text.Len()))
	if strings.Contains(w.text.String(), w.want) {
		w.seen()
	}
	return len(p), nil
}

func TestFollowingAConsoleShowsWhatComesLater(t *testing.T) {
	m := Machine{Name: "node1", Console: t.TempDir() + "/console.log"}
	log, err := os.Create(m.Console)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	log.WriteString("before ")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w := &watched{want: "after", seen: cancel}
	ended := make(chan error)
	go func() { ended <- Console(ctx, m, w, true) }()
	for w.size.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	log.WriteString("after")
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if got := w.text.String(); got != "before after" {
		t.Errorf("got %q; want %q", got, "before after")
	}
}

func TestFollowingEndsWithTheLab(t *testing.T) {
	m := Machine{Name: "node1", Console: t.TempDir() + "/console.log"}
	if err := os.WriteFile(m.Console, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	w := &watched{want: "text", seen: func() { os.Remove(m.Console) }}
	if err := Console(ctx, m, w, true); err != nil || ctx.Err() != nil {
		t.Errorf("got %v, %v; want it to end as the file is gone", err, ctx.Err())
	}
}
