package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dhcpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/metald"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

const (
	// mainSubnet is the one that metald makes at its first start.
	mainSubnet = "default"
	// callers is how many API calls are under way at once where many things are made.
	callers = 64
	// reserved is the first DHCP client that has a reservation.
	reserved dhcpload.Client = 1 << 24
)

// concurrently calls f for every number below count, from several goroutines at once, and stops at the first error.
func concurrently(ctx context.Context, callers, count int, f func(ctx context.Context, i int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(callers)
	for i := range count {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// reserve makes a reservation of the next free address.
func reserve(ctx context.Context, s *metald.Server, name string, c dhcpload.Client) (netip.Addr, error) {
	mac := c.MAC()
	r, err := s.Client.PutReservation(ctx, api.PutReservationRequest{ByName: api.ByName{Name: name}, Body: metal.ReservationSpec{
		Subnet: mainSubnet, MAC: metal.MAC(fmt.Sprintf("%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4], mac[5])),
	}})
	return r.Addr, err
}

// prepared is metald after prepare has run.
func (b *bench) prepared(name string, prepare func(ctx context.Context, s *metald.Server) error) server {
	return server{name, func(ctx context.Context, dir string) (*testnet.Process, error) {
		s, err := metald.Start(ctx, b.net, b.program, dir)
		if err != nil {
			return nil, err
		}
		if err := prepare(ctx, s); err != nil {
			return nil, errors.Join(s.Explain(err), s.Stop())
		}
		return s.Process, nil
	}}
}

// seeded is metald with so many reservations. They are made the first time, and copied after that.
func (b *bench) seeded(count int, prepare func(ctx context.Context, s *metald.Server) error) server {
	s := b.prepared(fmt.Sprintf("metald-%d", count), prepare)
	return server{s.name, func(ctx context.Context, dir string) (*testnet.Process, error) {
		seed, err := b.seed(ctx, count)
		if err != nil {
			return nil, fmt.Errorf("make %d reservations: %w", count, err)
		}
		// With its modes: metald refuses a key that others can read.
		if out, err := exec.CommandContext(ctx, "cp", "-a", seed+"/.", dir).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("copy %s: %w: %s", seed, err, out)
		}
		return s.start(ctx, dir)
	}}
}

// seed returns the data directory of a metald that made so many reservations, and stopped.
func (b *bench) seed(ctx context.Context, count int) (string, error) {
	dir := filepath.Join(b.dir, fmt.Sprintf("seed-%d", count))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	making := dir + ".making"
	if err := os.Mkdir(making, 0o755); err != nil {
		return "", err
	}
	s, err := metald.Start(ctx, b.net, b.program, making)
	if err != nil {
		return "", errors.Join(err, os.RemoveAll(making))
	}
	err = s.Explain(concurrently(ctx, callers, count, func(ctx context.Context, i int) error {
		_, err := reserve(ctx, s, fmt.Sprintf("seed-%06d", i), reserved+dhcpload.Client(i))
		return err
	}))
	if err := errors.Join(err, s.Stop()); err != nil {
		return "", errors.Join(err, os.RemoveAll(making))
	}
	return dir, os.Rename(making, dir)
}

// withMetald runs f with a metald that has so many reservations.
func (b *bench) withMetald(ctx context.Context, count int, f func(s *metald.Server) error) error {
	var running *metald.Server
	s := b.seeded(count, func(_ context.Context, s *metald.Server) error {
		running = s
		return nil
	})
	return b.with(ctx, s, up, func(*testnet.Process) error { return f(running) })
}

// up says that a server answers which is known to.
func up(context.Context) bool { return true }

// nothing prepares nothing.
func nothing(context.Context, *metald.Server) error { return nil }
