package udp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"net"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	batchSize = 32  // datagrams read with one system call at most
	queueSize = 256 // datagrams that may wait for one worker
)

// A Datagram is what a handler gets. Payload is the handler's until it returns, and is reused afterwards.
type Datagram struct {
	From    netip.AddrPort // without a zone: for a link-local sender IfIndex tells it
	To      netip.Addr     // what the datagram was sent to: an own address, a broadcast or a multicast address
	IfIndex int            // the interface it came by
	At      time.Time      // when it was read from the socket, before it waited for a worker
	Payload []byte
}

// wayBack is the interface that a reply must leave by; 0 where the routes decide.
func (d *Datagram) wayBack() int {
	if client := d.From.Addr(); client.Is6() && client.IsLinkLocalUnicast() {
		return d.IfIndex
	}
	return 0
}

// packet is a Datagram with the buffer that holds its payload.
type packet struct {
	Datagram
	buffer [MaxPayload]byte
	oob    [2 * controlSpace]byte
}

// Serve hands each datagram to handle, in as many goroutines as workers says (at least 1), until ctx ends. Datagrams
// of one sender (address and port) go to one worker, so they are handled in the order in which they came. A worker
// that is too far behind loses datagrams, which Stats counts. Serve closes conn when ctx ends, and returns when every
// handler has; then with nil, or else with the error that ended the socket. handle's context is ctx.
func Serve(ctx context.Context, conn *Conn, workers int, handle func(context.Context, Datagram)) error {
	seed := maphash.MakeSeed()
	return ServeBy(ctx, conn, workers, func(d Datagram) uint64 { return maphash.Comparable(seed, d.From) }, handle)
}

// ServeBy is Serve for protocols whose clients cannot be told apart by their address: a DHCP client has none yet.
// Datagrams with the same key are handled in the order in which they came. key must be quick; it runs in the loop
// that reads the socket.
func ServeBy(ctx context.Context, conn *Conn, workers int, key func(Datagram) uint64, handle func(context.Context, Datagram)) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	pool := &sync.Pool{New: func() any { return new(packet) }}
	queues := make([]chan *packet, max(workers, 1))
	var running sync.WaitGroup
	for i := range queues {
		queue := make(chan *packet, queueSize)
		queues[i] = queue
		running.Go(func() {
			for p := range queue {
				handle(ctx, p.Datagram)
				pool.Put(p)
			}
		})
	}
	err := conn.read(pool, func(p *packet) bool {
		select {
		case queues[key(p.Datagram)%uint64(len(queues))] <- p:
			return true
		default:
			return false
		}
	})
	for _, queue := range queues {
		close(queue)
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("read datagrams on %s: %w", conn.LocalAddr(), err)
}

// read fills packets from the socket and gives them to deliver, which says whether it took them, until the socket
// fails.
func (c *Conn) read(pool *sync.Pool, deliver func(*packet) bool) error {
	r := newReader(c, func() *packet { return pool.Get().(*packet) })
	for {
		packets, err := r.next()
		if err != nil {
			return err
		}
		for i, p := range packets {
			if p == nil {
				continue
			}
			if !deliver(p) {
				c.dropped.Add(1)
				continue
			}
			c.received.Add(1)
			r.renew(i)
		}
	}
}

// reader reads a socket for one goroutine.
type reader struct {
	conn     *Conn
	make     func() *packet
	packets  [batchSize]*packet
	messages [batchSize]ipv4.Message
	good     [batchSize]*packet
}

func newReader(conn *Conn, make func() *packet) *reader {
	r := &reader{conn: conn, make: make}
	for i := range r.packets {
		r.renew(i)
	}
	return r
}

// renew has another packet take the place of one that was handed on.
func (r *reader) renew(i int) {
	p := r.make()
	r.packets[i] = p
	r.messages[i].Buffers = [][]byte{p.buffer[:]}
	r.messages[i].OOB = p.oob[:]
}

// next waits for packets, and returns them, with nil in place of those that did not fit; or the error that ended the
// socket. They are valid until the next call, where renew is not called for them.
func (r *reader) next() ([]*packet, error) {
	for {
		n, err := r.conn.batch.ReadBatch(r.messages[:], 0)
		if err != nil {
			if passing(err) {
				continue
			}
			return nil, err
		}
		at := time.Now()
		for i := range n {
			r.good[i] = nil
			if r.conn.take(r.packets[i], &r.messages[i], at) {
				r.good[i] = r.packets[i]
			}
		}
		return r.good[:n], nil
	}
}

// take turns what the kernel filled in into a Datagram. It says false for one that did not fit.
func (c *Conn) take(p *packet, m *ipv4.Message, at time.Time) bool {
	if m.Flags&unix.MSG_TRUNC != 0 {
		c.oversize.Add(1)
		return false
	}
	from, ok := m.Addr.(*net.UDPAddr)
	if !ok {
		return false
	}
	to, ifIndex := packetInfo(m.OOB[:m.NN])
	p.Datagram = Datagram{
		From: unmapped(from.AddrPort()), To: to, IfIndex: ifIndex, At: at, Payload: p.buffer[:m.N],
	}
	return true
}

// passing says whether a read error is about one datagram and not about the socket: the kernel reports ICMP errors
// that answer something sent earlier to whoever reads next.
func passing(err error) bool {
	for _, errno := range []unix.Errno{unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.EINTR} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
