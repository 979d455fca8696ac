package dhcp6

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// patience bounds every wait for a real program; no test passes or fails by how fast it was within it.
const patience = 90 * time.Second

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

// peer finds a program that is unpacked below METAL_PEERS and not installed, and returns the command line that runs it.
func peer(t *testing.T, name string) []string {
	t.Helper()
	dir := os.Getenv("METAL_PEERS")
	if dir == "" {
		dir = "../../../.cache/peers"
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "usr/sbin", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("this test needs %s", path)
		}
		t.Skipf("this test needs %s", path)
	}
	libraries := strings.Join([]string{dir + "/usr/lib/x86_64-linux-gnu", dir + "/usr/lib", dir + "/lib/x86_64-linux-gnu"}, ":")
	return []string{"env", "LD_LIBRARY_PATH=" + libraries, path}
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
	name := fmt.Sprintf("d6-%d-%x%s", os.Getpid(), rand.Uint32(), suffix)
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("make namespace %s: %v\n%s", name, err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	sh(t, name, "sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.disable_ipv6=0")
	sh(t, name, "ip link set lo up")
	return name
}

// wire joins two namespaces by a veth pair whose ends have these names, the second the MAC address of the tests' client.
func wire(t *testing.T, a, endA, b, endB string) {
	t.Helper()
	sh(t, a, fmt.Sprintf("ip link add %s type veth peer name %s netns %s", endA, endB, b))
	sh(t, b, "ip link set "+endB+" address "+string(mac))
	sh(t, a, "ip link set "+endA+" up")
	sh(t, b, "ip link set "+endB+" up")
	for ns, end := range map[string]string{a: endA, b: endB} {
		until(t, end+" has a link-local address", func() bool {
			out := sh(t, ns, "ip -6 addr show scope link dev "+end)
			return strings.Contains(out, "fe80") && !strings.Contains(out, "tentative")
		}, func() string { return "" })
	}
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

// program starts a program in the namespace and ends it after the test.
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

// serve runs a server on eth0 of the namespace until the test ends, and returns its log.
func serve(t *testing.T, ns string, store Store) *output {
	t.Helper()
	log := &output{}
	var server *Server
	in(t, ns, func() (err error) {
		server, err = New(t.Context(), Config{
			Interface: "eth0", Ours: ours, DUID: serverDUID.ToBytes(), Store: store,
			Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		return err
	})
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
