package testnet

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// up makes a network that is gone after the test.
func up(t *testing.T) *Net {
	t.Helper()
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("needs root")
		}
		t.Skip("needs root")
	}
	n, err := Up(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
		for _, side := range []Side{n.Server, n.Client} {
			if _, err := os.Stat(filepath.Join("/run/netns", side.Namespace)); err == nil {
				t.Errorf("namespace %s is left", side.Namespace)
			}
		}
	})
	return n
}

func TestBothSidesReachEachOther(t *testing.T) {
	n := up(t)
	for _, network := range []struct{ name, listen, from string }{
		{"udp4", net.JoinHostPort(n.Server.Addr.String(), "9999"), "0.0.0.0:0"},
		{"udp6", net.JoinHostPort(n.Server.Addr6.String(), "9999"), "[::]:0"},
		{"udp4", net.JoinHostPort(n.Server.Addr.String(), "9999"), "10.200.7.9:0"},
	} {
		var server, client net.PacketConn
		open := func(side Side, address string) (conn net.PacketConn) {
			err := side.Inside(func() (err error) {
				conn, err = net.ListenPacket(network.name, address)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { conn.Close() })
			return conn
		}
		server, client = open(n.Server, network.listen), open(n.Client, network.from)
		to, err := net.ResolveUDPAddr(network.name, network.listen)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.WriteTo([]byte("hello"), to); err != nil {
			t.Fatal(err)
		}
		if err := server.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 9)
		length, from, err := server.ReadFrom(b)
		if err != nil || string(b[:length]) != "hello" {
			t.Errorf("from %s got %q, %v; want hello", network.from, b[:length], err)
		}
		if want, _, _ := net.SplitHostPort(network.from); !strings.Contains(want, "0.0.0.0") && want != "::" && !strings.HasPrefix(from.String(), want) {
			t.Errorf("got sender %s; want %s", from, want)
		}
		server.Close()
	}
}

func TestInsideLeavesTheThreadWhereItWas(t *testing.T) {
	n := up(t)
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	names := func() []string {
		all, err := net.Interfaces()
		if err != nil {
			t.Error(err)
		}
		var names []string
		for _, i := range all {
			names = append(names, i.Name)
		}
		return names
	}
	before := names()
	err := n.Server.visit(func() error {
		if got := names(); !slices.Contains(got, n.Server.Interface) {
			t.Errorf("inside got interfaces %v; want %s", got, n.Server.Interface)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := names(); !slices.Equal(got, before) {
		t.Errorf("got interfaces %v afterwards; want %v", got, before)
	}
}

func TestAProcessRunsOnItsCoreAndIsStopped(t *testing.T) {
	n := up(t)
	log := filepath.Join(t.TempDir(), "log")
	p, err := n.Server.Start(Program{Path: "sh", Args: []string{"-c", "taskset -p $$; ls /sys/class/net >&2; echo $WORD; exec sleep 1000"}, Env: []string{"WORD=ready"}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	said := func() string {
		text, err := os.ReadFile(log)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := p.Await(ctx, func(context.Context) bool { return strings.Contains(said(), "ready") }); err != nil {
		t.Fatal(err)
	}
	if want := "affinity mask: 1\n"; n.Server.Core == 0 && !strings.Contains(said(), want) {
		t.Errorf("got %q; want %q", said(), want)
	}
	if cpu, err := p.CPU(); err != nil || cpu > time.Minute {
		t.Errorf("got a processor time of %s, %v; want little", cpu, err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := p.CPU(); err == nil {
		t.Error("the process is still there")
	}
}

func TestAProcessThatEndsAtItsStartIsAnErrorWithItsLog(t *testing.T) {
	n := up(t)
	p, err := n.Client.Start(Program{Path: "sh", Args: []string{"-c", "echo cannot bind; exit 3"}, Log: filepath.Join(t.TempDir(), "log")})
	if err != nil {
		t.Fatal(err)
	}
	err = p.Await(t.Context(), func(context.Context) bool { return false })
	if err == nil || !strings.Contains(err.Error(), "cannot bind") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("got %v; want its exit status and its log", err)
	}
	if err := p.Stop(); err != nil {
		t.Errorf("stop it after its end: %v", err)
	}
}

func TestRunReturnsWhatIsSaidWhateverTheExitCode(t *testing.T) {
	n := up(t)
	out, err := n.Client.Run(t.Context(), Program{Path: "sh", Args: []string{"-c", "echo 3 lost; exit 3"}})
	if err != nil || string(out) != "3 lost\n" {
		t.Errorf("got %q, %v; want the report", out, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Client.Run(ctx, Program{Path: "sleep", Args: []string{"1000"}}); err == nil {
		t.Error("got no error of a program that was stopped")
	}
}

func TestTheProcessorTimeIsRead(t *testing.T) {
	got, err := parseCPU([]byte("77 (a (strange) name) S 1 77 77 0 -1 4194560 100 0 0 0 250 50 7 8 20 0 1 0 100 1000 10\n"))
	if want := 3 * time.Second; err != nil || got != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
	for _, text := range []string{"", "77 (name) S 1", "77 (name) S 1 77 77 0 -1 4194560 100 0 0 0 x y 7 8"} {
		if _, err := parseCPU([]byte(text)); err == nil {
			t.Errorf("%q: got no error", text)
		}
	}
}
