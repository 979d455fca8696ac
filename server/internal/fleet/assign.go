package fleet

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// assignFirst gives a machine an address of its own on the first subnet that serves DHCP. Where there is none yet,
// it gets one when it asks for it.
func (f *Fleet) assignFirst(tx *store.Tx, m *metal.Machine, p *picks) error {
	name := f.ledger.serving()
	if name == "" {
		return nil
	}
	s, err := tx.Subnet(name)
	if err != nil {
		return err
	}
	_, err = f.assign(tx, m, s, m.Spec.MACs[0], p)
	return err
}

// wantFirst says which address a machine that is not known yet will want.
func (f *Fleet) wantFirst(macs []metal.MAC) []want {
	name := f.ledger.serving()
	if name == "" || f.reservedFor(name, macs[0], macs) != "" {
		return nil
	}
	return []want{{subnet: name}}
}

// assign gives a machine an address of its own on a subnet, for its NIC with this MAC address or for none: the one that is reserved
// for it, else the next free one. A full subnet is metal.Exhausted.
func (f *Fleet) assign(tx *store.Tx, m *metal.Machine, s *metal.Subnet, mac metal.MAC, p *picks) (metal.Assignment, error) {
	held, err := tx.Assignments(m.ID)
	if err != nil {
		return metal.Assignment{}, err
	}
	for _, a := range held {
		if a.Subnet == s.Name {
			return a, nil
		}
	}
	if name := f.reservedFor(s.Name, mac, m.Spec.MACs); name != "" {
		switch a, err := f.handOver(tx, m, name); {
		case err != nil:
			return metal.Assignment{}, err
		case a != nil:
			return *a, nil
		}
	}
	addr, err := p.take(tx, s)
	if err != nil {
		return metal.Assignment{}, err
	}
	a := metal.Assignment{Subnet: s.Name, Addr: addr, MachineID: m.ID, MAC: mac}
	return a, tx.Assign(a)
}

// reservedFor returns the name of the reservation for one of a machine's NICs on a subnet, this one's first.
func (f *Fleet) reservedFor(subnet string, mac metal.MAC, macs []metal.MAC) string {
	for _, one := range append([]metal.MAC{mac}, macs...) {
		if one == "" {
			continue
		}
		if name := f.ledger.reservation(subnet, string(one)); name != "" {
			return name
		}
	}
	return ""
}

// handOver makes the address that a reservation keeps for a machine's NIC the machine's own; nil where another one has
// it.
func (f *Fleet) handOver(tx *store.Tx, m *metal.Machine, reservation string) (*metal.Assignment, error) {
	r, err := tx.Reservation(reservation)
	if err != nil {
		return nil, err
	}
	now, err := tx.AssignmentAt(r.Spec.Subnet, r.Addr)
	if err != nil || now == nil || now.Reservation != r.Name {
		return nil, err
	}
	if err := tx.Unassign(r.Spec.Subnet, r.Addr); err != nil {
		return nil, err
	}
	a := metal.Assignment{Subnet: r.Spec.Subnet, Addr: r.Addr, MachineID: m.ID, MAC: r.Spec.MAC, DUID: r.Spec.DUID}
	return &a, tx.Assign(a)
}

// handBack gives the addresses of a machine that is gone, or has lost the NIC, back to the reservations that keep them.
func (f *Fleet) handBack(tx *store.Tx, lost []metal.Assignment) error {
	for _, a := range lost {
		name := f.ledger.reservation(a.Subnet, string(a.MAC))
		if name == "" {
			continue
		}
		r, err := tx.Reservation(name)
		if err != nil {
			return err
		}
		if r.Addr != a.Addr {
			continue
		}
		if err := tx.Assign(metal.Assignment{Subnet: a.Subnet, Addr: a.Addr, Reservation: name, MAC: r.Spec.MAC, DUID: r.Spec.DUID}); err != nil {
			return err
		}
	}
	return nil
}

// Place gives a known machine an address on the subnet that it asks from, where it has none there yet.
func (f *Fleet) Place(tx *store.Tx, m *metal.Machine, s *metal.Subnet, mac metal.MAC) (metal.Assignment, error) {
	p := f.newPicks()
	defer p.release()
	a, err := f.assign(tx, m, s, mac, p)
	if err != nil || m.Address != "" {
		return a, err
	}
	if err := f.naming(tx, m); err != nil {
		return a, err
	}
	return a, tx.SaveMachine(m)
}

