package osimage

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// output runs a tool in dir and returns what it prints. The error carries the end of what the tool said.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	return pipe(ctx, dir, "", name, args...)
}

// pipe is output with text for the tool to read.
func pipe(ctx context.Context, dir, stdin, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var out, said bytes.Buffer
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = dir, strings.NewReader(stdin), &out, &said
	// sbin is not in everybody's path; no question may wait for an answer.
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", "MTOOLS_SKIP_CHECK=1")
	// mmdebstrap ends its children and takes its mounts away when it is asked to, and could not if it were killed. It
	// first lets dpkg finish the package it is at.
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 90 * time.Second
	if err := cmd.Run(); err != nil {
		tail := strings.TrimSpace(out.String() + said.String())
		if len(tail) > 2000 {
			tail = tail[len(tail)-2000:]
		}
		return "", fmt.Errorf("run %s: %w: %s", name, err, tail)
	}
	return out.String(), nil
}
