package dhcpload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Load is what is sent.
type Load struct {
	First   Client
	Clients int // different ones, from the first on
	Rate    float64
	For     time.Duration
}

// Result counts exchanges.
type Result struct {
	Begun      int // DISCOVERs sent
	Refused    int // ended by a NAK
	Strange    int // messages that answer nothing that was asked, or not well
	Duplicates int // addresses given to a client while another one had them
	For        time.Duration
	Times      []time.Duration // from DISCOVER to ACK, of those that were completed
}

// Loss is the part of the exchanges that were begun and not completed, 0 to 1.
func (r Result) Loss() float64 {
	if r.Begun == 0 {
		return 1
	}
	return 1 - float64(len(r.Times))/float64(r.Begun)
}

// Done is how many exchanges were completed.
func (r Result) Done() int { return len(r.Times) }

// Rate is how many exchanges were completed a second.
func (r Result) Rate() float64 { return float64(len(r.Times)) / r.For.Seconds() }

const (
	batch    = 64                     // packets sent or received at once
	patience = 300 * time.Millisecond // for the last answers
	nap      = time.Millisecond       // between looks at the clock while nothing comes
	buffered = 4 << 20                // bytes the socket holds, so that the load loses nothing itself
)

// Run loads the server of the network from its other side, as clients without an address do: from port 68, by
// broadcast.
func Run(ctx context.Context, n *testnet.Net, l Load) (Result, error) {
	var conn net.PacketConn
	err := n.Client.Inside(func() (err error) {
		conn, err = listen(ctx, n.Client.Interface)
		return err
	})
	if err != nil {
		return Result{}, fmt.Errorf("be DHCP clients on %s: %w", n.Client.Interface, err)
	}
	defer conn.Close()
	e := newExchanges(l)
	if err := newWire(conn).run(ctx, e); err != nil {
		return Result{}, fmt.Errorf("be DHCP clients on %s: %w", n.Client.Interface, err)
	}
	return e.result, nil
}

func listen(ctx context.Context, iface string) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var fault error
		err := raw.Control(func(fd uintptr) {
			fault = errors.Join(
				unix.BindToDevice(int(fd), iface),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1),
				unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, buffered),
			)
		})
		return errors.Join(err, fault)
	}}
	return lc.ListenPacket(ctx, "udp4", ":68")
}

// wire sends and receives in batches.
type wire struct {
	conn    net.PacketConn
	batches *ipv4.PacketConn
	in, out []ipv4.Message
	pending int // of out
}

func newWire(conn net.PacketConn) *wire {
	w := &wire{conn: conn, batches: ipv4.NewPacketConn(conn), in: make([]ipv4.Message, batch), out: make([]ipv4.Message, batch)}
	server := &net.UDPAddr{IP: net.IPv4bcast, Port: 67}
	for i := range batch {
		w.in[i].Buffers = [][]byte{make([]byte, 1500)}
		w.out[i].Buffers, w.out[i].Addr = [][]byte{nil}, server
	}
	return w
}

func (w *wire) run(ctx context.Context, e *exchanges) error {
	for start := time.Now(); ctx.Err() == nil; {
		now := time.Since(start)
		if e.over(now) {
			return nil
		}
		for range min(e.due(now), batch-w.pending) {
			b := &w.out[w.pending].Buffers[0]
			*b = e.begin(*b, now)
			w.pending++
		}
		if err := w.flush(); err != nil {
			return err
		}
		n, err := w.receive()
		if err != nil {
			return err
		}
		now = time.Since(start)
		for _, m := range w.in[:n] {
			b := &w.out[w.pending].Buffers[0]
			if answer := e.take(m.Buffers[0][:m.N], *b, now); answer != nil {
				*b = answer
				w.pending++
			}
		}
	}
	return ctx.Err()
}

func (w *wire) flush() error {
	for sent := 0; sent < w.pending; {
		n, err := w.batches.WriteBatch(w.out[sent:w.pending], 0)
		if err != nil {
			return err
		}
		sent += n
	}
	w.pending = 0
	return nil
}

// receive waits shortly for packets.
func (w *wire) receive() (int, error) {
	if err := w.conn.SetReadDeadline(time.Now().Add(nap)); err != nil {
		return 0, err
	}
	n, err := w.batches.ReadBatch(w.in, 0)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return 0, nil
	}
	return max(n, 0), err
}
