package store

import (
	"net/netip"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Reservation reads one reservation; metal.NotFound.
func (tx *Tx) Reservation(name string) (*metal.Reservation, error) {
	return document[metal.Reservation](tx, "reservation "+name, "SELECT doc FROM reservation WHERE name = $1", name)
}

// Reservations lists reservations by name; only: nil for all.
func (tx *Tx) Reservations(after string, limit int, only []string) ([]metal.Reservation, error) {
	return pageOf[metal.Reservation](tx, "reservation", "name", after, limit, only)
}

// ReservationsIn lists the reservations of a subnet by name.
func (tx *Tx) ReservationsIn(subnet string) ([]metal.Reservation, error) {
	return documents[metal.Reservation](tx, "reservations of "+subnet, "SELECT doc FROM reservation WHERE subnet = $1 ORDER BY name", subnet)
}

// PutReservation inserts or replaces a reservation, and raises its revision. Its address is a row of its own: Assign.
func (tx *Tx) PutReservation(r *metal.Reservation) error {
	r.Revision++
	if r.CreatedAt.IsZero() {
		r.CreatedAt = tx.Now
	}
	kept := *r
	tx.note(Change{Reservation: &kept})
	return tx.putIn("reservation", r.Name, r.Spec.Subnet, r.Revision, r)
}

// DeleteReservation removes a reservation with its address.
func (tx *Tx) DeleteReservation(name string) error {
	r, err := tx.Reservation(name)
	if err != nil {
		return err
	}
	if err := tx.noteGone("reservation", name); err != nil {
		return err
	}
	tx.note(Change{Reservation: r, Gone: true})
	return tx.remove("reservation", name)
}

// Device reads one device; metal.NotFound.
func (tx *Tx) Device(name string) (*metal.Device, error) {
	return document[metal.Device](tx, "device "+name, "SELECT doc FROM device WHERE name = $1", name)
}

// DeviceByMAC reads the device that has a NIC with this address; nil for none.
func (tx *Tx) DeviceByMAC(mac metal.MAC) (*metal.Device, error) {
	return optional(document[metal.Device](tx, "device", "SELECT doc FROM device WHERE name = (SELECT device FROM device_mac WHERE mac = $1)", string(mac)))
}

// Devices lists devices by name; only: nil for all.
func (tx *Tx) Devices(after string, limit int, only []string) ([]metal.Device, error) {
	return pageOf[metal.Device](tx, "device", "name", after, limit, only)
}

// PutDevice inserts or replaces a device, and raises its revision. A MAC address that another device has is
// metal.Conflict; machines are the caller's to look at. Its addresses are rows of their own: Assign.
func (tx *Tx) PutDevice(d *metal.Device) error {
	d.Revision++
	if d.CreatedAt.IsZero() {
		d.CreatedAt = tx.Now
	}
	if err := tx.put("device", d.Name, d.Revision, d); err != nil {
		return err
	}
	if _, err := tx.exec("MAC addresses of "+d.Name, "DELETE FROM device_mac WHERE device = $1", d.Name); err != nil {
		return err
	}
	for _, i := range d.Spec.Interfaces {
		if i.MAC == "" {
			continue
		}
		if _, err := tx.exec("MAC address "+string(i.MAC), "INSERT INTO device_mac (mac, device) VALUES ($1, $2)", string(i.MAC), d.Name); err != nil {
			return err
		}
	}
	kept := *d
	tx.note(Change{Device: &kept})
	return nil
}

// DeleteDevice removes a device with its addresses.
func (tx *Tx) DeleteDevice(name string) error {
	d, err := tx.Device(name)
	if err != nil {
		return err
	}
	if err := tx.noteGone("device", name); err != nil {
		return err
	}
	tx.note(Change{Device: d, Gone: true})
	return tx.remove("device", name)
}

const assignmentColumns = "SELECT subnet, addr, coalesce(machine_id, ''), coalesce(device, ''), coalesce(reservation, ''), mac, duid FROM address "

// Assign gives an address to a machine, a device or a reservation for as long as that exists. An address that
// another one has, or a second address of a machine on the subnet, is metal.Conflict.
func (tx *Tx) Assign(a metal.Assignment) error {
	owner := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	tx.note(Change{Assignment: &a})
	_, err := tx.exec(addressKey(a.Subnet, a.Addr), "INSERT INTO address (subnet, addr, machine_id, device, reservation, mac, duid) VALUES ($1, $2, $3, $4, $5, $6, $7)",
		a.Subnet, a.Addr.AsSlice(), owner(a.MachineID), owner(a.Device), owner(a.Reservation), string(a.MAC), a.DUID)
	return err
}

// Unassign takes an address from whoever has it; metal.NotFound where nobody does.
func (tx *Tx) Unassign(subnet string, addr netip.Addr) error {
	a, err := tx.AssignmentAt(subnet, addr)
	if err != nil {
		return err
	}
	if a == nil {
		return metal.Errorf(metal.NotFound, "nobody has %s", addressKey(subnet, addr))
	}
	tx.note(Change{Assignment: a, Gone: true})
	_, err = tx.exec(addressKey(subnet, addr), "DELETE FROM address WHERE subnet = $1 AND addr = $2", subnet, addr.AsSlice())
	return err
}

// Rebind says which NIC a machine's addresses are for, but those that are for none.
func (tx *Tx) Rebind(machineID string, mac metal.MAC) error {
	_, err := tx.exec("addresses of "+machineID, "UPDATE address SET mac = $2 WHERE machine_id = $1 AND mac <> ''", machineID, string(mac))
	if err != nil {
		return err
	}
	list, err := tx.Assignments(machineID)
	for i := range list {
		tx.note(Change{Assignment: &list[i]})
	}
	return err
}

// AssignmentAt reads whose an address is; nil for nobody's.
func (tx *Tx) AssignmentAt(subnet string, addr netip.Addr) (*metal.Assignment, error) {
	list, err := tx.assignments(assignmentColumns+"WHERE subnet = $1 AND addr = $2", subnet, addr.AsSlice())
	if len(list) == 0 {
		return nil, err
	}
	return &list[0], err
}

// Assignments lists the addresses of a machine: those of its NICs before those that a deployment declares.
func (tx *Tx) Assignments(machineID string) ([]metal.Assignment, error) {
	return tx.assignments(assignmentColumns+"WHERE machine_id = $1 ORDER BY mac = '', subnet, addr", machineID)
}

// AssignmentsIn lists the addresses of a subnet that belong to somebody, in the order of addresses.
func (tx *Tx) AssignmentsIn(subnet string) ([]metal.Assignment, error) {
	return tx.assignments(assignmentColumns+"WHERE subnet = $1 ORDER BY addr", subnet)
}

// AssignmentsBetween lists at most limit of the addresses between two, both included, that belong to somebody, in the
// order of addresses.
func (tx *Tx) AssignmentsBetween(subnet string, r metal.AddrRange, limit int) ([]metal.Assignment, error) {
	return tx.assignments(assignmentColumns+"WHERE subnet = $1 AND addr >= $2 AND addr <= $3 ORDER BY addr LIMIT $4", subnet, r.First.AsSlice(), r.Last.AsSlice(), limit)
}

// AllAssignments lists every address that belongs to somebody.
func (tx *Tx) AllAssignments() ([]metal.Assignment, error) {
	return tx.assignments(assignmentColumns + "ORDER BY subnet, addr")
}

func (tx *Tx) assignments(statement string, args ...any) ([]metal.Assignment, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, placeholders(statement), args...)
	if err != nil {
		return nil, translate("addresses", err)
	}
	defer rows.Close()
	var list []metal.Assignment
	for rows.Next() {
		var a metal.Assignment
		var raw []byte
		if err := rows.Scan(&a.Subnet, &raw, &a.MachineID, &a.Device, &a.Reservation, &a.MAC, &a.DUID); err != nil {
			return nil, translate("addresses", err)
		}
		a.Addr, _ = netip.AddrFromSlice(raw)
		list = append(list, a)
	}
	return list, translate("addresses", rows.Err())
}

