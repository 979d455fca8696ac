package store

import (
	"net/netip"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Subnet reads one subnet; metal.NotFound. Its use is not counted: see CountSubnet.
func (tx *Tx) Subnet(name string) (*metal.Subnet, error) {
	return document[metal.Subnet](tx, "subnet "+name, "SELECT doc FROM subnet WHERE name = $1", name)
}

// Subnets lists subnets by name; only: nil for all.
func (tx *Tx) Subnets(after string, limit int, only []string) ([]metal.Subnet, error) {
	return pageOf[metal.Subnet](tx, "subnet", "name", after, limit, only)
}

// PutSubnet inserts or replaces a subnet, and raises its revision.
func (tx *Tx) PutSubnet(s *metal.Subnet) error {
	s.Revision++
	if s.CreatedAt.IsZero() {
		s.CreatedAt = tx.Now
	}
	tx.namesChanged = true
	return tx.put("subnet", s.Name, s.Revision, s)
}

// DeleteSubnet removes a subnet and its leases; metal.Conflict while machines have addresses in it.
func (tx *Tx) DeleteSubnet(name string) error {
	tx.namesChanged = true
	return tx.remove("subnet", name)
}

// CountSubnet returns how many addresses of a subnet belong to machines, and how many other clients hold now.
func (tx *Tx) CountSubnet(name string) (assigned, leased int64, err error) {
	err = tx.one("subnet "+name, "SELECT (SELECT count(*) FROM assignment WHERE subnet = $1), (SELECT count(*) FROM lease WHERE subnet = $1 AND expires_at > $2)",
		[]any{name, tx.Now.UnixNano()}, &assigned, &leased)
	return assigned, leased, err
}

// Assign gives an address to a machine for as long as the machine exists. An address that another one has, or a
// second address of the machine on the subnet, is metal.Conflict.
func (tx *Tx) Assign(a metal.Assignment) error {
	tx.namesChanged = true
	_, err := tx.exec("address "+a.Addr.String(), "INSERT INTO assignment (subnet, addr, machine_id, mac) VALUES ($1, $2, $3, $4)",
		a.Subnet, a.Addr.AsSlice(), a.MachineID, string(a.MAC))
	return err
}

// Rebind says which NIC a machine's addresses are for.
func (tx *Tx) Rebind(machineID string, mac metal.MAC) error {
	_, err := tx.exec("addresses of "+machineID, "UPDATE assignment SET mac = $2 WHERE machine_id = $1", machineID, string(mac))
	return err
}

// Assignments lists the addresses of a machine.
func (tx *Tx) Assignments(machineID string) ([]metal.Assignment, error) {
	return tx.assignments("SELECT subnet, addr, machine_id, mac FROM assignment WHERE machine_id = $1 ORDER BY subnet, addr", machineID)
}

// AssignmentsIn lists the addresses of a subnet that belong to machines, in the order of addresses.
func (tx *Tx) AssignmentsIn(subnet string) ([]metal.Assignment, error) {
	return tx.assignments("SELECT subnet, addr, machine_id, mac FROM assignment WHERE subnet = $1 ORDER BY addr", subnet)
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
		if err := rows.Scan(&a.Subnet, &raw, &a.MachineID, &a.MAC); err != nil {
			return nil, translate("addresses", err)
		}
		a.Addr, _ = netip.AddrFromSlice(raw)
		list = append(list, a)
	}
	return list, translate("addresses", rows.Err())
}

// Leases lists the leases of a subnet (of all when empty) that have not expired, in the order of addresses.
func (tx *Tx) Leases(subnet string) ([]metal.Lease, error) {
	return documents[metal.Lease](tx, "leases", "SELECT doc FROM lease WHERE ($1 = '' OR subnet = $1) AND expires_at > $2 ORDER BY subnet, addr",
		subnet, tx.Now.UnixNano())
}

// LeaseOf reads what a client holds on a subnet, expired or not, so that it gets the same address again; nil for
// nothing. client is its client id in hex, or its MAC address where it sends none.
func (tx *Tx) LeaseOf(subnet, client string) (*metal.Lease, error) {
	return optional(document[metal.Lease](tx, "lease", "SELECT doc FROM lease WHERE subnet = $1 AND client = $2", subnet, client))
}

// LeaseAt reads the lease on an address, expired or not; nil for none.
func (tx *Tx) LeaseAt(subnet string, addr netip.Addr) (*metal.Lease, error) {
	return optional(document[metal.Lease](tx, "lease", "SELECT doc FROM lease WHERE subnet = $1 AND addr = $2", subnet, addr.AsSlice()))
}

func optional[T any](v *T, err error) (*T, error) {
	if metal.CodeOf(err) == metal.NotFound {
		return nil, nil
	}
	return v, err
}

// PutLease stores a lease in place of whatever the client held before and of any expired lease on its address.
// A lease that another client still holds on the address is metal.Conflict.
func (tx *Tx) PutLease(client string, l metal.Lease) error {
	_, err := tx.exec("lease", "DELETE FROM lease WHERE subnet = $1 AND (client = $2 OR (addr = $3 AND expires_at <= $4))",
		l.Subnet, client, l.Addr.AsSlice(), tx.Now.UnixNano())
	if err != nil {
		return err
	}
	doc, err := encode(l)
	if err != nil {
		return err
	}
	_, err = tx.exec("lease on "+l.Addr.String(), "INSERT INTO lease (subnet, addr, client, mac, expires_at, doc) VALUES ($1, $2, $3, $4, $5, $6)",
		l.Subnet, l.Addr.AsSlice(), client, string(l.MAC), l.ExpiresAt.UnixNano(), doc)
	return err
}

// DeleteLease removes the lease on an address.
func (tx *Tx) DeleteLease(subnet string, addr netip.Addr) error {
	_, err := tx.exec("lease on "+addr.String(), "DELETE FROM lease WHERE subnet = $1 AND addr = $2", subnet, addr.AsSlice())
	return err
}

// ExpireLeases forgets leases that ended before t: until then a client that returns gets its old address.
func (tx *Tx) ExpireLeases(t time.Time) error {
	_, err := tx.exec("expired leases", "DELETE FROM lease WHERE expires_at < $1", t.UnixNano())
	return err
}
