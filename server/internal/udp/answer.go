package udp

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
)

// Answer has each datagram answered by the goroutine that read it, in as many loops as are said (at least 1), until ctx
// ends. answer appends what goes back to the sender to memory, or returns nothing for silence. The answers to what was
// read with one system call leave with one: that is for answers which are quick to find, since those that come after
// wait for them. Datagrams of one sender may be answered in another order than they came in. One that cannot be sent is
// told to fail. Answer closes conn when ctx ends, and returns when every answer is sent; then with nil, or else with the
// error that ended the socket. answer's context is ctx.
func Answer(ctx context.Context, conn *Conn, loops int, answer func(ctx context.Context, d Datagram, memory []byte) []byte, fail func(to netip.AddrPort, err error)) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()

	var running sync.WaitGroup
	errs := make([]error, max(loops, 1))
	for i := range errs {
		running.Go(func() { errs[i] = conn.answer(ctx, answer, fail) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("read datagrams on %s: %w", conn.LocalAddr(), errs[0])
}

// answer is one loop.
func (c *Conn) answer(ctx context.Context, answer func(ctx context.Context, d Datagram, memory []byte) []byte, fail func(to netip.AddrPort, err error)) error {
	r, batch := newReader(c, func() *packet { return new(packet) }), c.Batch(fail)
	for {
		packets, err := r.next()
		if err != nil {
			return err
		}
		for _, p := range packets {
			if p == nil {
				continue
			}
			c.received.Add(1)
			batch.Put(p.From, p.To, p.wayBack(), func(memory []byte) []byte { return answer(ctx, p.Datagram, memory) })
		}
		batch.Flush()
	}
}
