package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// workspace is a directory in which the Terraform command line runs with this provider as a program of its own.
type workspace struct {
	t   *testing.T
	dir string
	env []string
}

// program is built once for all tests that want it.
type program struct {
	once sync.Once
	dir  string
	err  error
}

func (p *program) build(t *testing.T) string {
	t.Helper()
	p.once.Do(func() {
		p.dir = filepath.Dir(os.Getenv("TF_CLI_CONFIG_FILE"))
		build := exec.Command("go", "build", "-o", filepath.Join(p.dir, "terraform-provider-metal"), ".")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			p.err = fmt.Errorf("build the provider: %w\n%s", err, out)
		}
	})
	if p.err != nil {
		t.Fatal(p.err)
	}
	return p.dir
}

// newWorkspace writes the configuration. Nothing is downloaded: Terraform is told where the program is.
func newWorkspace(t *testing.T, p *program, config string, env ...string) *workspace {
	t.Helper()
	bin, dir := p.build(t), t.TempDir()
	settings := filepath.Join(dir, "terraformrc")
	write(t, settings, fmt.Sprintf("provider_installation {\n  dev_overrides {\n    \"metalform/metal\" = %q\n  }\n  direct {}\n}\n", bin))
	write(t, filepath.Join(dir, "main.tf"), "terraform {\n  required_providers {\n    metal = { source = \"metalform/metal\" }\n  }\n}\n"+config)
	return &workspace{t: t, dir: dir, env: append(append(os.Environ(), "TF_CLI_CONFIG_FILE="+settings, "TF_IN_AUTOMATION=1"), env...)}
}

func (w *workspace) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	out := &bytes.Buffer{}
	cmd := exec.Command("terraform", args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = w.dir, w.env, out, out
	return cmd, out
}

// terraform runs a command that succeeds, and returns all it printed.
func (w *workspace) terraform(args ...string) string {
	w.t.Helper()
	cmd, out := w.command(args...)
	if err := cmd.Run(); err != nil {
		w.t.Fatalf("terraform %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "│", " ")), " ")
}

func (w *workspace) wants(output string, parts ...string) {
	w.t.Helper()
	for _, part := range parts {
		if !strings.Contains(output, part) {
			w.t.Errorf("got output without %q:\n%s", part, output)
		}
	}
}

// interrupt runs apply, and sends an interrupt once the condition holds. It returns what was printed.
func (w *workspace) interrupt(when func() bool, args ...string) string {
	w.t.Helper()
	cmd, out := w.command(args...)
	if err := cmd.Start(); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute)
	defer cancel()
	for tick := time.NewTicker(20 * time.Millisecond); !when(); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Errorf("what the interrupt waits for did not happen")
			when = func() bool { return true }
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		w.t.Error(err)
	}
	_ = cmd.Wait() // an interrupted apply may end in either way
	return strings.Join(strings.Fields(strings.ReplaceAll(out.String(), "│", " ")), " ")
}
