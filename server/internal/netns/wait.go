package netns

import (
	"bytes"
	"context"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience bounds every wait of a test. It is far longer than anything takes, also on a machine that is busy with
// other tests.
const Patience = 2 * time.Minute

// Until polls until something is true, and fails the test with the details when it has not come to pass in [Patience].
func Until(t testing.TB, what string, is func() bool, details ...func() string) {
	t.Helper()
	for end := time.Now().Add(Patience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			var all strings.Builder
			for _, detail := range details {
				all.WriteString("\n" + detail())
			}
			t.Fatalf("in %s it did not come to pass that %s%s", Patience, what, all.String())
		}
	}
}

// UntilLinkLocal waits until the interface has a link-local IPv6 address that can be used.
func (s Space) UntilLinkLocal(t testing.TB, device string) {
	t.Helper()
	Until(t, device+" has a link-local address", func() bool {
		out := s.Run(t, "ip -6 addr show scope link dev "+device)
		return strings.Contains(out, "fe80") && !strings.Contains(out, "tentative")
	}, func() string { return s.Run(t, "ip addr") })
}

// Output is what something that runs in the background has written so far. The zero value is empty, and many may
// write to it and read it at once.
type Output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write adds to the text.
func (o *Output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

// String returns all that has been written.
func (o *Output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// Says waits until the text has the part in it.
func (o *Output) Says(t testing.TB, part string) {
	t.Helper()
	Until(t, "it says "+part, func() bool { return strings.Contains(o.String(), part) }, o.String)
}

// Program is a program that runs in the background; its output is what it has printed.
type Program struct {
	Output
	t       testing.TB
	process *os.Process
}

// Start starts a program in the namespace and ends it after the test. env(1) as the first word sets its environment.
func (s Space) Start(t testing.TB, command ...string) *Program {
	t.Helper()
	p, cmd := &Program{t: t}, s.Command(command...)
	cmd.Stdout, cmd.Stderr = &p.Output, &p.Output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.process = cmd.Process
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // of one that has ended, it is refused
		_ = cmd.Wait()
	})
	return p
}

// Signal sends a signal to the program, which must still run.
func (p *Program) Signal(signal os.Signal) {
	p.t.Helper()
	if err := p.process.Signal(signal); err != nil {
		p.t.Fatalf("send %s: %v\n%s", signal, err, p.String())
	}
}

// Keep runs a service, which what names, until the test ends or end is called. It must return nil then.
func Keep(t testing.TB, what string, run func(context.Context) error) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("%s ended: got %v; want nothing", what, err)
		}
	})
	t.Cleanup(end)
	return end
}
