package udp_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// patience bounds every wait; no test passes or fails by how fast it was within it.
const patience = 20 * time.Second

func listen(t *testing.T, network, addr, iface string) *udp.Conn {
	t.Helper()
	conn, err := udp.Listen(t.Context(), network, addr, iface)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// serve runs Serve and returns a function that stops it and returns its error.
func serve(t *testing.T, conn *udp.Conn, workers int, handle func(context.Context, udp.Datagram)) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- udp.Serve(ctx, conn, workers, handle) }()
	stop = sync.OnceValue(func() error {
		cancel()
		select {
		case err := <-result:
			return err
		case <-time.After(patience):
			return fmt.Errorf("Serve did not return")
		}
	})
	t.Cleanup(func() { stop() })
	return stop
}

func dial(t *testing.T, to netip.AddrPort) *net.UDPConn {
	t.Helper()
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn
}

func ask(t *testing.T, conn *net.UDPConn, question string) string {
	t.Helper()
	if _, err := conn.Write([]byte(question)); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, udp.MaxPayload)
	n, err := conn.Read(answer)
	if err != nil {
		t.Fatal(err)
	}
	return string(answer[:n])
}

func TestAReplyComesFromTheAddressThatWasAsked(t *testing.T) {
	loopback, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	cases := []struct{ name, network, listen, ask string }{
		{"IPv4, an address that routing would not choose", "udp4", "0.0.0.0:0", "127.0.0.77"},
		{"IPv6", "udp6", "[::]:0", "::1"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := listen(t, c.network, c.listen, "")
			stop := serve(t, conn, 2, func(_ context.Context, d udp.Datagram) {
				answer := fmt.Sprintf("%s for %s by %d", d.Payload, d.To, d.IfIndex)
				if err := conn.Reply(d, []byte(answer)); err != nil {
					t.Error(err)
				}
			})
			// A connected socket takes answers only from the address it is connected to.
			client := dial(t, netip.AddrPortFrom(netip.MustParseAddr(c.ask), conn.LocalAddr().Port()))
			if got, want := ask(t, client, "hello"), fmt.Sprintf("hello for %s by %d", c.ask, loopback.Index); got != want {
				t.Errorf("got %q; want %q", got, want)
			}
			if err := stop(); err != nil {
				t.Errorf("got %v from a stopped Serve; want nil", err)
			}
		})
	}
}

func TestDatagramsOfOneClientStayInOrder(t *testing.T) {
	const clients, each = 8, 200
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	var mu sync.Mutex
	seen := map[netip.AddrPort][]string{}
	var count atomic.Int64
	serve(t, conn, 4, func(_ context.Context, d udp.Datagram) {
		mu.Lock()
		seen[d.From] = append(seen[d.From], string(d.Payload))
		mu.Unlock()
		count.Add(1)
	})
	var senders sync.WaitGroup
	for range clients {
		client := dial(t, conn.LocalAddr())
		senders.Go(func() {
			for i := range each {
				client.Write(fmt.Appendf(nil, "%04d", i))
			}
		})
	}
	senders.Wait()
	waitUntil(t, "all datagrams are handled or dropped", func() bool {
		return uint64(count.Load())+conn.Stats().Dropped == clients*each
	})
	mu.Lock()
	defer mu.Unlock()
	for from, payloads := range seen {
		for i := 1; i < len(payloads); i++ {
			if payloads[i-1] >= payloads[i] {
				t.Fatalf("%s: got %s after %s", from, payloads[i], payloads[i-1])
			}
		}
	}
}

func TestAClientThatIsHandledSlowlyHoldsUpNobodyElseAndItsExcessIsCounted(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	release := make(chan struct{})
	var slowKey atomic.Uint64
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	key := func(d udp.Datagram) uint64 { // the sender says which worker it wants
		return uint64(d.Payload[0] - '0')
	}
	go func() {
		done <- udp.ServeBy(ctx, conn, 2, key, func(_ context.Context, d udp.Datagram) {
			if d.Payload[0] == '0' {
				slowKey.Add(1)
				<-release
				return
			}
			conn.Reply(d, []byte("quick"))
		})
	}()
	client := dial(t, conn.LocalAddr())
	for range 1000 {
		client.Write([]byte("0"))
	}
	if got := ask(t, client, "1"); got != "quick" {
		t.Errorf("got %q; want quick", got)
	}
	waitUntil(t, "the excess is counted", func() bool {
		s := conn.Stats()
		return s.Dropped > 0 && s.Dropped+s.Received == 1001
	})
	close(release)
	cancel()
	if err := <-done; err != nil {
		t.Errorf("got %v; want nil", err)
	}
	if got := slowKey.Load(); got != conn.Stats().Received-1 {
		t.Errorf("Serve returned after %d handlers; want all %d", got, conn.Stats().Received-1)
	}
}

func TestServeReturnsOnlyWhenAllHandlersHave(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	entered, finished := make(chan struct{}), atomic.Bool{}
	stop := serve(t, conn, 1, func(ctx context.Context, _ udp.Datagram) {
		close(entered)
		<-ctx.Done()
		finished.Store(true)
	})
	dial(t, conn.LocalAddr()).Write([]byte("x"))
	<-entered
	if err := stop(); err != nil || !finished.Load() {
		t.Errorf("got error %v, handler finished %t; want nil, true", err, finished.Load())
	}
}

