package lifecycle

import (
	"context"
	"time"

	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const (
	forgetEvery = time.Hour
	keepHistory = 30 * 24 * time.Hour
	keepEvents  = 100_000
	keepLease   = 24 * time.Hour // a client that returns by then gets its old address
)

// forget keeps the history that nobody will read from filling the disk.
func (e *Engine) forget(ctx context.Context) {
	tick := time.NewTicker(forgetEvery)
	defer tick.Stop()
	for {
		err := e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
			return tx.Prune(tx.Now.Add(-keepHistory), keepEvents, tx.Now.Add(-keepLease))
		})
		if err != nil && ctx.Err() == nil {
			e.cfg.Log.Error("forget old events, logs and leases", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
