package daemon

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// patience bounds every wait for a real program; no test passes or fails by how fast it was within it.
const patience = 2 * time.Minute

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

// sh runs a command line in a namespace, words split at blanks, and returns what it printed.
func sh(t *testing.T, ns, line string) string {
	t.Helper()
	words := append([]string{"netns", "exec", ns}, strings.Fields(line)...)
	out, err := exec.Command("ip", words...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// namespace makes a network namespace that is gone after the test.
func namespace(t *testing.T, suffix string) string {
	t.Helper()
	name := fmt.Sprintf("md%d%s", os.Getpid(), suffix)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("make namespace %s: %v\n%s", name, err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	sh(t, name, "ip link set lo up")
	return name
}

// wire joins two namespaces by a veth pair whose ends have these names.
func wire(t *testing.T, a, endA, b, endB string) {
	t.Helper()
	sh(t, a, fmt.Sprintf("ip link add %s type veth peer name %s netns %s", endA, endB, b))
	sh(t, a, "ip link set "+endA+" up")
	sh(t, b, "ip link set "+endB+" up")
}

// in runs act in the namespace, on a thread of its own: sockets that are opened there stay there.
func in(t *testing.T, ns string, act func() error) {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		// Not unlocked: the thread has changed its namespace, so it must end with the goroutine.
		runtime.LockOSThread()
		result <- func() error {
			handle, err := netns.GetFromName(ns)
			if err != nil {
				return err
			}
			defer handle.Close()
			if err := netns.Set(handle); err != nil {
				return err
			}
			return act()
		}()
	}()
	if err := <-result; err != nil {
		t.Fatalf("in namespace %s: %v", ns, err)
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
func background(t *testing.T, ns string, command ...string) *output {
	t.Helper()
	out, _ := program(t, ns, command...)
	return out
}

// program is background for a test that signals the program.
func program(t *testing.T, ns string, command ...string) (*output, *os.Process) {
	t.Helper()
	out := &output{}
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, command...)...)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cmd.Process.Kill() // ip has exec'ed the program: it is the same process
		cmd.Wait()
	})
	return out, cmd.Process
}

// until polls for something to become true.
func until(t *testing.T, what string, ready func() bool, detail func() string) {
	t.Helper()
	for end := time.Now().Add(patience); !ready(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in %s it did not come to pass that %s:\n%s", patience, what, detail())
		}
	}
}
