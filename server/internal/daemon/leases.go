package daemon

import (
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// leases is what DHCP keeps: it shows a packet's view of the store, and stores the answer before it is sent.
type leases struct {
	db      *store.DB
	fleet   *fleet.Fleet
	bootURL string
	zone    string
}

// Exchange decides on what is committed. Only an answer that changes something is decided a second time, in a write
// transaction: renewals of machines' own addresses, the most of all, write nothing.
func (l *leases) Exchange(ctx context.Context, q dhcp.Query, decide func(dhcp.View, time.Time) dhcp.Answer) (dhcp.Answer, error) {
	var a dhcp.Answer
	var place bool
	err := l.db.Read(ctx, func(tx *store.Tx) error {
		v, unplaced, err := l.view(tx, q)
		place = unplaced != nil
		a = decide(v, tx.Now)
		return err
	})
	if err != nil || (!place && a.Lease == nil && !a.Drop.IsValid()) {
		return a, err
	}
	err = l.db.Update(ctx, func(tx *store.Tx) error {
		v, unplaced, err := l.view(tx, q)
		if err != nil {
			return err
		}
		if unplaced != nil {
			given, err := l.fleet.Place(tx, unplaced, v.Subnet, q.MAC)
			if err != nil && metal.CodeOf(err) != metal.Exhausted { // a full subnet: it may still get a lease
				return err
			}
			v.Assigned = given.Addr
		}
		a = decide(v, tx.Now)
		if a.Drop.IsValid() {
			if err := tx.DeleteLease(v.Subnet.Name, a.Drop); err != nil {
				return err
			}
		}
		if a.Lease != nil {
			return tx.PutLease(holder(q, *a.Lease), *a.Lease)
		}
		return nil
	})
	return a, err
}

// holder is whom a lease is kept under: a client, or nobody where the address is in quarantine.
func holder(q dhcp.Query, l metal.Lease) string {
	if l.State == metal.LeaseDeclined {
		return "declined " + l.Addr.String()
	}
	return q.Client
}

// view gathers what is known about a packet. unplaced is a known machine that has no address on this subnet yet.
func (l *leases) view(tx *store.Tx, q dhcp.Query) (v dhcp.View, unplaced *metal.Machine, err error) {
	v = dhcp.View{Server: q.Ours, BootURL: l.bootURL}
	subnets, err := tx.Subnets("", 1<<30, nil)
	if err != nil {
		return v, nil, err
	}
	for i := range subnets {
		if subnets[i].Spec.CIDR.Contains(q.Via) {
			v.Subnet = &subnets[i]
		}
	}
	if v.Subnet == nil || !v.Subnet.Spec.DHCP.Enabled {
		return v, nil, nil
	}
	if v.Domain = l.zone; v.Subnet.Spec.Domain != "" {
		v.Domain = v.Subnet.Spec.Domain
	}
	m, err := tx.MachineByMAC(q.MAC)
	switch {
	case metal.CodeOf(err) == metal.NotFound:
		return v, nil, l.dynamic(tx, &v, q)
	case err != nil:
		return v, nil, err
	}
	v.Hostname = m.Spec.Name
	if v.Assigned, unplaced, err = own(tx, m, v.Subnet, q.MAC); err != nil || v.Assigned.IsValid() {
		return v, nil, err
	}
	return v, unplaced, l.dynamic(tx, &v, q)
}

// own returns the address of a machine on a subnet where it is for the NIC that asks; unplaced is the machine itself
// where it has none there, and should. It has one at most, for the NIC that it boots from; its other NICs get leases.
// A NIC that was replaced since leaves the address to the one that the machine boots from now.
func own(tx *store.Tx, m *metal.Machine, s *metal.Subnet, mac metal.MAC) (addr netip.Addr, unplaced *metal.Machine, err error) {
	bootsFrom := len(m.Spec.MACs) > 0 && m.Spec.MACs[0] == mac
	list, err := tx.Assignments(m.ID)
	if err != nil {
		return addr, nil, err
	}
	for _, a := range list {
		if a.Subnet != s.Name {
			continue
		}
		if a.MAC == mac || bootsFrom && !slices.Contains(m.Spec.MACs, a.MAC) {
			return a.Addr, nil, nil
		}
		return addr, nil, nil
	}
	if bootsFrom {
		unplaced = m
	}
	return addr, unplaced, nil
}

// dynamic gathers what a client without an address of its own holds, or could get. A lease that has not expired is
// nobody else's: neither machines nor clients are given its address. Then the subnet need not be listed, which most
// packets of such clients would ask for.
func (l *leases) dynamic(tx *store.Tx, v *dhcp.View, q dhcp.Query) (err error) {
	if v.Lease, err = tx.LeaseOf(v.Subnet.Name, q.Client); err != nil {
		return err
	}
	inRange := v.Lease != nil && slices.ContainsFunc(v.Subnet.Spec.DHCP.Ranges, func(r metal.AddrRange) bool {
		return !v.Lease.Addr.Less(r.First) && !r.Last.Less(v.Lease.Addr)
	})
	if inRange && v.Lease.ExpiresAt.After(tx.Now) {
		v.LeaseFree = true
		return nil
	}
	held, err := tx.Leases(v.Subnet.Name)
	if err != nil {
		return err
	}
	assigned, err := tx.AssignmentsIn(v.Subnet.Name)
	if err != nil {
		return err
	}
	taken := make(map[netip.Addr]bool, len(held)+len(assigned)+2)
	taken[q.Ours], taken[q.Relay] = true, true
	for _, a := range assigned {
		taken[a.Addr] = true
	}
	for _, h := range held {
		taken[h.Addr] = true
	}
	// An expired lease's row stays until its address goes to another client; a machine may have got it since.
	v.LeaseFree = inRange && !taken[v.Lease.Addr]
	v.Free, _ = ipam.PickDynamic(v.Subnet.Spec, q.Wanted, func(a netip.Addr) bool { return taken[a] })
	return nil
}
