package neighbour

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// deadline bounds every wait; no test passes or fails by how fast it was within it.
const deadline = 30 * time.Second

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

func sh(t *testing.T, line string) {
	t.Helper()
	words := strings.Fields(line)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// space makes a network namespace that is gone after the test, where IPv6 addresses can be used at once.
func space(t *testing.T, suffix string) string {
	t.Helper()
	need(t, "ip", "sysctl")
	name := fmt.Sprintf("nbr%d%s", os.Getpid(), suffix)
	sh(t, "ip netns add "+name)
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
	sh(t, "ip netns exec "+name+" sysctl -qw net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv6.conf.default.router_solicitations=0")
	sh(t, "ip -n "+name+" link set lo up")
	return name
}

// cable joins two namespaces by interfaces named for the other end, with hardware addresses that end in the numbers.
func cable(t *testing.T, left, right string, leftName, rightName string, number int) {
	t.Helper()
	sh(t, fmt.Sprintf("ip -n %s link add %s address 52:54:00:00:%02x:01 type veth peer name %s address 52:54:00:00:%02x:02 netns %s",
		left, leftName, number, rightName, number, right))
	sh(t, "ip -n "+left+" link set "+leftName+" up")
	sh(t, "ip -n "+right+" link set "+rightName+" up")
}

// enter runs act in the namespace, on a thread of its own: sockets that are opened there stay there.
func enter(name string, act func() error) error {
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
			err = act()
		}
		result <- err
	}()
	return <-result
}

func in(t *testing.T, name string, act func()) {
	t.Helper()
	if err := enter(name, func() error { act(); return nil }); err != nil {
		t.Fatalf("enter namespace %s: %v", name, err)
	}
}

// background runs a service in the namespace, and returns where its end is told.
func background(name string, run func() error) <-chan error {
	ended := make(chan error, 1)
	go func() { ended <- enter(name, run) }()
	return ended
}

func index(t *testing.T, name, device string) int {
	t.Helper()
	var found *net.Interface
	var err error
	in(t, name, func() { found, err = net.InterfaceByName(device) })
	if err != nil {
		t.Fatal(err)
	}
	return found.Index
}

// pairOfHosts is us and a peer on one link: 10.0.0.1 and 10.0.0.2, 2001:db8::1 and ::2.
func pairOfHosts(t *testing.T, suffix string) (us, peer string, link int) {
	t.Helper()
	us, peer = space(t, suffix+"a"), space(t, suffix+"b")
	cable(t, us, peer, "eth0", "eth0", 0)
	for i, name := range []string{us, peer} {
		sh(t, fmt.Sprintf("ip -n %s addr add 10.0.0.%d/24 dev eth0", name, i+1))
		sh(t, fmt.Sprintf("ip -n %s addr add 2001:db8::%d/64 dev eth0 nodad", name, i+1))
	}
	return us, peer, index(t, us, "eth0")
}
