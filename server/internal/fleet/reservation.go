package fleet

import (
	"context"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListReservations lists reservations.
func (f *Fleet) ListReservations(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Reservation], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Reservation, error) {
		return tx.Reservations(in.After, limitOf(in.Page), in.Names)
	}, func(r metal.Reservation) string { return r.Name })
}

// GetReservation reads a reservation.
func (f *Fleet) GetReservation(ctx context.Context, in api.ByName) (metal.Reservation, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.Reservation, error) { return tx.Reservation(in.Name) })
}

// PutReservation makes or changes a reservation. One for a NIC of a machine makes the address the machine's own.
func (f *Fleet) PutReservation(ctx context.Context, in api.PutReservationRequest) (out metal.Reservation, err error) {
	spec := in.Body
	spec.DUID, spec.Hostname = strings.ToLower(spec.DUID), strings.ToLower(spec.Hostname)
	if spec.Hostname != "" && !hostLabel.MatchString(spec.Hostname) {
		return out, metal.Errorf(metal.Invalid, "%q cannot be the host name of reservation %s: use one label of letters, digits and hyphens", spec.Hostname, in.Name)
	}
	plan := func(tx *store.Tx) ([]want, error) { return f.planReservation(tx, in.Name, spec) }
	err = f.allocate(ctx, plan, func(tx *store.Tx, p *picks) error {
		r, err := tx.Reservation(in.Name)
		if r, err = orNew(r, err, metal.Reservation{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "reservation "+in.Name, r.Revision); err != nil {
			return err
		}
		if r.Revision > 0 && reflect.DeepEqual(r.Spec, spec) {
			out = *r
			return nil
		}
		err = f.reserve(tx, r, spec, p)
		out = *r
		return err
	})
	return out, err
}

// planReservation says which address a reservation will want that a host is not known to have. An address that is only
// kept, for nobody, may well be in use: that is a reason to keep it.
func (f *Fleet) planReservation(tx *store.Tx, name string, spec metal.ReservationSpec) ([]want, error) {
	r, err := tx.Reservation(name)
	if r, err = orNew(r, err, metal.Reservation{}); err != nil {
		return nil, err
	}
	switch {
	case r.Addr.IsValid() && (!spec.Addr.IsValid() || spec.Addr == r.Addr):
		return nil, nil
	case spec.Addr.IsValid() && spec.MAC == "" && spec.DUID == "":
		return nil, nil
	}
	m, held, err := machineOn(tx, spec)
	if err != nil || isItsOwn(m, held, spec.MAC) && !spec.Addr.IsValid() || held != nil && held.Addr == spec.Addr {
		return nil, err
	}
	return []want{{spec.Subnet, spec.Addr, spec.MAC}}, nil
}

// machineOn returns the machine that a reservation's MAC address belongs to, and the address that the machine has on
// the subnet; nil for none.
func machineOn(tx *store.Tx, spec metal.ReservationSpec) (*metal.Machine, *metal.Assignment, error) {
	if spec.MAC == "" {
		return nil, nil, nil
	}
	m, err := tx.MachineByMAC(spec.MAC)
	if metal.CodeOf(err) == metal.NotFound {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	list, err := tx.Assignments(m.ID)
	i := slices.IndexFunc(list, func(a metal.Assignment) bool { return a.Subnet == spec.Subnet })
	if i < 0 {
		return m, nil, err
	}
	return m, &list[i], nil
}

// isItsOwn says whether the address that a machine has on a subnet is the one of this NIC: it has it, or the machine
// boots from it. Other NICs of the machine may have addresses beside that.
func isItsOwn(m *metal.Machine, held *metal.Assignment, mac metal.MAC) bool {
	return held != nil && (held.MAC == mac || m.Spec.MACs[0] == mac)
}

// reserve stores a reservation and gives it its address.
func (f *Fleet) reserve(tx *store.Tx, r *metal.Reservation, spec metal.ReservationSpec, p *picks) error {
	if err := sameSubnet("reservation "+r.Name, r.Revision, r.Spec.Subnet, spec.Subnet); err != nil {
		return err
	}
	s, err := subnetOf(tx, "reservation "+r.Name, spec.Subnet)
	if err != nil {
		return err
	}
	if err := f.checkReservation(tx, r, s, spec); err != nil {
		return err
	}
	m, held, err := machineOn(tx, spec)
	if err != nil {
		return err
	}
	addr, err := f.reservedAddr(tx, r, s, spec, m, held, p)
	if err != nil {
		return err
	}
	if r.Revision > 0 {
		if err := f.vacate(tx, r, m, addr); err != nil {
			return err
		}
	}
	r.Spec, r.Addr, r.FQDN = spec, addr, ""
	if spec.Hostname != "" {
		r.FQDN = spec.Hostname + "." + f.domain(s.Spec)
		if err := f.unnamed(tx, r.FQDN, holder{kind: aReservation, id: r.Name}); err != nil {
			return err
		}
	}
	if err := tx.PutReservation(r); err != nil {
		return err
	}
	return f.settle(tx, r, m)
}

func (f *Fleet) checkReservation(tx *store.Tx, r *metal.Reservation, s *metal.Subnet, spec metal.ReservationSpec) error {
	six := s.Spec.CIDR.Addr().Is6()
	if spec.DUID != "" && !six {
		return metal.Errorf(metal.Invalid, "reservation %s has a DUID, and subnet %s is of IPv4: name the client by its MAC address", r.Name, s.Name)
	}
	if err := ipam.ValidateOptions(spec.Options, six); err != nil {
		return err
	}
	if err := f.tellable(s.Spec.CIDR, spec.Options); err != nil {
		return err
	}
	for _, id := range []string{string(spec.MAC), spec.DUID} {
		if other := f.ledger.reservation(s.Name, id); id != "" && other != "" && other != r.Name {
			return metal.Errorf(metal.Conflict, "client %s has reservation %s in subnet %s: change that one", id, other, s.Name)
		}
	}
	if spec.MAC == "" {
		return nil
	}
	d, err := tx.DeviceByMAC(spec.MAC)
	if err != nil || d == nil {
		return err
	}
	for _, a := range d.Addresses {
		if a.Subnet == s.Name && a.MAC == spec.MAC {
			return metal.Errorf(metal.Conflict, "MAC address %s belongs to device %s, which has %s in subnet %s: change the device", spec.MAC, d.Name, a.Addr, s.Name)
		}
	}
	return nil
}

// reservedAddr chooses a reservation's address: the one that is asked for, the one that it has, the one that the
// machine has, or the next free one.
func (f *Fleet) reservedAddr(tx *store.Tx, r *metal.Reservation, s *metal.Subnet, spec metal.ReservationSpec, m *metal.Machine, held *metal.Assignment, p *picks) (netip.Addr, error) {
	asked := spec.Addr
	switch {
	case !asked.IsValid() && r.Addr.IsValid():
		return r.Addr, nil
	case !asked.IsValid() && isItsOwn(m, held, spec.MAC):
		return held.Addr, nil
	case !asked.IsValid():
		return p.take(tx, s)
	case asked == r.Addr:
		return asked, nil
	}
	err := f.grant(tx, s, asked, spec.MAC, spec.DUID, func(a metal.Assignment) bool { return m != nil && a.MachineID == m.ID })
	if err != nil || spec.MAC == "" && spec.DUID == "" || held != nil && held.Addr == asked {
		return asked, err
	}
	return asked, p.vetted(s.Name, asked)
}

// vacate frees the address that a reservation has until now, where it or its machine changes. m is the machine that
// it is for from now on.
func (f *Fleet) vacate(tx *store.Tx, r *metal.Reservation, m *metal.Machine, addr netip.Addr) error {
	now, err := tx.AssignmentAt(r.Spec.Subnet, r.Addr)
	if err != nil || now == nil {
		return err
	}
	switch {
	case now.Reservation == r.Name:
	case now.MachineID == "" || now.MAC != r.Spec.MAC:
		return nil // another's since
	case m != nil && m.ID == now.MachineID && addr == r.Addr:
		return nil
	default:
		return f.dislodge(tx, now, "reservation "+r.Name)
	}
	return tx.Unassign(now.Subnet, now.Addr)
}

// dislodge takes an address from the machine that has it. What is deployed knows its address by heart.
func (f *Fleet) dislodge(tx *store.Tx, a *metal.Assignment, by string) error {
	m, err := tx.Machine(a.MachineID)
	if err != nil {
		return err
	}
	if m.DeploymentID != "" {
		return metal.Errorf(metal.Conflict, "%s would take %s of subnet %s from machine %s, which is deployed with it: delete the deployment first, or reserve that address", by, a.Addr, a.Subnet, m.Spec.Name)
	}
	if err := tx.Unassign(a.Subnet, a.Addr); err != nil {
		return err
	}
	if err := f.naming(tx, m); err != nil {
		return err
	}
	return tx.SaveMachine(m)
}

// settle makes the address of a reservation its own, or where it is for a machine's NIC, the machine's.
func (f *Fleet) settle(tx *store.Tx, r *metal.Reservation, m *metal.Machine) error {
	mine := metal.Assignment{Subnet: r.Spec.Subnet, Addr: r.Addr, Reservation: r.Name, MAC: r.Spec.MAC, DUID: r.Spec.DUID}
	if m == nil {
		return tx.Assign(mine)
	}
	_, held, err := machineOn(tx, r.Spec)
	if err != nil {
		return err
	}
	switch {
	case held == nil:
	case held.Addr == r.Addr:
		if held.MAC == r.Spec.MAC {
			return nil
		}
		if err := tx.Unassign(held.Subnet, held.Addr); err != nil {
			return err
		}
	case !isItsOwn(m, held, r.Spec.MAC):
		return tx.Assign(mine)
	default:
		if err := f.dislodge(tx, held, "reservation "+r.Name); err != nil {
			return err
		}
	}
	mine.Reservation, mine.MachineID = "", m.ID
	if err := tx.Assign(mine); err != nil {
		return err
	}
	return f.renameMachine(tx, m.ID)
}

// DeleteReservation deletes a reservation. A machine whose own its address is keeps it.
func (f *Fleet) DeleteReservation(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Reservation(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "reservation "+in.Name, r.Revision); err != nil {
			return err
		}
		return tx.DeleteReservation(in.Name)
	})
}
