package main

import (
	"context"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/metald"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/peers"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/perfdhcp"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

func (b *bench) doraV6(ctx context.Context) error {
	const sarrs = "SARR/s" // SOLICIT, ADVERTISE, REQUEST, REPLY
	leases := func(ctx context.Context) bool {
		r, err := perfdhcp.Run(ctx, b.net, perfdhcp.Load{V6: true, Rate: 10, For: time.Second})
		return err == nil && r.Done() > 0
	}
	servers := []server{b.prepared("metald", serveV6), b.peer("kea", b.peers.Kea6)}
	medians, err := b.sideBySide(ctx, sarrs, servers, leases, b.relayed(true))
	if err != nil {
		return err
	}
	b.ratio("dora-v6", medians[0], medians[1], sarrs)
	return nil
}

// serveV6 has metald give out addresses by DHCPv6.
func serveV6(ctx context.Context, s *metald.Server) error {
	_, err := s.Client.PutSubnet(ctx, api.PutSubnetRequest{ByName: api.ByName{Name: "six"}, Body: metal.SubnetSpec{
		CIDR: testnet.Prefix6, DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{peers.Dynamic6}},
	}})
	return err
}
