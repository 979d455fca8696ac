package daemon

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

const (
	// serialSetting is where the database keeps the limit below which all serial numbers are that zones had.
	serialSetting = "dns_serial"

	// serialBlock is how many serial numbers a start takes, and takes more of when half of them are used up.
	serialBlock = 1 << 20

	// leaseTick is how long a name outlives its lease at most.
	leaseTick = time.Second
)

// zones are the DNS zones, fed by the database: what an API call made is answered when that call is.
type zones struct {
	*zone.Zones
	db    *store.DB
	log   *slog.Logger
	limit int64 // no serial number at or above it was given out; beyond 32 bits they begin anew (RFC 1982)
}

// openZones makes the zones of all that is committed, and keeps them up to date from then on. Their serial numbers go
// on above those of the last run, and with the clock's seconds where those are ahead, so that a database restored from
// a backup does not make secondary servers keep what they have.
func openZones(ctx context.Context, db *store.DB, config zone.Config, now time.Time, log *slog.Logger) (*zones, error) {
	z := &zones{db: db, log: log}
	base, err := z.reserve(ctx, now.Unix())
	if err != nil {
		return nil, err
	}
	config.Serial = uint32(base)
	if z.Zones, err = zone.New(config); err != nil {
		return nil, err
	}
	return z, db.Observe(ctx, z)
}

// reserve takes a block of serial numbers that begins at least at one, and returns where.
func (z *zones) reserve(ctx context.Context, least int64) (base int64, err error) {
	err = z.db.Update(ctx, func(tx *store.Tx) error {
		text, err := tx.Setting(serialSetting)
		if err != nil {
			return err
		}
		base = least
		if text != nil {
			stored, err := strconv.ParseInt(string(text), 10, 64)
			if err != nil {
				return fmt.Errorf("read the setting %s: %w", serialSetting, err)
			}
			base = max(base, stored)
		}
		return tx.PutSetting(serialSetting, strconv.AppendInt(nil, base+serialBlock, 10))
	})
	if err != nil {
		return 0, fmt.Errorf("reserve serial numbers of DNS zones: %w", err)
	}
	z.limit = base + serialBlock
	return base, nil
}

// Run ends the names of leases in time, and reserves serial numbers, until ctx ends.
func (z *zones) Run(ctx context.Context) error {
	ticks := time.NewTicker(leaseTick)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-ticks.C:
			z.Expire(now)
			if err := z.replenish(ctx); err != nil && ctx.Err() == nil {
				z.log.Warn("serial numbers of DNS zones could not be reserved", "error", err)
			}
		}
	}
}

// replenish reserves more serial numbers once half of a block is used up.
func (z *zones) replenish(ctx context.Context) error {
	if int32(uint32(z.limit)-z.Top()) > serialBlock/2 {
		return nil
	}
	_, err := z.reserve(ctx, z.limit)
	return err
}

// serial is the serial number of a declared zone now; 0 for one that is not there.
func (z *zones) serial(name string) uint32 {
	found, ok := z.Now().Zone(name)
	if !ok {
		return 0
	}
	return found.Serial()
}

// Load tells the zones all that is committed.
func (z *zones) Load(tx *store.Tx) (err error) {
	z.Change(func(b *zone.Batch) { err = loadNames(tx, b) })
	return err
}

func loadNames(tx *store.Tx, b *zone.Batch) error {
	const all = 1 << 30
	subnets, err := tx.Subnets("", all, nil)
	if err != nil {
		return err
	}
	for _, s := range subnets {
		b.SetSubnet(s.Name, s.Spec)
	}
	declared, err := tx.DeclaredZones("", all, nil)
	if err != nil {
		return err
	}
	for _, z := range declared {
		b.SetZone(z)
	}
	sets, err := tx.RecordSets("", metal.RecordSet{}, all)
	if err != nil {
		return err
	}
	for _, r := range sets {
		b.SetRecordSet(r)
	}
	if err := loadHosts(tx, b); err != nil {
		return err
	}
	return tx.HeldLeases(func(h store.HeldLease) {
		if h.ExpiresAt.After(tx.Now) {
			b.SetLease(h.Client, h.Lease)
		}
	})
}

// loadHosts tells whose addresses are whose.
func loadHosts(tx *store.Tx, b *zone.Batch) error {
	const all = 1 << 30
	machines, err := tx.Machines(store.MachineFilter{})
	if err != nil {
		return err
	}
	for _, m := range machines {
		b.SetMachine(m.ID, m.Spec.Name)
	}
	devices, err := tx.Devices("", all, nil)
	if err != nil {
		return err
	}
	for _, d := range devices {
		b.SetDevice(d.Name, d.Spec)
	}
	reservations, err := tx.Reservations("", all, nil)
	if err != nil {
		return err
	}
	for _, r := range reservations {
		b.SetReservation(r.Name, r.Spec.Hostname)
	}
	assignments, err := tx.AllAssignments()
	for _, a := range assignments {
		b.SetAssignment(a)
	}
	return err
}

// Apply tells the zones what a transaction committed.
func (z *zones) Apply(changes []store.Change) {
	z.Change(func(b *zone.Batch) {
		for _, c := range changes {
			if c.Gone {
				dropName(b, c)
			} else {
				setName(b, c)
			}
		}
	})
}

func setName(b *zone.Batch, c store.Change) {
	switch {
	case c.Lease != nil:
		b.SetLease(c.Client, *c.Lease)
	case c.Assignment != nil:
		b.SetAssignment(*c.Assignment)
	case c.Machine != nil:
		b.SetMachine(c.Machine.ID, c.Machine.Spec.Name)
	case c.Device != nil:
		b.SetDevice(c.Device.Name, c.Device.Spec)
	case c.Reservation != nil:
		b.SetReservation(c.Reservation.Name, c.Reservation.Spec.Hostname)
	case c.Subnet != nil:
		b.SetSubnet(c.Subnet.Name, c.Subnet.Spec)
	case c.Zone != nil:
		b.SetZone(*c.Zone)
	case c.RecordSet != nil:
		b.SetRecordSet(*c.RecordSet)
	}
}

func dropName(b *zone.Batch, c store.Change) {
	switch {
	case c.Lease != nil:
		b.DropLease(c.Lease.Subnet, c.Lease.Addr)
	case c.Assignment != nil:
		b.DropAssignment(c.Assignment.Subnet, c.Assignment.Addr)
	case c.Machine != nil:
		b.DropMachine(c.Machine.ID)
	case c.Device != nil:
		b.DropDevice(c.Device.Name)
	case c.Reservation != nil:
		b.DropReservation(c.Reservation.Name)
	case c.Subnet != nil:
		b.DropSubnet(c.Subnet.Name)
	case c.Zone != nil:
		b.DropZone(c.Zone.Name)
	case c.RecordSet != nil:
		b.DropRecordSet(c.RecordSet.Zone, c.RecordSet.Name, c.RecordSet.Type)
	}
}
