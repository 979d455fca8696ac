package main

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dhcpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/metald"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/stat"
)

const (
	calmRate   = 200 // exchanges a second
	changeRate = 100 // API calls a second
)

// latency measures how long clients wait for their address, in peace and while the API takes changes.
func (b *bench) latency(ctx context.Context) error {
	calm := dhcpload.Load{Clients: 2000, Rate: calmRate, For: 2 * b.scale.step}
	var quiet, busy []float64
	for round := range b.rounds {
		err := b.withMetald(ctx, 0, func(s *metald.Server) error {
			p99, err := b.waits(ctx, fmt.Sprintf("round %d\tin peace", round+1), calm)
			if err != nil {
				return err
			}
			quiet = append(quiet, p99)
			p99, err = b.waitsUnderChanges(ctx, s, round, calm)
			busy = append(busy, p99)
			return err
		})
		if err != nil {
			return err
		}
	}
	b.ratio("dhcp-latency-under-changes", stat.Median(busy), stat.Median(quiet), "ms p99")
	return nil
}

// waits runs a load and returns the 99th percentile of its times in milliseconds.
func (b *bench) waits(ctx context.Context, label string, l dhcpload.Load) (float64, error) {
	r, err := dhcpload.Run(ctx, b.net, l)
	if err != nil {
		return 0, err
	}
	p := func(percent float64) float64 { return float64(stat.Percentile(r.Times, percent).Microseconds()) / 1000 }
	fmt.Fprintf(b.out, "%s\t%d of %d completed\tp50\t%.3f\tp99\t%.3f\tlongest\t%.3f\tms\n", label, r.Done(), r.Begun, p(50), p(99), p(100))
	return p(99), nil
}

func (b *bench) waitsUnderChanges(ctx context.Context, s *metald.Server, round int, l dhcpload.Load) (p99 float64, err error) {
	g, ctx := errgroup.WithContext(ctx)
	changing, stop := context.WithCancel(ctx)
	changes := 0
	g.Go(func() (err error) {
		changes, err = change(ctx, changing, s)
		return err
	})
	g.Go(func() (err error) {
		defer stop()
		p99, err = b.waits(ctx, fmt.Sprintf("round %d\twith changes", round+1), l)
		return err
	})
	err = g.Wait()
	if err == nil && float64(changes) < slack*changeRate*l.For.Seconds() {
		fmt.Fprintf(b.out, "only %d changes were taken in %s; want %d a second\n", changes, l.For, changeRate)
	}
	return p99, err
}

// change makes reservations, and drops each a while later, until changing ends. It returns how many calls it made.
func change(ctx, changing context.Context, s *metald.Server) (int, error) {
	const kept = 50
	name := func(i int) string { return fmt.Sprintf("change-%05d", i) }
	beat := time.NewTicker(time.Second / changeRate)
	defer beat.Stop()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	calls := 0
	for made := 0; ; calls++ {
		select {
		case <-changing.Done():
			return calls, g.Wait()
		case <-beat.C:
		}
		if drop := made - kept; drop >= 0 && calls%2 == 1 {
			g.Go(func() error {
				return s.Client.DeleteReservation(ctx, api.DeleteByNameRequest{ByName: api.ByName{Name: name(drop)}})
			})
			continue
		}
		i := made
		made++
		g.Go(func() error {
			_, err := reserve(ctx, s, name(i), reserved+dhcpload.Client(i))
			return err
		})
	}
}
