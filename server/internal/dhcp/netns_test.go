package dhcp

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"log/slog"
	"net/netip"
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
const patience = time.Minute

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

// unpacked returns the path of a program of another product that is unpacked below METAL_PEERS, and the environment to
// run it in.
func unpacked(t *testing.T, path string) (program string, env []string) {
	t.Helper()
	dir := os.Getenv("METAL_PEERS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", ".cache", "peers")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, path)
	need(t, program)
	lib := filepath.Join(dir, "usr", "lib")
	return program, []string{"LD_LIBRARY_PATH=" + strings.Join([]string{filepath.Join(lib, "x86_64-linux-gnu"), lib, filepath.Join(dir, "lib", "x86_64-linux-gnu")}, ":")}
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
	name := fmt.Sprintf("dhcp%d%08x%s", os.Getpid(), crc32.ChecksumIEEE([]byte(t.Name())), suffix) // its own, beside parallel tests
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

// program starts a program in the namespace and ends it after the test. env is added to that of the test.
func program(t *testing.T, ns string, env []string, command ...string) (*output, *os.Process) {
	t.Helper()
	out := &output{}
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, command...)...)
	cmd.Stdout, cmd.Stderr, cmd.Env = out, out, append(os.Environ(), env...)
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

// serve runs a server on an interface of a namespace until the test ends, and returns its log.
func serve(t *testing.T, ns, iface string, addr netip.Addr, store Store, changes ...func(*Config)) *output {
	t.Helper()
	log := &output{}
	cfg := Config{Interface: iface, Ours: addr, Store: store, Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for _, change := range changes {
		change(&cfg)
	}
	var s *Server
	in(t, ns, func() (err error) {
		s, err = New(t.Context(), cfg)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the DHCP server ended: got %v; want nothing", err)
		}
	})
	return log
}

// near is a server's namespace with the address 172.31.0.1/24 on eth0, and a client's on the same wire.
func near(t *testing.T) (server, client string) {
	t.Helper()
	server, client = namespace(t, "s"), namespace(t, "c")
	wire(t, server, "eth0", client, "eth0")
	sh(t, server, "ip addr add 172.31.0.1/24 dev eth0")
	return server, client
}
