package ntpload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/net/ipv4"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// Result counts packets.
type Result struct {
	Sent, Answered, Refused, Strange int
	For                              time.Duration
}

// Rate is how many requests were answered with the time a second.
func (r Result) Rate() float64 { return float64(r.Answered) / r.For.Seconds() }

const (
	ports = 16
	// batch is how many requests of each port wait for their answers at most. All ports together keep a server busy, and
	// do not fill its queue.
	batch = 32
	lost  = 20 * time.Millisecond // after which an answer never comes
)

// Run asks the server of the network for a time, from every one of testnet.Sources in turn, so that a limit for each
// client is not reached, and from several ports.
func Run(ctx context.Context, n *testnet.Net, d time.Duration) (Result, error) {
	r := Result{For: d}
	var conns []net.PacketConn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	err := n.Client.Inside(func() error {
		for range ports {
			var lc net.ListenConfig
			conn, err := lc.ListenPacket(ctx, "udp4", ":0")
			if err != nil {
				return err
			}
			conns = append(conns, conn)
		}
		return nil
	})
	if err != nil {
		return r, fmt.Errorf("be NTP clients: %w", err)
	}
	wires := make([]*wire, ports)
	for i, conn := range conns {
		wires[i] = newWire(conn, n.Server.Addr.AsSlice())
	}
	for start, next := time.Now(), uint32(0); time.Since(start) < d; {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		for _, w := range wires {
			if next, err = w.turn(&r, next); err != nil {
				return r, fmt.Errorf("be NTP clients: %w", err)
			}
		}
	}
	return r, nil
}

// wire is one socket of the load.
type wire struct {
	conn    net.PacketConn
	batches *ipv4.PacketConn
	in, out []ipv4.Message
	waiting int
}

func newWire(conn net.PacketConn, server net.IP) *wire {
	w := &wire{conn: conn, batches: ipv4.NewPacketConn(conn), in: make([]ipv4.Message, batch), out: make([]ipv4.Message, batch)}
	for i := range batch {
		w.in[i].Buffers = [][]byte{make([]byte, 512)}
		w.out[i].Buffers, w.out[i].Addr = [][]byte{make([]byte, size)}, &net.UDPAddr{IP: server, Port: 123}
	}
	return w
}

// turn sends what there is room for, and takes what has come: since the sockets' turns come in the order in which they
// sent, the server has answered some by then, or will next.
func (w *wire) turn(r *Result, next uint32) (uint32, error) {
	if room := batch - w.waiting; room >= batch/2 {
		for i := range room {
			putRequest(w.out[i].Buffers[0], next)
			w.out[i].OOB = (&ipv4.ControlMessage{Src: source(testnet.Sources, next).AsSlice()}).Marshal()
			next++
		}
		for sent := 0; sent < room; {
			n, err := w.batches.WriteBatch(w.out[sent:room], 0)
			if err != nil {
				return next, err
			}
			sent += n
		}
		w.waiting += room
		r.Sent += room
	}
	if err := w.conn.SetReadDeadline(time.Now().Add(lost)); err != nil {
		return next, err
	}
	n, err := w.batches.ReadBatch(w.in, 0)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		w.waiting = 0 // they never come
		return next, nil
	}
	if err != nil {
		return next, err
	}
	for _, m := range w.in[:n] {
		switch parse(m.Buffers[0][:m.N]) {
		case answer:
			r.Answered++
		case refusal:
			r.Refused++
		case strange:
			r.Strange++
		}
	}
	w.waiting = max(w.waiting-n, 0)
	return next, nil
}
