// Package program runs programs that did not come with the agent: those of the tools archive, and those of the system
// that is being installed.
package program

import (
	"bytes"
	"context"
	"log/slog"
	"os/exec"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	keptBytes = 64 << 10 // of what a program prints; the rest is dropped from the front
	tailLines = 20       // of that go into an error
	// grace is how long a program has to end by itself when the step is called off: mdadm or lvm in the middle of a
	// change should not be killed at once.
	grace = 10 * time.Second
)

// Runner runs one program after another.
type Runner struct {
	// Start runs a prepared command to its end, as exec.Cmd.Run does.
	Start func(*exec.Cmd) error
	Log   *slog.Logger
}

// Run runs a program with the folder root as its root, and returns what it printed to its standard output, at most
// the last 64 KiB. Input is what it reads; it is never logged, and neither is it part of an error, so that a key may
// be handed over that way. When the program fails, or cannot be run, the error's detail has its last lines. When ctx
// ends, the program is ended.
func (r *Runner) Run(ctx context.Context, root string, input []byte, name string, args ...string) (string, error) {
	// Looked up here: the search of os/exec would look into the agent's own root.
	cmd := exec.CommandContext(ctx, "/usr/bin/env", append([]string{name}, args...)...)
	cmd.Dir = "/"
	cmd.Env = environment()
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: path.Clean(root)}
	cmd.Stdin = bytes.NewReader(input)
	var out, said tail
	cmd.Stdout, cmd.Stderr = &out, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = grace
	began := time.Now()
	err := r.Start(cmd)
	r.Log.Debug("ran a program", "program", name, "took", time.Since(began), "error", err)
	if ctx.Err() != nil {
		return "", metal.Errorf(metal.Conflict, "run %s: called off: %w", name, ctx.Err())
	}
	if err != nil {
		words := lastLines(said.String() + out.String())
		e := metal.Errorf(metal.Internal, "%s: %w: %s", command(name, args), err, lastLine(words))
		e.Detail = words
		return "", e
	}
	return out.String(), nil
}

// environment keeps programs from waiting for udev, which does not run here, and from asking anybody.
func environment() []string {
	return []string{
		"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "TERM=dumb", "HOME=/root", "DEBIAN_FRONTEND=noninteractive",
		"DM_DISABLE_UDEV=1", "MDADM_NO_UDEV=1", "LVM_SUPPRESS_FD_WARNINGS=1",
	}
}

// command is how a person would have typed it, shortened.
func command(name string, args []string) string {
	text := strings.Join(append([]string{name}, args...), " ")
	if len(text) > 200 {
		text = text[:200] + "…"
	}
	return text
}

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-tailLines):], "\n")
}

func lastLine(text string) string { return text[strings.LastIndexByte(text, '\n')+1:] }

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - keptBytes; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return string(t.kept) }
