package main

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dhcpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/metald"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/stat"
)

// ipam measures how many addresses a second are given out, to one caller and to many, in a subnet that is nearly
// empty and in one where many are taken.
func (b *bench) ipam(ctx context.Context) error {
	const allocations = "allocations/s"
	rates := map[[2]int][]float64{} // by addresses taken before, and callers
	sizes, crowds := []int{few, b.scale.reservations}, []int{1, callers}
	for round := range b.rounds {
		for _, taken := range sizes {
			err := b.withMetald(ctx, taken, func(s *metald.Server) error {
				given := newLedger()
				for _, crowd := range crowds {
					rate, err := b.allocate(ctx, s, given, crowd)
					if err != nil {
						return err
					}
					key := [2]int{taken, crowd}
					rates[key] = append(rates[key], rate)
					fmt.Fprintf(b.out, "round %d\t%d addresses taken\t%d callers\t%.0f\t%s\n", round+1, taken, crowd, rate, allocations)
				}
				return given.fault()
			})
			if err != nil {
				return err
			}
		}
	}
	for _, crowd := range crowds {
		many, few := stat.Median(rates[[2]int{sizes[1], crowd}]), stat.Median(rates[[2]int{sizes[0], crowd}])
		b.ratio(fmt.Sprintf("ipam-%d-callers", crowd), many, few, allocations)
	}
	return nil
}

// allocate has so many callers reserve the next free address, over and over, and returns how many they get a second.
func (b *bench) allocate(ctx context.Context, s *metald.Server, given *ledger, crowd int) (float64, error) {
	begun := time.Now()
	before := given.count()
	err := concurrently(ctx, crowd, crowd, func(ctx context.Context, _ int) error {
		for time.Since(begun) < b.scale.step {
			name, client := given.next()
			addr, err := reserve(ctx, s, name, client)
			if err != nil {
				return err
			}
			given.note(name, addr)
		}
		return nil
	})
	return float64(given.count()-before) / time.Since(begun).Seconds(), err
}

// ledger notes who got which address.
type ledger struct {
	mu    sync.Mutex
	asked int
	owner map[netip.Addr]string
	twice []string
}

func newLedger() *ledger { return &ledger{owner: map[netip.Addr]string{}} }

// next returns a name and a client that nobody has yet.
func (l *ledger) next() (string, dhcpload.Client) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return fmt.Sprintf("new-%06d", l.asked), 2*reserved + dhcpload.Client(l.asked)
}

func (l *ledger) note(name string, addr netip.Addr) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if had, ok := l.owner[addr]; ok {
		l.twice = append(l.twice, fmt.Sprintf("%s to %s and %s", addr, had, name))
	}
	l.owner[addr] = name
}

func (l *ledger) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.owner)
}

// fault is an error when an address was given out twice.
func (l *ledger) fault() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.twice) == 0 {
		return nil
	}
	return fmt.Errorf("%d addresses were given out twice, the first one %s", len(l.twice), l.twice[0])
}