// grant checks that somebody may have an address of a subnet that he asks for by name. An address that he has already
// is his: self says whose one is. What he leased there becomes his own.
func (f *Fleet) grant(tx *store.Tx, s *metal.Subnet, addr netip.Addr, mac metal.MAC, duid string, self func(metal.Assignment) bool) error {
	if err := ipam.Unfit(s.Spec, f.cfg.Own, addr); err != nil {
		return err
	}
	a, err := tx.AssignmentAt(s.Name, addr)
	if err != nil {
		return err
	}
	if a != nil && !self(*a) {
		return metal.Errorf(metal.Conflict, "%s of subnet %s belongs to %s: choose another address, or free that one first", addr, s.Name, f.owner(tx, *a))
	}
	lease, err := tx.LeaseAt(s.Name, addr)
	if err != nil || lease == nil {
		return err
	}
	switch his := mac != "" && lease.MAC == mac || duid != "" && strings.EqualFold(lease.ClientID, duid); {
	case his && lease.State != metal.LeaseDeclined:
		return tx.DeleteLease(s.Name, addr)
	case !lease.ExpiresAt.After(tx.Now):
		return nil
	case lease.State == metal.LeaseDeclined:
		return metal.Errorf(metal.Conflict, "%s of subnet %s is in quarantine until %s: a client found it in use by another; choose another address", addr, s.Name, lease.ExpiresAt.Format(timeFormat))
	default:
		return metal.Errorf(metal.Conflict, "%s of subnet %s is leased to %s until %s: choose another address, or end that lease first", addr, s.Name, lessee(*lease), lease.ExpiresAt.Format(timeFormat))
	}
}

const timeFormat = "2006-01-02 15:04:05 MST"

// lessee says in words who holds a lease.
func lessee(l metal.Lease) string {
	who := string(l.MAC)
	if who == "" {
		who = "client " + l.ClientID
	}
	if l.Hostname != "" {
		who += " (" + l.Hostname + ")"
	}
	return who
}

// clientOf returns what a client's leases are kept under: one address, or prefix, for each of its associations.
func clientOf(l *metal.Lease) string {
	id := l.ClientID
	if id == "" {
		id = string(l.MAC)
	}
	return leaseKey(id, l)
}

// owner says in words whose an address is: a machine by its name.
func (f *Fleet) owner(tx *store.Tx, a metal.Assignment) string {
	if a.MachineID != "" {
		if m, err := tx.Machine(a.MachineID); err == nil {
			return "machine " + m.Spec.Name + " (" + m.ID + ")"
		}
	}
	return a.Owner()
}

// rebind moves a machine's addresses from a NIC that it does not have any more to the one that it boots from; those
// that were reserved for that NIC go back.
func (f *Fleet) rebind(tx *store.Tx, m *metal.Machine) error {
	held, err := tx.Assignments(m.ID)
	if err != nil {
		return err
	}
	for _, a := range held {
		switch {
		case a.MAC == "", slices.Contains(m.Spec.MACs, a.MAC):
		case f.ledger.reservation(a.Subnet, string(a.MAC)) != "":
			if err := tx.Unassign(a.Subnet, a.Addr); err != nil {
				return err
			}
			if err := f.handBack(tx, []metal.Assignment{a}); err != nil {
				return err
			}
		default:
			if err := tx.Rebind(m.ID, m.Spec.MACs[0]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Assigned lists the addresses of a machine: the one that it is named by first, which it keeps when others come.
func Assigned(tx *store.Tx, m *metal.Machine) ([]metal.Assignment, error) {
	list, err := tx.Assignments(m.ID)
	if i := slices.IndexFunc(list, func(a metal.Assignment) bool { return a.Addr.String() == m.Address }); i > 0 {
		own := list[i]
		list = slices.Insert(slices.Delete(list, i, i+1), 0, own)
	}
	return list, err
}

func addresses(tx *store.Tx, m *metal.Machine) ([]string, error) {
	list, err := Assigned(tx, m)
	out := make([]string, 0, len(list))
	for _, a := range list {
		out = append(out, a.Addr.String())
	}
	return out, err
}
