package udp

import (
	"context"
	"sync/atomic"
	"time"
)

// An Outbox has replies sent by one goroutine, so that whoever makes them need not wait for system calls. Those that
// wait together leave together; none waits for company.
type Outbox[T any] struct {
	queue chan T
	lost  atomic.Uint64
}

// NewOutbox returns one in which so many replies may wait.
func NewOutbox[T any](room int) *Outbox[T] { return &Outbox[T]{queue: make(chan T, room)} }

// Add queues a reply. It never waits: one that finds no room is lost, and counted.
func (o *Outbox[T]) Add(reply T) {
	select {
	case o.queue <- reply:
	default:
		o.lost.Add(1)
	}
}

// Lost is how many replies found no room so far.
func (o *Outbox[T]) Lost() uint64 { return o.lost.Load() }

// Run hands every reply to put, which puts it into the batch, until ctx ends. It returns nil. Replies that wait then
// are not sent. Where many wait, they leave at a pace that a receiver's socket buffer can take.
func (o *Outbox[T]) Run(ctx context.Context, batch *Batch, put func(reply T, batch *Batch)) error {
	var pace pace
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case reply := <-o.queue:
			put(reply, batch)
		}
		count, pause := pace.allowed(time.Now(), 1+len(o.queue))
		for ; pause > 0; count, pause = pace.allowed(time.Now(), 1+len(o.queue)) {
			timer.Reset(pause)
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
		}
		for range count - 1 { // nobody else takes from the queue
			put(<-o.queue, batch)
		}
		batch.Flush()
	}
}
