package udp_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// heard reads count datagrams, and returns how often each was there.
func heard(t *testing.T, conn *net.UDPConn, count int) map[string]int {
	t.Helper()
	got := map[string]int{}
	buffer := make([]byte, udp.MaxPayload)
	for range count {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("after %d datagrams: %v", len(got), err)
		}
		got[string(buffer[:n])]++
	}
	return got
}

// receiver is a socket that replies go to.
func receiver(t *testing.T, network, addr string) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenPacket(network, addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	return conn.(*net.UDPConn), conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

func text(s string) func([]byte) []byte { return func(b []byte) []byte { return append(b, s...) } }

func TestABatchSendsEveryDatagramOnce(t *testing.T) {
	for _, family := range []struct{ network, addr, source string }{{"udp4", "127.0.0.1:0", "127.0.0.9"}, {"udp6", "[::1]:0", "::1"}} {
		conn := listen(t, family.network, family.addr, "")
		in, to := receiver(t, family.network, family.addr)
		batch := conn.Batch(func(to netip.AddrPort, err error) { t.Errorf("send to %s: %v", to, err) })
		const count = 100 // more than fit into one batch; the memory of the first serves the others
		for i := range count {
			batch.Put(to, netip.Addr{}, 0, text(fmt.Sprintf("%d%s", i, strings.Repeat("x", (count-i)*10))))
		}
		batch.Flush()
		batch.Flush() // nothing is left
		got := heard(t, in, count)
		for i := range count {
			if want := fmt.Sprintf("%d%s", i, strings.Repeat("x", (count-i)*10)); got[want] != 1 {
				t.Errorf("%s: got datagram %d %d times; want it once", family.network, i, got[want])
			}
		}
	}
}

func TestABatchSendsFromTheAddressThatIsChosen(t *testing.T) {
	conn := listen(t, "udp4", "0.0.0.0:0", "")
	in, to := receiver(t, "udp4", "127.0.0.1:0")
	batch := conn.Batch(func(to netip.AddrPort, err error) { t.Errorf("send to %s: %v", to, err) })
	batch.Put(to, netip.MustParseAddr("127.0.0.9"), 0, text("hello"))
	batch.Flush()
	_, from, err := in.ReadFromUDPAddrPort(make([]byte, 9))
	if err != nil || from.Addr().Unmap() != netip.MustParseAddr("127.0.0.9") {
		t.Errorf("got a datagram from %s, %v; want it from 127.0.0.9", from, err)
	}
}

func TestADatagramThatCannotBeSentDoesNotHoldUpTheOthers(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	in, to := receiver(t, "udp4", "127.0.0.1:0")
	nowhere := netip.MustParseAddrPort("203.0.113.1:9") // from a loopback address
	var failed []netip.AddrPort
	batch := conn.Batch(func(to netip.AddrPort, err error) { failed = append(failed, to) })
	for _, d := range []struct {
		to   netip.AddrPort
		text string
	}{{nowhere, "a"}, {to, "b"}, {nowhere, "c"}, {nowhere, "d"}, {to, "e"}} {
		batch.Put(d.to, netip.Addr{}, 0, text(d.text))
	}
	batch.Flush()
	if got := heard(t, in, 2); got["b"] != 1 || got["e"] != 1 {
		t.Errorf("got %v; want b and e", got)
	}
	if len(failed) != 3 || failed[0] != nowhere {
		t.Errorf("got %v told; want %s three times", failed, nowhere)
	}
}

func TestAnOutboxSendsWhatIsAddedAndThenEnds(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	in, to := receiver(t, "udp4", "127.0.0.1:0")
	box := udp.NewOutbox[int](1000)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	batch := conn.Batch(func(to netip.AddrPort, err error) { t.Errorf("send to %s: %v", to, err) })
	go func() {
		ended <- box.Run(ctx, batch, func(n int, b *udp.Batch) { b.Put(to, netip.Addr{}, 0, text(fmt.Sprint(n))) })
	}()
	const count = 200
	for n := range count {
		box.Add(n)
	}
	if got := heard(t, in, count); len(got) != count {
		t.Errorf("got %d different replies; want %d", len(got), count)
	}
	cancel()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("got %v; want nothing", err)
		}
	case <-time.After(patience):
		t.Error("Run did not return")
	}
}

func TestAnOutboxThatIsFullLosesRepliesAndNeverWaits(t *testing.T) {
	box := udp.NewOutbox[int](3)
	for n := range 5 {
		box.Add(n)
	}
	if box.Lost() != 2 {
		t.Errorf("got %d lost; want 2", box.Lost())
	}
}

func TestAnEndedSocketIsNoFault(t *testing.T) {
	conn := listen(t, "udp4", "127.0.0.1:0", "")
	_, to := receiver(t, "udp4", "127.0.0.1:0")
	var failed atomic.Int32
	batch := conn.Batch(func(netip.AddrPort, error) { failed.Add(1) })
	batch.Put(to, netip.Addr{}, 0, text("late"))
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	batch.Flush()
	if failed.Load() != 0 {
		t.Error("got the end of the socket told as a fault")
	}
}
