package main

import (
	"context"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/dnsload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/metald"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

const (
	queries   = "queries/core-s"
	mixLength = 100_000 // queries, before they begin again
	// margin is how far the part of the answers that say NXDOMAIN may be from what the mix has: a server that answers
	// quickly, but wrongly, is not compared.
	margin = 0.02
)

func (b *bench) dnsBind(ctx context.Context) error {
	return b.dns(ctx, "dns-bind", "named", b.peers.Named)
}

func (b *bench) dnsKnot(ctx context.Context) error {
	return b.dns(ctx, "dns-knot", "knotd", b.peers.Knot)
}

func (b *bench) dns(ctx context.Context, name, peer string, start func(*testnet.Net, string, []peers.Zone) (*testnet.Process, error)) error {
	hosts := dnsload.Hosts{Domain: metald.Zone, Count: b.scale.hosts}
	zones, err := hosts.Zones()
	if err != nil {
		return err
	}
	mix, err := hosts.Mix(mixLength)
	if err != nil {
		return err
	}
	file := filepath.Join(b.dir, "queries")
	if err := os.WriteFile(file, []byte(mix), 0o600); err != nil {
		return err
	}
	servers := []server{
		b.prepared("metald", func(ctx context.Context, s *metald.Server) error { return addHosts(ctx, s, hosts) }),
		b.peer(peer, func(n *testnet.Net, dir string) (*testnet.Process, error) { return start(n, dir, zones) }),
	}
	medians, err := b.sideBySide(ctx, queries, servers, b.knows(hosts), func(ctx context.Context, p *testnet.Process, _ float64) (found, error) {
		f, err := costing(p, func() (float64, int, error) {
			r, err := dnsload.Run(ctx, b.net, b.peers, file, b.scale.step)
			if err == nil && math.Abs(r.Share("NXDOMAIN")-dnsload.NXDomain) > margin {
				err = fmt.Errorf("of %d answers, those with each response code are %v; want %.0f %% NXDOMAIN, and NOERROR else", r.Completed, r.Codes, 100*dnsload.NXDomain)
			}
			return r.Rate, r.Completed, err
		})
		return b.perCore(f), err
	})
	if err != nil {
		return err
	}
	b.ratio(name, medians[0], medians[1], queries)
	return nil
}

// addHosts makes each host a device with its two addresses.
func addHosts(ctx context.Context, s *metald.Server, hosts dnsload.Hosts) error {
	const six = "six"
	_, err := s.Client.PutSubnet(ctx, api.PutSubnetRequest{ByName: api.ByName{Name: six}, Body: metal.SubnetSpec{CIDR: testnet.Prefix6}})
	if err != nil {
		return err
	}
	return concurrently(ctx, callers, hosts.Count, func(ctx context.Context, i int) error {
		_, err := s.Client.PutDevice(ctx, api.PutDeviceRequest{ByName: api.ByName{Name: hosts.Name(i)}, Body: metal.DeviceSpec{
			Interfaces: []metal.DeviceInterface{{Subnet: mainSubnet, Addr: hosts.Addr(i)}, {Subnet: six, Addr: hosts.Addr6(i)}},
		}})
		return err
	})
}

// knows says whether the server answers for the last of the hosts, by either family.
func (b *bench) knows(hosts dnsload.Hosts) func(ctx context.Context) bool {
	last := hosts.Count - 1
	return func(ctx context.Context) bool {
		a, err := dnsload.NewAsker(ctx, b.net)
		if err != nil {
			return false
		}
		defer a.Close()
		for _, addr := range []netip.Addr{hosts.Addr(last), hosts.Addr6(last)} {
			if ok, err := a.Address(hosts.Name(last)+"."+hosts.Domain, addr); err != nil || !ok {
				return false
			}
		}
		return true
	}
}

// dnsVisibility makes names and asks for each the moment the call that made it has returned.
func (b *bench) dnsVisibility(ctx context.Context) error {
	const (
		zone  = "visible.test"
		pairs = 8 // under way at once
	)
	return b.withMetald(ctx, 0, func(s *metald.Server) error {
		if _, err := s.Client.PutZone(ctx, api.PutZoneRequest{ByZone: api.ByZone{Zone: zone}}); err != nil {
			return err
		}
		askers := make(chan *dnsload.Asker, pairs)
		for range pairs {
			a, err := dnsload.NewAsker(ctx, b.net)
			if err != nil {
				return err
			}
			defer a.Close()
			askers <- a
		}
		var stale atomic.Int64
		begun := time.Now()
		err := concurrently(ctx, pairs, b.scale.pairs, func(ctx context.Context, i int) error {
			asker := <-askers
			defer func() { askers <- asker }()
			name := fmt.Sprintf("new-%05d", i)
			addr := netip.AddrFrom4([4]byte{10, 98, byte(i >> 8), byte(i)})
			_, err := asker.Address(name+"."+zone, addr) // so that its absence is remembered where anything is
			if err != nil {
				return err
			}
			_, err = s.Client.PutRecordSet(ctx, api.PutRecordSetRequest{
				ByRecordSet: api.ByRecordSet{ByZone: api.ByZone{Zone: zone}, Name: name, Type: "A"},
				Body:        metal.RecordSetSpec{Values: []string{addr.String()}},
			})
			if err != nil {
				return err
			}
			known, err := asker.Address(name+"."+zone, addr)
			if err == nil && !known {
				stale.Add(1)
			}
			return err
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(b.out, "dns-visibility\t%d\tpairs\t%d\tstale\t%.0f\tpairs/s\n", b.scale.pairs, stale.Load(), float64(b.scale.pairs)/time.Since(begun).Seconds())
		if n := stale.Load(); n > 0 {
			return fmt.Errorf("%d of %d names were not answered when the call that made them had returned", n, b.scale.pairs)
		}
		return nil
	})
}
