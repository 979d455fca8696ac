package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// newNamespace makes a network of its own: a bridge as 172.31.0.1/24 and one tap for a machine.
func newNamespace(t *testing.T) string {
	t.Helper()
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("network namespaces need root")
		}
		t.Skip("network namespaces need root")
	}
	ns := fmt.Sprintf("agent-%d", os.Getpid())
	run(t, "ip", "netns", "add", ns)
	t.Cleanup(func() {
		if said, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
			t.Errorf("delete the namespace: %v: %s", err, said)
		}
	})
	for _, words := range []string{
		"link set lo up",
		"link add br0 type bridge forward_delay 0 stp_state 0 mcast_snooping 0",
		"addr add 172.31.0.1/24 dev br0",
		"link set br0 up",
		"tuntap add tap0 mode tap",
		"link set tap0 master br0 up",
	} {
		run(t, "ip", append([]string{"-n", ns}, strings.Fields(words)...)...)
	}
	return ns
}

// startDNSMasq serves DHCP in the namespace until the test ends.
func startDNSMasq(t *testing.T, ns, dir string) {
	t.Helper()
	lease := filepath.Join(dir, "leases")
	server := exec.Command("ip", "netns", "exec", ns, "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
		"--port=0", "--interface=br0", "--bind-interfaces", "--dhcp-range=172.31.0.100,172.31.0.200,1h", "--no-ping",
		"--dhcp-leasefile="+lease, "--pid-file="+filepath.Join(dir, "dnsmasq.pid"), "--user=root", "--log-facility=-")
	if err := server.Start(); err != nil {
		t.Fatalf("dnsmasq: %v", err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait() // tells that it was killed
	})
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(lease); err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("dnsmasq did not begin within 10 s")
		}
	}
}

// inNamespace calls do on a thread inside the namespace.
func inNamespace(t *testing.T, ns string, do func() error) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		handle, err := netns.GetFromName(ns)
		if err == nil {
			defer handle.Close()
			err = netns.Set(handle)
		}
		if err == nil {
			err = do()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("in namespace %s: %v", ns, err)
	}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	if said, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, said)
	}
}

// needTools skips the test where a tool is missing; in CI that is a failure.
func needTools(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
}
