package store

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

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

// A HeldLease is a lease and whom it is kept under: its client, or for an address that nobody may have, no client.
type HeldLease struct {
	Client string
	metal.Lease
}

// HeldLeases shows f every lease that is kept, expired or not.
func (tx *Tx) HeldLeases(f func(HeldLease)) error {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT client, doc FROM lease")
	if err != nil {
		return translate("leases", err)
	}
	defer rows.Close()
	for rows.Next() {
		var h HeldLease
		var text []byte
		if err := rows.Scan(&h.Client, &text); err != nil {
			return translate("leases", err)
		}
		if err := json.Unmarshal(text, &h.Lease); err != nil {
			return fmt.Errorf("read the lease of %s: %w", h.Client, err)
		}
		f(h)
	}
	return translate("leases", rows.Err())
}

// PutLease stores a lease in place of whatever the client held before and of any expired lease on its address.
// A lease that another client still holds on the address is metal.Conflict.
func (tx *Tx) PutLease(client string, l metal.Lease) error {
	_, err := tx.exec("lease", "DELETE FROM lease WHERE subnet = $1 AND client = $2 AND addr <> $3", l.Subnet, client, l.Addr.AsSlice())
	if err != nil {
		return err
	}
	return tx.PutLeases([]HeldLease{{client, l}}, tx.Now)
}

// rowsAtOnce is how many rows a statement stores where there are so many. It is small: SQLite keeps every page that a
// statement of several rows changes, to be able to undo it, and from 64 KiB on it does so in a file.
const rowsAtOnce = 8

// PutLeases stores leases of different addresses, in place of what their clients had on those and of leases that
// ended there by now. Other leases of the clients are the caller's to delete first. An address that another client
// still holds, or a client that has another one, is metal.Conflict.
func (tx *Tx) PutLeases(list []HeldLease, now time.Time) error {
	for _, size := range [...]int{rowsAtOnce, 1} {
		for ; len(list) >= size; list = list[size:] {
			if err := tx.putLeases(list[:size], now); err != nil {
				return err
			}
		}
	}
	return nil
}

func (tx *Tx) putLeases(list []HeldLease, now time.Time) error {
	const columns = 6
	args := make([]any, 0, len(list)*columns+1)
	for i := range list {
		l := &list[i]
		doc, err := encode(&l.Lease)
		if err != nil {
			return err
		}
		args = append(args, l.Subnet, l.Addr.AsSlice(), l.Client, string(l.MAC), l.ExpiresAt.UnixNano(), doc)
		tx.note(Change{Lease: &l.Lease, Client: l.Client})
	}
	what := "lease on " + list[0].Addr.String()
	insert := "INSERT INTO lease (subnet, addr, client, mac, expires_at, doc) VALUES " + rowsOf(len(list), columns) + `
		ON CONFLICT (subnet, addr) DO UPDATE SET mac = excluded.mac, expires_at = excluded.expires_at, doc = excluded.doc`
	// A renewal must not write the client: SQLite would write the index of clients too, another page for each lease.
	n, err := tx.exec(what, insert+" WHERE lease.client = excluded.client", args...)
	if err != nil || n == int64(len(list)) {
		return err
	}
	n, err = tx.exec(what, insert+", client = excluded.client WHERE lease.client = excluded.client OR lease.expires_at <= $"+strconv.Itoa(len(args)+1), append(args, now.UnixNano())...)
	if err == nil && n != int64(len(list)) {
		return metal.Errorf(metal.Conflict, "%s and %d others: another client holds one of them", what, len(list)-1)
	}
	return err
}

// rowsOf returns "($1, $2), ($3, $4)" for so many rows and columns.
func rowsOf(rows, columns int) string {
	var b strings.Builder
	for n := range rows * columns {
		switch {
		case n == 0:
			b.WriteByte('(')
		case n%columns == 0:
			b.WriteString("), (")
		default:
			b.WriteString(", ")
		}
		b.WriteByte('$')
		b.WriteString(strconv.Itoa(n + 1))
	}
	b.WriteByte(')')
	return b.String()
}

// DeleteLease removes the lease on an address.
func (tx *Tx) DeleteLease(subnet string, addr netip.Addr) error {
	tx.note(Change{Lease: &metal.Lease{Subnet: subnet, Addr: addr}, Gone: true})
	_, err := tx.exec("lease on "+addr.String(), "DELETE FROM lease WHERE subnet = $1 AND addr = $2", subnet, addr.AsSlice())
	return err
}

// ExpireLeases forgets leases that ended before t: until then a client that returns gets its old address.
func (tx *Tx) ExpireLeases(t time.Time) error {
	gone, err := documents[metal.Lease](tx, "expired leases", "DELETE FROM lease WHERE expires_at < $1 RETURNING doc", t.UnixNano())
	for i := range gone {
		tx.note(Change{Lease: &gone[i], Gone: true})
	}
	return err
}

// A LeaseEvent is something that happened to a lease of a subnet.
type LeaseEvent struct{ Subnet, Text string }

// AddLeaseEvents tells of leases, in their order.
func (tx *Tx) AddLeaseEvents(list []LeaseEvent) error {
	const columns = 4
	for _, size := range [...]int{rowsAtOnce, 1} {
		for ; len(list) >= size; list = list[size:] {
			args := make([]any, 0, size*columns)
			for _, e := range list[:size] {
				args = append(args, tx.Now.UnixNano(), "lease", e.Subnet, e.Text)
			}
			if _, err := tx.exec("events of leases", "INSERT INTO event (at, kind, subject, text) VALUES "+rowsOf(size, columns), args...); err != nil {
				return err
			}
		}
	}
	return nil
}