// noteGone tells the observers of the addresses that go with their owner, a value of one of the columns for owners.
func (tx *Tx) noteGone(column, owner string) error {
	list, err := tx.assignments(assignmentColumns+"WHERE "+column+" = $1", owner)
	for i := range list {
		tx.note(Change{Assignment: &list[i], Gone: true})
	}
	return err
}

// LeasesBetween lists at most limit of the leases between two addresses, both included, that have not expired, in the
// order of addresses.
func (tx *Tx) LeasesBetween(subnet string, r metal.AddrRange, limit int) ([]metal.Lease, error) {
	return documents[metal.Lease](tx, "leases", "SELECT doc FROM lease WHERE subnet = $1 AND expires_at > $2 AND addr >= $3 AND addr <= $4 ORDER BY addr LIMIT $5",
		subnet, tx.Now.UnixNano(), r.First.AsSlice(), r.Last.AsSlice(), limit)
}

// LeasesAfter lists at most limit of the leases of a subnet (of all when empty) that have not expired, by subnet and
// address, behind the one that the page before ended with.
func (tx *Tx) LeasesAfter(subnet, lastSubnet string, last netip.Addr, limit int) ([]metal.Lease, error) {
	return documents[metal.Lease](tx, "leases", `SELECT doc FROM lease WHERE ($1 = '' OR subnet = $1) AND expires_at > $2
		AND (subnet, addr) > ($3, $4) ORDER BY subnet, addr LIMIT $5`,
		subnet, tx.Now.UnixNano(), lastSubnet, last.AsSlice(), limit)
}

