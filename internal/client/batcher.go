package client

import (
	"context"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Batcher gathers reads of single objects that happen at nearly the same time into reads of a list. Nothing is kept:
// every Get is answered by a read that began after it.
type Batcher[T any] struct {
	fetch  func(ctx context.Context, ids []string) (map[string]T, error)
	window time.Duration
	limit  int

	mu   sync.Mutex
	open *batch[T] // still gathering; nil when the next Get begins one
}

// batch is one read of a list, and those who wait for it.
type batch[T any] struct {
	ids     []string
	wanted  map[string]bool
	waiting int
	full    chan struct{} // closed when no id fits any more
	done    chan struct{} // closed when found and err are set
	cancel  context.CancelFunc
	found   map[string]T
	err     error
}

// NewBatcher returns a batcher that reads by fetch, window after the first Get at the latest, and at most limit ids
// in one call. fetch leaves ids that do not exist out of its answer. It may be called at the same time from several
// goroutines, and its ctx ends when nobody waits for its answer any more.
func NewBatcher[T any](fetch func(ctx context.Context, ids []string) (map[string]T, error), window time.Duration, limit int) *Batcher[T] {
	return &Batcher[T]{fetch: fetch, window: window, limit: max(limit, 1)}
}

// Get returns the object with the id; a NotFound error when there is none, the error of the list call when that
// failed, and the cause of ctx when that ends first.
func (b *Batcher[T]) Get(ctx context.Context, id string) (T, error) {
	var none T
	joined := b.join(ctx, id)
	select {
	case <-joined.done:
	case <-ctx.Done():
		b.leave(joined)
		return none, context.Cause(ctx)
	}
	if joined.err != nil {
		return none, joined.err
	}
	found, ok := joined.found[id]
	if !ok {
		return none, metal.Errorf(metal.NotFound, "%s does not exist", id)
	}
	return found, nil
}

// join adds id to the open batch, and begins one when there is none.
func (b *Batcher[T]) join(ctx context.Context, id string) *batch[T] {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		// The read serves others too: it has the first one's values, but not its end.
		ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		b.open = &batch[T]{wanted: map[string]bool{}, full: make(chan struct{}), done: make(chan struct{}), cancel: cancel}
		go b.run(ctx, b.open)
	}
	joined := b.open
	joined.waiting++
	if !joined.wanted[id] {
		joined.wanted[id] = true
		joined.ids = append(joined.ids, id)
	}
	if len(joined.ids) == b.limit {
		close(joined.full)
		b.open = nil
	}
	return joined
}

// leave is the end of one's waiting. The last one to leave ends the read and waits for its end.
func (b *Batcher[T]) leave(left *batch[T]) {
	b.mu.Lock()
	left.waiting--
	last := left.waiting == 0
	if last && b.open == left {
		b.open = nil
	}
	b.mu.Unlock()
	if last {
		left.cancel()
		<-left.done
	}
}

// run gathers, reads and tells. It ends by itself, or when the last one who waits leaves.
func (b *Batcher[T]) run(ctx context.Context, own *batch[T]) {
	defer own.cancel()
	defer close(own.done)
	timer := time.NewTimer(b.window)
	defer timer.Stop()
	select {
	case <-timer.C:
		b.mu.Lock()
		if b.open == own {
			b.open = nil
		}
		b.mu.Unlock()
	case <-own.full:
	case <-ctx.Done():
		own.err = context.Cause(ctx)
		return
	}
	own.found, own.err = b.fetch(ctx, own.ids)
}
