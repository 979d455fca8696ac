package store

import (
	"context"
	"net/netip"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Change is one thing that a committed transaction wrote or removed. Exactly one field is set, but for Gone, which
// goes with the thing as it was last.
//
// Some changes bring others along that are not told one by one: with a subnet that is gone, its leases and sightings
// are, and with a machine that is gone its addresses are, which are told first.
type Change struct {
	Subnet      *metal.Subnet
	VLAN        *metal.VLAN
	Range       *metal.IPRange
	StaticRoute *metal.StaticRoute
	Reservation *metal.Reservation
	Device      *metal.Device
	Machine     *metal.Machine
	Assignment  *metal.Assignment
	Lease       *metal.Lease
	Sighting    *metal.Sighting
	Zone        *metal.Zone
	RecordSet   *metal.RecordSet
	DNSKey      *metal.DNSKey
	// Client is whom Lease is kept under.
	Client string
	// Gone says that the thing was removed.
	Gone bool
}

// An Observer keeps a picture of the database in memory that is never stale: what an Update changed it knows before
// that Update returns. It must not keep anybody waiting, and must not change what it is shown.
type Observer interface {
	// Load takes over all that is committed.
	Load(tx *Tx) error
	// Apply takes over what one transaction committed. Transactions come in their order.
	Apply(changes []Change)
}

// Observe shows o everything now, and every change from then on.
func (db *DB) Observe(ctx context.Context, o Observer) error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if err := db.Read(ctx, o.Load); err != nil {
		return err
	}
	db.observers = append(db.observers, o)
	return nil
}

// note remembers a change for the observers. The thing itself must not be changed afterwards: give a copy of what a
// caller could still change.
func (tx *Tx) note(c Change) { tx.changes = append(tx.changes, c) }

// addressKey names an address of a subnet in messages.
func addressKey(subnet string, a netip.Addr) string {
	return "address " + a.String() + " of subnet " + subnet
}
