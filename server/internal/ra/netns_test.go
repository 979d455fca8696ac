package ra

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// patience bounds every wait; no test passes or fails by how fast it was within it.
const patience = 60 * time.Second

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
	if missing == "" {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs %s", missing)
	}
	t.Skipf("this test needs %s", missing)
}

// run runs a command to its end and returns what it printed.
func run(t *testing.T, command ...string) string {
	t.Helper()
	out, err := exec.Command(command[0], command[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// newNamespace makes a network namespace that is gone after the test.
func newNamespace(t *testing.T, suffix string) string {
	t.Helper()
	name := fmt.Sprintf("ra%d%s", os.Getpid(), suffix)
	run(t, "ip", "netns", "add", name)
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	run(t, "ip", "-n", name, "link", "set", "lo", "up")
	return name
}

// in runs act in the namespace, on a thread of its own: sockets that are opened there stay there.
func in(t *testing.T, name string, act func()) {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		// Not unlocked: the thread has changed its namespace, so it must end with the goroutine.
		runtime.LockOSThread()
		handle, err := netns.GetFromName(name)
		if err == nil {
			defer handle.Close()
			err = netns.Set(handle)
		}
		if err == nil {
			act()
		}
		result <- err
	}()
	if err := <-result; err != nil {
		t.Fatalf("enter namespace %s: %v", name, err)
	}
}

// output is what a program that runs in the background prints.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// background starts a program in the namespace and ends it after the test.
func background(t *testing.T, name string, command ...string) *output {
	t.Helper()
	out := &output{}
	cmd := exec.Command("ip", append([]string{"netns", "exec", name}, command...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // ip has exec'ed the program: it is the same process
		cmd.Wait()
	})
	return out
}

// start runs a server on the interface of the namespace until the test ends, and returns its log.
func start(t *testing.T, name, iface string, config Config) *output {
	t.Helper()
	log := &output{}
	var server *Server
	var err error
	in(t, name, func() {
		server, err = New(iface, config, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})))
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- server.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run of a server that was stopped: got %v; want nil", err)
		}
	})
	return log
}

// waitForLinkLocal waits until the interface has passed duplicate address detection.
func waitForLinkLocal(t *testing.T, name, iface string) {
	t.Helper()
	waitUntil(t, iface+" has a link-local address that is not tentative", func() bool {
		out := run(t, "ip", "-n", name, "-6", "addr", "show", "dev", iface, "scope", "link")
		return strings.Contains(out, "fe80") && !strings.Contains(out, "tentative")
	})
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
