package daemon

import (
	"github.com/metalform/terraform-provider-metal/server/internal/lease"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// feed tells a table of everything that is stored: it observes the database.
type feed struct{ table *lease.Table }

// Load tells all that is committed.
func (f feed) Load(tx *store.Tx) error {
	const all = 1 << 30
	subnets, err := tx.Subnets("", all, nil)
	if err != nil {
		return err
	}
	for i := range subnets {
		f.table.SetSubnet(&subnets[i])
	}
	vlans, err := tx.VLANs("", all, nil)
	if err != nil {
		return err
	}
	for i := range vlans {
		f.table.SetVLAN(&vlans[i])
	}
	ranges, err := tx.Ranges("", all, nil)
	if err != nil {
		return err
	}
	for i := range ranges {
		f.table.SetRange(&ranges[i])
	}
	routes, err := tx.StaticRoutes("", all, nil)
	if err != nil {
		return err
	}
	for i := range routes {
		f.table.SetStaticRoute(&routes[i])
	}
	if err := f.loadOwners(tx); err != nil {
		return err
	}
	f.table.Now(tx.Now)
	return tx.HeldLeases(func(h store.HeldLease) { f.table.SetLease(h.Client, &h.Lease) })
}

func (f feed) loadOwners(tx *store.Tx) error {
	const all = 1 << 30
	reservations, err := tx.Reservations("", all, nil)
	if err != nil {
		return err
	}
	for i := range reservations {
		f.table.SetReservation(&reservations[i])
	}
	devices, err := tx.Devices("", all, nil)
	if err != nil {
		return err
	}
	for i := range devices {
		f.table.SetDevice(&devices[i])
	}
	machines, err := tx.Machines(store.MachineFilter{})
	if err != nil {
		return err
	}
	for i := range machines {
		f.table.SetMachine(&machines[i])
	}
	assignments, err := tx.AllAssignments()
	for _, a := range assignments {
		f.table.SetAssignment(a)
	}
	return err
}

// Apply tells what one transaction committed.
func (f feed) Apply(changes []store.Change) {
	for _, c := range changes {
		if c.Gone {
			f.drop(c)
		} else {
			f.set(c)
		}
	}
}

func (f feed) set(c store.Change) {
	switch {
	case c.Lease != nil:
		f.table.SetLease(c.Client, c.Lease)
	case c.Assignment != nil:
		f.table.SetAssignment(*c.Assignment)
	case c.Machine != nil:
		f.table.SetMachine(c.Machine)
	case c.Reservation != nil:
		f.table.SetReservation(c.Reservation)
	case c.Device != nil:
		f.table.SetDevice(c.Device)
	case c.Subnet != nil:
		f.table.SetSubnet(c.Subnet)
	case c.VLAN != nil:
		f.table.SetVLAN(c.VLAN)
	case c.Range != nil:
		f.table.SetRange(c.Range)
	case c.StaticRoute != nil:
		f.table.SetStaticRoute(c.StaticRoute)
	}
}

func (f feed) drop(c store.Change) {
	switch {
	case c.Lease != nil:
		f.table.DropLease(c.Lease.Subnet, c.Lease.Addr)
	case c.Assignment != nil:
		f.table.DropAssignment(c.Assignment.Subnet, c.Assignment.Addr)
	case c.Machine != nil:
		f.table.DropMachine(c.Machine.ID)
	case c.Reservation != nil:
		f.table.DropReservation(c.Reservation.Name)
	case c.Device != nil:
		f.table.DropDevice(c.Device.Name)
	case c.Subnet != nil:
		f.table.DropSubnet(c.Subnet.Name)
	case c.VLAN != nil:
		f.table.DropVLAN(c.VLAN.Name)
	case c.Range != nil:
		f.table.DropRange(c.Range)
	case c.StaticRoute != nil:
		f.table.DropStaticRoute(c.StaticRoute)
	}
}