// See keeps that an address was seen in use, in place of when it was seen before.
func (tx *Tx) See(s metal.Sighting) error {
	tx.note(Change{Sighting: &s})
	_, err := tx.exec(addressKey(s.Subnet, s.Addr), `INSERT INTO sighting (subnet, addr, mac, seen_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (subnet, addr) DO UPDATE SET mac = excluded.mac, seen_at = excluded.seen_at`,
		s.Subnet, s.Addr.AsSlice(), string(s.MAC), s.SeenAt.UnixNano())
	return err
}

// Sightings lists what was seen in use on a subnet (on all when empty) since a time, in the order of addresses.
func (tx *Tx) Sightings(subnet string, since time.Time) ([]metal.Sighting, error) {
	return tx.sightings("SELECT subnet, addr, mac, seen_at FROM sighting WHERE ($1 = '' OR subnet = $1) AND seen_at >= $2 ORDER BY subnet, addr", subnet, since.UnixNano())
}

// SightingsBetween lists at most limit of the addresses between two, both included, that were seen in use since a
// time, in the order of addresses.
func (tx *Tx) SightingsBetween(subnet string, r metal.AddrRange, since time.Time, limit int) ([]metal.Sighting, error) {
	return tx.sightings("SELECT subnet, addr, mac, seen_at FROM sighting WHERE subnet = $1 AND seen_at >= $2 AND addr >= $3 AND addr <= $4 ORDER BY addr LIMIT $5",
		subnet, since.UnixNano(), r.First.AsSlice(), r.Last.AsSlice(), limit)
}

func (tx *Tx) sightings(statement string, args ...any) ([]metal.Sighting, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, placeholders(statement), args...)
	if err != nil {
		return nil, translate("sightings", err)
	}
	defer rows.Close()
	var list []metal.Sighting
	for rows.Next() {
		var s metal.Sighting
		var raw []byte
		var at int64
		if err := rows.Scan(&s.Subnet, &raw, &s.MAC, &at); err != nil {
			return nil, translate("sightings", err)
		}
		s.Addr, _ = netip.AddrFromSlice(raw)
		s.SeenAt = time.Unix(0, at).UTC()
		list = append(list, s)
	}
	return list, translate("sightings", rows.Err())
}

// ForgetSightings forgets what was seen in use before a time and not since.
func (tx *Tx) ForgetSightings(before time.Time) error {
	_, err := tx.exec("old sightings", "DELETE FROM sighting WHERE seen_at < $1", before.UnixNano())
	return err
}
