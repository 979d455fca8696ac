package client_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const window = 5 * time.Millisecond

// shelf answers every id with itself, but for "none", and notes what it was asked.
type shelf struct {
	mu    sync.Mutex
	calls [][]string
	delay time.Duration
	err   error
}

func (s *shelf) fetch(ctx context.Context, ids []string) (map[string]string, error) {
	s.mu.Lock()
	s.calls = append(s.calls, slices.Sorted(slices.Values(ids)))
	s.mu.Unlock()
	select {
	case <-time.After(s.delay):
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	found := map[string]string{}
	for _, id := range ids {
		if id != "none" {
			found[id] = id
		}
	}
	return found, s.err
}

func TestReadsAtTheSameTimeAreOneCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{}
		b := client.NewBatcher(s.fetch, window, 200)
		var wait sync.WaitGroup
		for _, id := range []string{"a", "b", "a", "none"} {
			wait.Go(func() {
				got, err := b.Get(t.Context(), id)
				if id == "none" {
					if metal.CodeOf(err) != metal.NotFound {
						t.Errorf("none: got %v; want a NotFound error", err)
					}
				} else if got != id || err != nil {
					t.Errorf("%s: got %q, %v", id, got, err)
				}
			})
		}
		wait.Wait()
		if diff := cmp.Diff([][]string{{"a", "b", "none"}}, s.calls); diff != "" {
			t.Errorf("calls (-want +got):\n%s", diff)
		}
		if _, err := b.Get(t.Context(), "a"); err != nil || len(s.calls) != 2 {
			t.Errorf("a later read: got %v after %d calls; want a call of its own", err, len(s.calls))
		}
	})
}

func TestAThousandReadsAreFewCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &shelf{delay: time.Second}
		b := client.NewBatcher(s.fetch, window, 200)
		var wait sync.WaitGroup
		for i := range 1000 {
			wait.Go(func() {
				id := fmt.Sprintf("m-%d", i)
				if got, err := b.Get(t.Context(), id); got != id || err != nil {
					t.Errorf("%s: got %q, %v", id, got, err)
				}
			})
		}
		wait.Wait()
		if len(s.calls) != 5 {
			t.Errorf("got %d calls; want 5 of 200", len(s.calls))
		}
	})
}

func TestAFailedListFailsEveryReadOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cause := errors.New("the server is gone")
		b := client.NewBatcher((&shelf{err: cause}).fetch, window, 200)
		var wait sync.WaitGroup
		for _, id := range []string{"a", "b"} {
			wait.Go(func() {
				if _, err := b.Get(t.Context(), id); !errors.Is(err, cause) {
					t.Errorf("%s: got %v; want %v", id, err, cause)
				}
			})
		}
		wait.Wait()
	})
}

func TestOneWhoLeavesDoesNotDisturbTheOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := client.NewBatcher((&shelf{delay: time.Second}).fetch, window, 200)
		first, cancel := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			if _, err := b.Get(first, "a"); !errors.Is(err, context.Canceled) {
				t.Errorf("the one who leaves: got %v; want the end of its context", err)
			}
		})
		synctest.Wait()
		wait.Go(func() {
			if got, err := b.Get(t.Context(), "b"); got != "b" || err != nil {
				t.Errorf("the one who stays: got %q, %v; want b", got, err)
			}
		})
		time.Sleep(100 * time.Millisecond)
		cancel()
		wait.Wait()
	})
}

func TestTheLastWhoLeavesEndsTheRead(t *testing.T) {
	for name, after := range map[string]time.Duration{"while it gathers": time.Millisecond, "while it reads": time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &shelf{delay: time.Hour}
				b := client.NewBatcher(s.fetch, window, 200)
				ctx, cancel := context.WithTimeout(t.Context(), after)
				defer cancel()
				began := time.Now()
				if _, err := b.Get(ctx, "a"); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v; want the end of the context", err)
				}
				if took := time.Since(began); took != after {
					t.Errorf("took %v; want %v", took, after)
				}
				s.delay = 0
				if got, err := b.Get(t.Context(), "a"); got != "a" || err != nil {
					t.Errorf("the next read: got %q, %v; want a", got, err)
				}
			})
		})
	}
}
