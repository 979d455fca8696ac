package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/stat"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

// A comparison measures one thing of metald and its peers, and prints what it finds.
type comparison struct {
	name, about string
	run         func(b *bench, ctx context.Context) error
}

func comparisons() []comparison {
	return []comparison{
		{"dora-v4", "DISCOVER to ACK through a relay agent (perfdhcp), highest rate with less than 0.5 % lost", (*bench).doraV4},
		{"dora-v4-direct", "DISCOVER to ACK on the link, by broadcast, highest rate with less than 0.5 % lost", (*bench).doraV4Direct},
		{"dora-v6", "SOLICIT to REPLY by multicast (perfdhcp), highest rate with less than 0.5 % lost", (*bench).doraV6},
		{"dora-v4-100k-reservations", "dora-v4 with 100,000 reservations, against the same with 100", (*bench).doraV4Reservations},
		{"dhcp-latency-under-changes", "DISCOVER to ACK at 200/s while the API takes 100 changes a second", (*bench).latency},
		{"dns-bind", "answers about 10,000 hosts by name and address, a sixth of them NXDOMAIN (dnsperf)", (*bench).dnsBind},
		{"dns-knot", "the same queries", (*bench).dnsKnot},
		{"dns-visibility", "names that are not answered when the call that made them has returned", (*bench).dnsVisibility},
		{"ntp-chrony", "replies to as many requests as are answered", (*bench).ntpChrony},
		{"ipam", "the next free address, by the API, with 100,000 addresses taken, against the same with 100", (*bench).ipam},
	}
}

// bench is what the comparisons share.
type bench struct {
	net     *testnet.Net
	program string // metald
	peers   peers.Dir
	dir     string
	rounds  int
	scale   scale
	out     io.Writer
	runs    int // servers started so far
}

// scale is how much is done for each figure.
type scale struct {
	step         time.Duration // each step of a search, or load
	hosts        int           // that DNS knows
	pairs        int           // of a new name and a query
	reservations int           // that are many
}

// full is what measurements take.
var full = scale{step: 4 * time.Second, hosts: 10_000, pairs: 10_000, reservations: 100_000}

const upTime = time.Minute // for a server to answer once it runs

// A server is a metald or a peer as a comparison sees it.
type server struct {
	name  string
	start func(ctx context.Context, dir string) (*testnet.Process, error)
}

// metald is metald as it starts the first time.
func (b *bench) metald() server { return b.prepared("metald", nothing) }

// peer is a server that starts without asking anything.
func (b *bench) peer(name string, start func(net *testnet.Net, dir string) (*testnet.Process, error)) server {
	return server{name, func(_ context.Context, dir string) (*testnet.Process, error) { return start(b.net, dir) }}
}

// with starts a server with an empty directory, waits until it answers, and stops it after f. An error has the end of
// its log.
func (b *bench) with(ctx context.Context, s server, answers func(ctx context.Context) bool, f func(p *testnet.Process) error) error {
	dir, err := b.newDir(s.name)
	if err != nil {
		return err
	}
	process, err := s.start(ctx, dir)
	if err != nil {
		return err
	}
	up, cancel := context.WithTimeout(ctx, upTime)
	defer cancel()
	if err = process.Await(up, answers); err == nil {
		err = process.Explain(f(process))
	}
	return errors.Join(err, process.Stop(), os.RemoveAll(dir))
}

func (b *bench) newDir(name string) (string, error) {
	b.runs++
	dir := filepath.Join(b.dir, fmt.Sprintf("%02d-%s", b.runs, name))
	return dir, os.Mkdir(dir, 0o755)
}

// found is what one measurement of a server found.
type found struct {
	rate float64       // things a second
	cost time.Duration // of the server's processor time for each
}

// A measure measures a server that runs as p. before is the rate that it reached the last time, or 0.
type measure func(ctx context.Context, p *testnet.Process, before float64) (found, error)

// sideBySide measures the servers in turns, as many rounds as there are, and returns the median of each, in the order
// of servers.
func (b *bench) sideBySide(ctx context.Context, unit string, servers []server, answers func(ctx context.Context) bool, m measure) ([]float64, error) {
	rates := make([][]float64, len(servers))
	for round := range b.rounds {
		for i, s := range servers {
			before := 0.0
			if round > 0 {
				before = rates[i][round-1]
			}
			var f found
			err := b.with(ctx, s, answers, func(p *testnet.Process) (err error) {
				f, err = m(ctx, p, before)
				return err
			})
			if err != nil {
				return nil, fmt.Errorf("measure %s: %w", s.name, err)
			}
			rates[i] = append(rates[i], f.rate)
			fmt.Fprintf(b.out, "round %d\t%s\t%.0f\t%s\t%.1f\tµs of its core each\n", round+1, s.name, f.rate, unit, float64(f.cost.Nanoseconds())/1000)
		}
	}
	medians := make([]float64, len(servers))
	for i := range servers {
		medians[i] = stat.Median(rates[i])
	}
	return medians, nil
}

// costing runs one load of a server and adds what it cost that to what the load found.
func costing(p *testnet.Process, load func() (rate float64, done int, err error)) (found, error) {
	before, err := p.CPU()
	if err != nil {
		return found{}, err
	}
	rate, done, err := load()
	if err != nil {
		return found{}, err
	}
	after, err := p.CPU()
	return found{rate: rate, cost: (after - before) / time.Duration(max(done, 1))}, err
}

// perCore makes a rate that of a whole core, which the load generators cannot always keep busy: what was done, by the
// processor time that it cost. What the generator got is printed.
func (b *bench) perCore(f found) found {
	if f.cost <= 0 {
		return found{}
	}
	whole := 1 / f.cost.Seconds()
	fmt.Fprintf(b.out, "\t%.0f\ta second\t%.0f %%\tof its core\n", f.rate, 100*f.rate/whole)
	return found{rate: whole, cost: f.cost}
}

// ratio prints the line of a comparison.
func (b *bench) ratio(name string, ours, peer float64, unit string) {
	fmt.Fprintf(b.out, "ratio\t%s\t%.6g\t%.6g\t%s\t%.3f\n", name, ours, peer, unit, ours/peer)
}
