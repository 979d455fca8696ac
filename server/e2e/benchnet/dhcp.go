package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dhcpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/perfdhcp"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/stat"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

const (
	doras = "DORA/s"
	// A rate is sustained when less than this is lost, and the load generator came up with it.
	lossLimit = 0.005
	slack     = 0.97
	// overload is the part of the rate below which so little is completed that a higher rate makes no sense.
	overload = 0.8
	// slowest is where the search for what a server sustains starts the first time.
	slowest = 1000
)

// leases says whether the server gives addresses, to a client of the test's own.
func (b *bench) leases(ctx context.Context) bool {
	r, err := dhcpload.Run(ctx, b.net, dhcpload.Load{Clients: 1, Rate: 10, For: 100 * time.Millisecond})
	return err == nil && len(r.Times) > 0
}

func (b *bench) doraV4(ctx context.Context) error {
	servers := []server{b.metald(), b.peer("kea", b.peers.Kea4), b.peer("dnsmasq", b.peers.Dnsmasq)}
	medians, err := b.sideBySide(ctx, doras, servers, b.leases, b.relayed(false))
	if err != nil {
		return err
	}
	b.ratio("dora-v4", medians[0], slices.Max(medians[1:]), doras)
	return nil
}

// exchanges are what a load of DHCP came to.
type exchanges interface {
	Loss() float64
	Rate() float64
	Done() int
}

// sustained finds the highest rate of a load that the server sustains.
func (b *bench) sustained(load func(ctx context.Context, rate float64) (exchanges, error)) measure {
	return func(ctx context.Context, p *testnet.Process, before float64) (found, error) {
		var best found
		_, err := stat.Highest(ctx, max(before/2, slowest), func(rate float64) (stat.Verdict, error) {
			verdict := stat.Hopeless
			f, err := costing(p, func() (float64, int, error) {
				r, err := load(ctx, rate)
				if err != nil {
					return 0, 0, err
				}
				verdict = judge(r, rate)
				fmt.Fprintf(b.out, "\tat %.0f a second\t%.0f\tcompleted\t%.2f %%\tlost\n", rate, r.Rate(), 100*r.Loss())
				return r.Rate(), r.Done(), nil
			})
			if verdict == stat.Holds && f.rate > best.rate {
				best = f
			}
			return verdict, err
		})
		return best, err
	}
}

func judge(r exchanges, rate float64) stat.Verdict {
	switch {
	case r.Rate() < overload*rate:
		return stat.Hopeless
	case r.Loss() < lossLimit && r.Rate() > slack*rate:
		return stat.Holds
	default:
		return stat.Fails
	}
}

// relayed is the load of perfdhcp.
func (b *bench) relayed(v6 bool) measure {
	return b.sustained(func(ctx context.Context, rate float64) (exchanges, error) {
		return perfdhcp.Run(ctx, b.net, perfdhcp.Load{V6: v6, Rate: int(rate), For: b.scale.step})
	})
}

// direct is the load of our own clients, from the first on.
func (b *bench) direct(first dhcpload.Client) measure {
	return b.sustained(func(ctx context.Context, rate float64) (exchanges, error) {
		return dhcpload.Run(ctx, b.net, dhcpload.Load{First: first, Clients: perfdhcp.Clients, Rate: rate, For: b.scale.step})
	})
}

func (b *bench) doraV4Direct(ctx context.Context) error {
	servers := []server{b.metald(), b.peer("kea", b.peers.Kea4)}
	medians, err := b.sideBySide(ctx, doras, servers, b.leases, b.direct(0))
	if err != nil {
		return err
	}
	b.ratio("dora-v4-direct", medians[0], medians[1], doras)
	return nil
}

// few is how many reservations are next to none.
const few = 100

// doraV4Reservations measures clients without a reservation, and then the ones that have one.
func (b *bench) doraV4Reservations(ctx context.Context) error {
	many := b.seeded(b.scale.reservations, nothing)
	servers := []server{many, b.seeded(few, nothing)}
	medians, err := b.sideBySide(ctx, doras, servers, b.leases, b.relayed(false))
	if err != nil {
		return err
	}
	b.ratio("dora-v4-100k-reservations", medians[0], medians[1], doras)
	return b.with(ctx, many, b.leases, func(p *testnet.Process) error {
		f, err := b.direct(reserved)(ctx, p, medians[0])
		if err == nil {
			fmt.Fprintf(b.out, "%s to those that have one of %d reservations, on the link\t%.0f\t%s\n", many.name, b.scale.reservations, f.rate, doras)
		}
		return err
	})
}
