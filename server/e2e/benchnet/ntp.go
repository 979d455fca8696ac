package main

import (
	"context"
	"fmt"
	"time"

	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/ntpload"
	"github.com/metalform/terraform-provider-metal/server/e2e/benchnet/testnet"
)

func (b *bench) ntpChrony(ctx context.Context) error {
	const replies = "replies/core-s"
	servers := []server{b.metald(), b.peer("chronyd", b.peers.Chronyd)}
	tells := func(ctx context.Context) bool {
		r, err := ntpload.Run(ctx, b.net, 100*time.Millisecond)
		return err == nil && r.Answered > 0
	}
	medians, err := b.sideBySide(ctx, replies, servers, tells, func(ctx context.Context, p *testnet.Process, _ float64) (found, error) {
		f, err := costing(p, func() (float64, int, error) {
			r, err := ntpload.Run(ctx, b.net, b.scale.step)
			if r.Refused+r.Strange > 0 {
				fmt.Fprintf(b.out, "of %d requests %d were answered, %d refused; %d answers were strange\n", r.Sent, r.Answered, r.Refused, r.Strange)
			}
			return r.Rate(), r.Answered, err
		})
		return b.perCore(f), err
	})
	if err != nil {
		return err
	}
	b.ratio("ntp-chrony", medians[0], medians[1], replies)
	return nil
}