func TestADatagramThatDoesNotFitIsCountedAndNotHandled(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	var got []int
	stop := serve(t, conn, 1, func(_ context.Context, d udp.Datagram) {
		got = append(got, len(d.Payload))
		conn.Reply(d, []byte("ok"))
	})
	client := dial(t, conn.LocalAddr())
	client.Write(make([]byte, udp.MaxPayload+1))
	ask(t, client, strings.Repeat("x", udp.MaxPayload))
	stop()
	if len(got) != 1 || got[0] != udp.MaxPayload || conn.Stats().Oversize != 1 {
		t.Errorf("got payloads of %v bytes and %+v; want one of %d and 1 oversize", got, conn.Stats(), udp.MaxPayload)
	}
}

func TestServeTellsWhenTheSocketIsClosedUnderIt(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	result := make(chan error, 1)
	go func() { result <- udp.Serve(t.Context(), conn, 1, func(context.Context, udp.Datagram) {}) }()
	conn.Close()
	select {
	case err := <-result:
		if err == nil {
			t.Error("got nil; want the read error")
		}
	case <-time.After(patience):
		t.Fatal("Serve did not return")
	}
}

func TestListenSaysWhyItCannot(t *testing.T) {
	taken := listen(t, "udp4", "127.0.0.1:0", "").LocalAddr()
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		t.Fatal(err)
	}
	holder := fmt.Sprintf("%s (pid %d)", strings.TrimSpace(string(comm)), os.Getpid())
	cases := []struct {
		name, network, addr, iface string
		code                       metal.Code
		says                       []string
	}{
		{"a port that is taken", "udp4", taken.String(), "", metal.Conflict, []string{taken.String(), "taken by " + holder, "stop"}},
		{"a second server on every address", "udp4", fmt.Sprintf("0.0.0.0:%d", taken.Port()), "", metal.Conflict, []string{"taken by " + holder}},
		{"an interface that does not exist", "udp4", "0.0.0.0:0", "nosuch0", metal.NotFound, []string{`"nosuch0"`}},
		{"an address of another machine", "udp4", "192.0.2.1:0", "", metal.Invalid, []string{"192.0.2.1:0"}},
		{"a network without a family", "udp", "127.0.0.1:0", "", metal.Invalid, []string{"udp4 or udp6"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn, err := udp.Listen(t.Context(), c.network, c.addr, c.iface)
			if err == nil {
				conn.Close()
				t.Fatal("got a socket; want an error")
			}
			if got := metal.CodeOf(err); got != c.code {
				t.Errorf("got code %s of %v; want %s", got, err, c.code)
			}
			for _, part := range c.says {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("got %q; want it to say %q", err, part)
				}
			}
		})
	}
}

func TestASocketMayBroadcastAndSharesItsPortOnlyAfterItHasIt(t *testing.T) {
	conn := listen(t, "udp4", "0.0.0.0:0", "")
	if got := option(t, conn, unix.SO_BROADCAST); got != 1 {
		t.Errorf("got SO_BROADCAST %d; want 1", got)
	}
	later := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) })
	}}
	other, err := later.ListenPacket(t.Context(), "udp4", fmt.Sprintf("127.0.0.9:%d", conn.LocalAddr().Port()))
	if err != nil {
		t.Fatalf("a later service that shares: got %v; want the port on its own address", err)
	}
	other.Close()
}

func TestASocketBoundToAnInterfaceTakesTheWholePortThere(t *testing.T) {
	conn := listen(t, "udp4", "0.0.0.0:0", "lo")
	if got := option(t, conn, unix.SO_REUSEADDR); got != 0 {
		t.Errorf("got SO_REUSEADDR %d; want 0", got)
	}
	if _, err := udp.Listen(t.Context(), "udp4", conn.LocalAddr().String(), "lo"); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("second socket: got %v; want %s", err, metal.Conflict)
	}
	serve(t, conn, 1, func(_ context.Context, d udp.Datagram) { conn.Reply(d, d.Payload) })
	client := dial(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), conn.LocalAddr().Port()))
	if got := ask(t, client, "by lo"); got != "by lo" {
		t.Errorf("got %q; want %q", got, "by lo")
	}
}

func BenchmarkEcho(b *testing.B) {
	conn, err := udp.Listen(b.Context(), "udp4", "127.0.0.1:0", "")
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() {
		done <- udp.Serve(ctx, conn, 2, func(_ context.Context, d udp.Datagram) { conn.Reply(d, d.Payload) })
	}()
	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(conn.LocalAddr()))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	client.SetDeadline(time.Now().Add(patience))
	answer := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		client.Write(answer)
		if _, err := client.Read(answer); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-done
}

// option reads a socket option of conn.
func option(t *testing.T, conn *udp.Conn, name int) (value int) {
	t.Helper()
	raw, err := conn.Socket().SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) {
		value, failed = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, name)
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return value
}

func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited %s for: %s", patience, what)
		}
		time.Sleep(time.Millisecond)
	}
}
