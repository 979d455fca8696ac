package ntp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// need skips the test where a tool is missing or the user is not root, but not in CI.
func need(t *testing.T, tool string) {
	t.Helper()
	_, err := exec.LookPath(tool)
	if err == nil && os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("this test needs root and %s", tool)
	}
	t.Skipf("this test needs root and %s", tool)
}

// serve answers on addresses until the test ends.
func serve(t *testing.T, clock func(time.Time) (Clock, error), conns ...*udp.Conn) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- New(conns, clock, slog.New(slog.DiscardHandler)).Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run of a server that was stopped: got %v; want nil", err)
		}
	})
}

func listen(t *testing.T, network, addr string) *udp.Conn {
	t.Helper()
	conn, err := udp.Listen(t.Context(), network, addr, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func synchronised(now time.Time) (Clock, error) {
	return Clock{Synchronised: true, Stratum: 4, RootDispersion: time.Millisecond, RefID: kernelRefID, RefTime: now.Truncate(time.Second)}, nil
}

// chronyd measures once and prints the offset; it sets no clock (-Q).
func chronyd(t *testing.T, conn *udp.Conn) (string, error) {
	server := fmt.Sprintf("server %s port %d iburst maxsamples 4", conn.LocalAddr().Addr(), conn.LocalAddr().Port())
	out, err := exec.Command("chronyd", "-Q", "-t", "10", "-f", "/dev/null", "cmdport 0", "pidfile "+t.TempDir()+"/pid", server).CombinedOutput()
	return string(out), err
}

func TestChronyTakesOurTime(t *testing.T) {
	t.Parallel() // iburst waits two seconds between packets
	need(t, "chronyd")
	for _, c := range []struct{ name, network, addr string }{{"IPv4", "udp4", "127.0.0.1:0"}, {"IPv6", "udp6", "[::1]:0"}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			conn := listen(t, c.network, c.addr)
			serve(t, synchronised, conn)
			out, err := chronyd(t, conn)
			if err != nil || !strings.Contains(out, "System clock wrong by 0.0") && !strings.Contains(out, "System clock wrong by -0.0") {
				t.Errorf("got %v; want an offset of almost nothing:\n%s", err, out)
			}
		})
	}
}

func TestChronyTakesNoTimeFromAClockThatIsNotSynchronised(t *testing.T) {
	t.Parallel()
	need(t, "chronyd")
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, func(time.Time) (Clock, error) { return Clock{}, errors.New("no adjtimex here") }, conn)
	if out, err := chronyd(t, conn); err == nil || !strings.Contains(out, "No suitable source") {
		t.Errorf("got %v; want no suitable source:\n%s", err, out)
	}
}

// TestNtpdate needs port 123, and so a namespace.
func TestNtpdate(t *testing.T) {
	need(t, "ntpdate")
	name := fmt.Sprintf("ntp%d", os.Getpid())
	if out, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Cleanup(func() { exec.Command("ip", "netns", "del", name).Run() })
	if out, err := exec.Command("ip", "-n", name, "link", "set", "lo", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	opened := make(chan *udp.Conn)
	failed := make(chan error)
	go func() {
		runtime.LockOSThread() // and not unlocked: the thread ends with its namespace
		handle, err := netns.GetFromName(name)
		if err == nil {
			defer handle.Close()
			err = netns.Set(handle)
		}
		var conn *udp.Conn
		if err == nil {
			conn, err = udp.Listen(t.Context(), "udp4", "127.0.0.1:123", "")
		}
		if err != nil {
			failed <- err
			return
		}
		opened <- conn
	}()
	select {
	case err := <-failed:
		t.Fatal(err)
	case conn := <-opened:
		serve(t, synchronised, conn)
	}
	for _, version := range []string{"3", "4"} {
		out, err := exec.Command("ip", "netns", "exec", name, "ntpdate", "-q", "-p", "2", "-o", version, "127.0.0.1").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "stratum 4") && !strings.Contains(string(out), "s4") {
			t.Errorf("version %s: got %v; want stratum 4:\n%s", version, err, out)
		}
	}
}

func TestAClientThatAsksTooOftenGetsAKissAndThenNothing(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0")
	serve(t, synchronised, conn)
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(conn.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(20 * time.Second))
	reply := make([]byte, 512)
	for i := range burst + 1 {
		client.Write(unhex(t, ask("23")))
		n, err := client.Read(reply)
		if err != nil {
			t.Fatalf("request %d: %v", i, err)
		}
		if kissed := bytes.Equal(reply[12:16], []byte("RATE")); n != packetSize || (kissed && i < burst) {
			t.Fatalf("request %d: got % x", i, reply[:n])
		}
	}
	if !bytes.Equal(reply[12:16], []byte("RATE")) {
		t.Errorf("got % x; want a kiss with RATE", reply[:packetSize])
	}
}
