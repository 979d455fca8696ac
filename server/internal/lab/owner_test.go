package lab

import (
	"os/exec"
	"strings"
	"testing"
)

func TestParseStartTime(t *testing.T) {
	tail := " 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242 99 100"
	for _, c := range []struct {
		name, stat string
		want       uint64
		ok         bool
	}{
		{"a plain name", "17 (metal-lab) S" + tail, 4242, true},
		{"a name with spaces and brackets", "17 (a) R (b c) S" + tail, 4242, true},
		{"a zombie is gone", "17 (metal-lab) Z" + tail, 0, false},
		{"a dead one is gone", "17 (metal-lab) X" + tail, 0, false},
		{"a short line", "17 (metal-lab) S 1 2 3", 0, false},
		{"no bracket", "17", 0, false},
		{"nothing", "", 0, false},
		{"a start time that is no number", "17 (x) S" + strings.Replace(tail, "4242", "then", 1), 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := parseStartTime(c.stat)
			if got != c.want || (err == nil) != c.ok {
				t.Errorf("got %d, %v; want %d, ok %t", got, err, c.want, c.ok)
			}
		})
	}
}

func FuzzParseStartTime(f *testing.F) {
	f.Add("17 (metal-lab) S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4242")
	f.Add(")")
	f.Add("1 () Z")
	f.Fuzz(func(_ *testing.T, stat string) {
		_, _ = parseStartTime(stat) // must not panic
	})
}

// child starts a program that ends only when it is killed.
func child(t *testing.T, argv ...string) Process {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
	})
	started, err := startTime(cmd.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	return Process{cmd.Process.Pid, started}
}

func TestStopEndsTheProcess(t *testing.T) {
	p := child(t, "sleep", "1000")
	if !p.Alive() {
		t.Fatal("the child is not alive; want it to be")
	}
	if err := p.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if p.Alive() {
		t.Error("the child is alive; want it gone")
	}
	if err := p.stop(t.Context()); err != nil {
		t.Errorf("a second stop: got %v; want nil", err)
	}
}

func TestStopSparesAnotherProcessWithTheSamePID(t *testing.T) {
	p := child(t, "sleep", "1000")
	stale := Process{p.PID, p.Started - 1}
	if stale.Alive() {
		t.Error("a process with another start time counts as alive; want not")
	}
	if err := stale.stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Had stop sent a signal, it would have waited for the end.
	if !p.Alive() {
		t.Error("the other process was ended; want it spared")
	}
}

func TestThisProcessIsAlive(t *testing.T) {
	p, err := thisProcess()
	if err != nil || !p.Alive() {
		t.Errorf("got %+v, %v; want it alive", p, err)
	}
}
