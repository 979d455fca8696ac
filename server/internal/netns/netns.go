// Package netns runs tests in network namespaces of their own: real programs, real sockets and real interfaces that
// nothing else on the machine sees. Only tests import it.
//
// Every wait has the same long bound, [Patience]: a test waits for what follows, however loaded the machine is, and
// fails by what comes to pass and not by when.
package netns

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/vishvananda/netns"
)

// Space is a network namespace, by its name.
type Space string

// Need skips the test where the user is not root or one of the tools (names, or paths of files) is missing. In CI
// (the environment variable CI is set) both must be there: the test fails.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	missing := ""
	if os.Getuid() != 0 {
		missing = "root"
	}
	for _, tool := range append(tools, "ip") {
		if filepath.IsAbs(tool) {
			if _, err := os.Stat(tool); err != nil {
				missing = tool
			}
		} else if _, err := exec.LookPath(tool); err != nil {
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

// Peer returns the command line that runs a program of another product that is unpacked and not installed, by its
// path below METAL_PEERS (or below .cache/peers of the repository), and skips the test like [Need] where it is not.
func Peer(t testing.TB, path string) []string {
	t.Helper()
	dir := os.Getenv("METAL_PEERS")
	if dir == "" {
		top, err := exec.Command("go", "env", "GOMOD").Output()
		if err != nil {
			t.Fatalf("find the top of the repository: %v", err)
		}
		dir = filepath.Join(filepath.Dir(strings.TrimSpace(string(top))), ".cache", "peers")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	program, lib := filepath.Join(dir, path), filepath.Join(dir, "usr", "lib")
	Need(t, program)
	libraries := []string{filepath.Join(lib, "x86_64-linux-gnu"), lib, filepath.Join(dir, "lib", "x86_64-linux-gnu")}
	return []string{"env", "LD_LIBRARY_PATH=" + strings.Join(libraries, ":"), program}
}

// New makes a namespace, with its loopback interface up, that is gone after the test. Two of one name never meet,
// whichever tests run beside this one; the suffix tells those of one test apart.
func New(t testing.TB, suffix string) Space {
	t.Helper()
	Need(t)
	s := Space(fmt.Sprintf("test%d-%08x%s", os.Getpid(), rand.Uint32(), suffix))
	if out, err := exec.Command("ip", "netns", "add", string(s)).CombinedOutput(); err != nil {
		t.Fatalf("make namespace %s: %v\n%s", s, err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", string(s)).CombinedOutput(); err != nil {
			t.Logf("remove namespace %s: %v\n%s", s, err, out)
		}
	})
	s.Run(t, "ip link set lo up")
	return s
}

// WithoutDAD makes the IPv6 addresses of interfaces that come later usable at once: duplicates are not looked for.
func (s Space) WithoutDAD(t testing.TB) Space {
	t.Helper()
	s.Run(t, "sysctl -q -w net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.disable_ipv6=0")
	return s
}

// Wire joins two namespaces by a veth pair whose ends have these names. Both are up.
func Wire(t testing.TB, a Space, endA string, b Space, endB string) {
	t.Helper()
	a.Run(t, fmt.Sprintf("ip link add %s type veth peer name %s netns %s", endA, endB, b))
	a.Run(t, "ip link set "+endA+" up")
	b.Run(t, "ip link set "+endB+" up")
}

// Run runs a command line in the namespace, words split at blanks, and returns what it printed.
func (s Space) Run(t testing.TB, line string) string {
	t.Helper()
	out, err := s.Command(strings.Fields(line)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}

// Command is a command, not yet started, that runs in the namespace. ip becomes the program: the process is its own.
func (s Space) Command(words ...string) *exec.Cmd {
	return exec.Command("ip", append([]string{"netns", "exec", string(s)}, words...)...)
}

// In runs act in the namespace, on a thread of its own, and returns its error: sockets that are opened there stay
// there, goroutines that are started there do not.
func (s Space) In(act func() error) error {
	result := make(chan error, 1)
	go func() {
		// Not unlocked: the thread has changed its namespace, so it must end with the goroutine.
		runtime.LockOSThread()
		result <- s.enter(act)
	}()
	return <-result
}

func (s Space) enter(act func() error) error {
	handle, err := netns.GetFromName(string(s))
	if err != nil {
		return fmt.Errorf("find namespace %s: %w", s, err)
	}
	defer handle.Close()
	if err := netns.Set(handle); err != nil {
		return fmt.Errorf("enter namespace %s: %w", s, err)
	}
	return act()
}

// Must is In for what must go well.
func (s Space) Must(t testing.TB, act func() error) {
	t.Helper()
	if err := s.In(act); err != nil {
		t.Fatalf("in namespace %s: %v", s, err)
	}
}
