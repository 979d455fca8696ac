package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lease"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// commit stores a batch and finishes it. Where one promise cannot be kept, the others are. Machines that need an
// address are given it one by one: that writes more than leases.
func (k *keeper) commit(ctx context.Context, batch []*waiting) {
	err := k.db.Update(ctx, func(tx *store.Tx) error { return k.write(tx, batch, nil) })
	split := len(batch) > 1 && metal.CodeOf(err) == metal.Conflict
	for _, w := range batch {
		if split || err == nil && w.err == nil && w.place {
			w.err = k.db.Update(ctx, func(tx *store.Tx) error {
				if err := k.write(tx, []*waiting{w}, tx); err != nil {
					return err
				}
				return w.err
			})
		} else if err != nil {
			w.err = err
		}
		k.finish(w, w.err)
	}
}

// write writes what is promised. Nobody else writes now, so that what is still true is true when this is committed;
// what is not is decided anew, with a transaction to give machines addresses in where there is one for that.
func (k *keeper) write(tx *store.Tx, batch []*waiting, placing *store.Tx) error {
	now := k.table.Now(k.now())
	var put []store.HeldLease
	var told []store.LeaseEvent
	for _, w := range batch {
		k.renew(w, placing, now)
		if w.err != nil || w.place {
			continue
		}
		for _, d := range w.drop {
			if err := tx.DeleteLease(d.subnet, d.addr); err != nil {
				return err
			}
		}
		for i := range w.put {
			h := &w.put[i]
			had := k.table.Stored(h.Client, h.Subnet, kindOf(&h.Lease))
			if had != nil && had.Addr != h.Addr && !slices.Contains(w.drop, netAddr{h.Subnet, had.Addr}) {
				if err := tx.DeleteLease(h.Subnet, had.Addr); err != nil {
					return err
				}
			}
			if text := happened(had, h, now); text != "" {
				told = append(told, store.LeaseEvent{Subnet: h.Subnet, Text: h.Addr.String() + " was " + text})
			}
		}
		put = append(put, w.put...)
	}
	if err := tx.PutLeases(put, now); err != nil {
		return err
	}
	return tx.AddLeaseEvents(told)
}

// renew decides an exchange that is not decided, or was on what is no longer so.
func (k *keeper) renew(w *waiting, placing *store.Tx, now time.Time) {
	good := w.decided && w.epoch == k.table.Epoch() && !(w.place && placing != nil)
	for i := range w.put {
		h := &w.put[i]
		good = good && h.ExpiresAt.After(now) && k.table.Holds(h.Client, &h.Lease, now)
	}
	if good {
		return
	}
	w.promise, w.err = w.decide(placing, now)
	w.decided = w.err == nil
}

func kindOf(l *metal.Lease) lease.Kind {
	if l.Bits > 0 {
		return lease.Prefix
	}
	return lease.Address
}

// happened says what a lease that is stored tells anew of its address; nothing for a renewal.
func happened(had *metal.Lease, h *store.HeldLease, now time.Time) string {
	switch {
	case h.State == metal.LeaseDeclined:
		return fmt.Sprintf("declined by %s: another host uses it; nobody gets it until %s", who(&h.Lease), h.ExpiresAt.Format(time.RFC3339))
	case !h.ExpiresAt.After(now):
		return "released by " + who(&h.Lease)
	case had == nil || had.Addr != h.Addr || !had.ExpiresAt.After(now):
		return "leased to " + who(&h.Lease)
	default:
		return ""
	}
}

// who names a client for people.
func who(l *metal.Lease) string {
	name := string(l.MAC)
	if name == "" {
		name = "client " + l.ClientID
	}
	if l.Hostname != "" {
		name += " (" + l.Hostname + ")"
	}
	return name
}

// sweep tells of leases that ended. An event that cannot be stored is only logged: nothing depends on it.
func (k *keeper) sweep(ctx context.Context) {
	ended := k.table.Ended(k.now())
	if len(ended) == 0 {
		return
	}
	told := make([]store.LeaseEvent, len(ended))
	for i := range ended {
		l := &ended[i]
		told[i] = store.LeaseEvent{Subnet: l.Subnet, Text: fmt.Sprintf("the lease of %s to %s ended", l.Addr, who(l))}
	}
	if err := k.db.Update(ctx, func(tx *store.Tx) error { return tx.AddLeaseEvents(told) }); err != nil {
		k.log.Error("tell of leases that ended", "leases", len(told), "error", err)
	}
}

// storing is how long an address is kept for a client while its lease is being stored.
const storing = 30 * time.Second

// promiseLease keeps a lease in memory, and adds it to a promise where it must be stored. It says false where the
// address is somebody else's.
func (k *keeper) promiseLease(p promise, client string, l *metal.Lease, now time.Time) (promise, bool) {
	switch {
	case l.State == metal.LeaseOffered:
		return p, k.table.Hold(client, l, now)
	case l.State == metal.LeaseDeclined:
		client = "declined " + l.Addr.String()
		k.table.Hold(client, l, now) // where it was only offered, nobody else may get it meanwhile
	case !l.ExpiresAt.After(now):
		if k.table.GiveUp(client, l.Subnet, l.Addr, now) {
			if had := k.table.Stored(client, l.Subnet, kindOf(l)); had == nil || had.Addr != l.Addr {
				return p, true // what was only offered is not stored
			}
		}
	default:
		kept := *l
		kept.State, kept.ExpiresAt = metal.LeaseOffered, now.Add(storing)
		if !k.table.Hold(client, &kept, now) {
			return p, false
		}
	}
	p.put = append(p.put, store.HeldLease{Client: client, Lease: *l})
	return p, true
}
