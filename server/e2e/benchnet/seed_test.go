package main

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestConcurrentlyCallsForEveryNumber(t *testing.T) {
	var sum, running, most atomic.Int64
	err := concurrently(t.Context(), 4, 100, func(_ context.Context, i int) error {
		most.Store(max(most.Load(), running.Add(1)))
		sum.Add(int64(i))
		running.Add(-1)
		return nil
	})
	if err != nil || sum.Load() != 4950 {
		t.Errorf("got a sum of %d, %v; want 4950", sum.Load(), err)
	}
	if most.Load() > 4 {
		t.Errorf("got %d at once; want 4 at most", most.Load())
	}
}

func TestConcurrentlyStopsAtTheFirstError(t *testing.T) {
	fault := errors.New("full")
	var calls atomic.Int64
	err := concurrently(t.Context(), 2, 1_000_000, func(context.Context, int) error {
		calls.Add(1)
		return fault
	})
	if !errors.Is(err, fault) || calls.Load() == 1_000_000 {
		t.Errorf("got %v after %d calls; want the fault after few", err, calls.Load())
	}
}

func TestAnAddressGivenTwiceIsAFault(t *testing.T) {
	l := newLedger()
	first, one := l.next()
	second, two := l.next()
	if first == second || one == two {
		t.Errorf("got %s with %d twice; want names and clients that differ", first, one)
	}
	l.note(first, netip.MustParseAddr("192.0.2.1"))
	l.note(second, netip.MustParseAddr("192.0.2.2"))
	if err := l.fault(); err != nil || l.count() != 2 {
		t.Errorf("got %d, %v; want 2 and no fault", l.count(), err)
	}
	l.note("third", netip.MustParseAddr("192.0.2.1"))
	if err := l.fault(); err == nil || !strings.Contains(err.Error(), "192.0.2.1 to new-000001 and third") {
		t.Errorf("got %v; want who has the address", err)
	}
}
