package fleet

import (
	"context"
	"net/netip"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// assignFirst gives a machine an address of its own on the first subnet that serves DHCP. Where there is none yet,
// it gets one when it asks for it.
func (f *Fleet) assignFirst(tx *store.Tx, m *metal.Machine) error {
	subnets, err := tx.Subnets("", 1<<30, nil)
	if err != nil {
		return err
	}
	for i := range subnets {
		if subnets[i].Spec.DHCP.Enabled {
			_, err := f.Assign(tx, m, &subnets[i], m.Spec.MACs[0])
			return err
		}
	}
	return nil
}

// Assign gives a machine an address of its own on a subnet, for its NIC with this MAC address: the first one outside
// of the dynamic ranges that nobody has. A full subnet is metal.Exhausted.
func (f *Fleet) Assign(tx *store.Tx, m *metal.Machine, s *metal.Subnet, mac metal.MAC) (metal.Assignment, error) {
	held, err := tx.AssignmentsIn(s.Name)
	if err != nil {
		return metal.Assignment{}, err
	}
	leases, err := tx.Leases(s.Name)
	if err != nil {
		return metal.Assignment{}, err
	}
	taken := make(map[netip.Addr]bool, len(held)+len(leases))
	for _, a := range held {
		if a.MachineID == m.ID {
			return a, nil
		}
		taken[a.Addr] = true
	}
	for _, l := range leases {
		taken[l.Addr] = true
	}
	addr, ok := ipam.Pick(s.Spec, f.cfg.Own, func(a netip.Addr) bool { return taken[a] })
	if !ok {
		return metal.Assignment{}, metal.Errorf(metal.Exhausted, "subnet %s (%s) has no address left for machine %s: enlarge it, shrink its dynamic ranges, or forget machines", s.Name, s.Spec.CIDR, m.Spec.Name)
	}
	a := metal.Assignment{Subnet: s.Name, Addr: addr, MachineID: m.ID, MAC: mac}
	return a, tx.Assign(a)
}

// naming writes a machine's address and DNS name into its record.
func (f *Fleet) naming(tx *store.Tx, m *metal.Machine) error {
	list, err := tx.Assignments(m.ID)
	if err != nil {
		return err
	}
	m.Address, m.FQDN = "", ""
	if len(list) == 0 {
		return nil
	}
	s, err := tx.Subnet(list[0].Subnet)
	if err != nil {
		return err
	}
	m.Address, m.FQDN = list[0].Addr.String(), m.Spec.Name+"."+f.domain(s)
	return nil
}

// domain returns the DNS domain of a subnet's machines, without a trailing dot.
func (f *Fleet) domain(s *metal.Subnet) string {
	if s.Spec.Domain != "" {
		return strings.TrimSuffix(s.Spec.Domain, ".")
	}
	return f.cfg.Zone
}

// Place gives a known machine an address on the subnet that it asks from, where it has none there yet.
func (f *Fleet) Place(tx *store.Tx, m *metal.Machine, s *metal.Subnet, mac metal.MAC) (metal.Assignment, error) {
	a, err := f.Assign(tx, m, s, mac)
	if err != nil || m.Address != "" {
		return a, err
	}
	if err := f.naming(tx, m); err != nil {
		return a, err
	}
	return a, tx.SaveMachine(m)
}

func addresses(tx *store.Tx, machineID string) ([]string, error) {
	list, err := tx.Assignments(machineID)
	out := make([]string, 0, len(list))
	for _, a := range list {
		out = append(out, a.Addr.String())
	}
	return out, err
}

// ListSubnets lists subnets.
func (f *Fleet) ListSubnets(ctx context.Context, in api.ListByNamesRequest) (l api.List[metal.Subnet], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Subnets(in.After, limitOf(in.Page), in.Names)
		if err != nil {
			return err
		}
		for i := range list {
			if err := count(tx, &list[i]); err != nil {
				return err
			}
		}
		l = page(list, limitOf(in.Page)-1, func(s metal.Subnet) string { return s.Name })
		return nil
	})
	return l, err
}

// GetSubnet reads a subnet.
func (f *Fleet) GetSubnet(ctx context.Context, in api.ByName) (out metal.Subnet, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		s, err := tx.Subnet(in.Name)
		if err != nil {
			return err
		}
		err = count(tx, s)
		out = *s
		return err
	})
	return out, err
}

func count(tx *store.Tx, s *metal.Subnet) error {
	var err error
	s.Use.Assigned, s.Use.Leased, err = tx.CountSubnet(s.Name)
	_, _, s.Use.Total = ipam.Usable(s.Spec)
	s.Use.Free = max(s.Use.Total-s.Use.Assigned-s.Use.Leased, 0)
	return err
}

// PutSubnet makes or changes a subnet.
func (f *Fleet) PutSubnet(ctx context.Context, in api.PutSubnetRequest) (out metal.Subnet, err error) {
	spec := in.Body
	if spec.Fabric == "" {
		spec.Fabric = "default"
	}
	if spec.DHCP.LeaseSeconds == 0 {
		spec.DHCP.LeaseSeconds = 600
	}
	if err := ipam.Validate(spec); err != nil {
		return out, err
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		all, err := tx.Subnets("", 1<<30, nil)
		if err != nil {
			return err
		}
		s := &metal.Subnet{Name: in.Name}
		others := map[string]metal.SubnetSpec{}
		for i := range all {
			if all[i].Name == in.Name {
				s = &all[i]
			} else {
				others[all[i].Name] = all[i].Spec
			}
		}
		if err := ipam.Overlaps(spec, others); err != nil {
			return err
		}
		if s.Revision > 0 {
			if err := precondition(in.Precondition, "subnet "+s.Name, s.Revision); err != nil {
				return err
			}
			if err := moved(tx, s, spec); err != nil {
				return err
			}
		}
		s.Spec = spec
		if err := tx.PutSubnet(s); err != nil {
			return err
		}
		if err := f.renameAll(tx, s.Name); err != nil {
			return err
		}
		err = count(tx, s)
		out = *s
		return err
	})
	return out, err
}

// moved refuses to take the addresses of machines away.
func moved(tx *store.Tx, s *metal.Subnet, spec metal.SubnetSpec) error {
	if s.Spec.CIDR == spec.CIDR {
		return nil
	}
	held, err := tx.AssignmentsIn(s.Name)
	if err != nil {
		return err
	}
	for _, a := range held {
		if !spec.CIDR.Contains(a.Addr) {
			return metal.Errorf(metal.Conflict, "cannot change subnet %s from %s to %s: %d machines have addresses in it, %s among them; forget them first", s.Name, s.Spec.CIDR, spec.CIDR, len(held), a.Addr)
		}
	}
	return nil
}

// renameAll brings the DNS names in the records of a subnet's machines up to date.
func (f *Fleet) renameAll(tx *store.Tx, subnet string) error {
	held, err := tx.AssignmentsIn(subnet)
	if err != nil {
		return err
	}
	for _, a := range held {
		m, err := tx.Machine(a.MachineID)
		if err != nil {
			return err
		}
		was := m.FQDN
		if err := f.naming(tx, m); err != nil {
			return err
		}
		if m.FQDN == was {
			continue
		}
		if err := tx.SaveMachine(m); err != nil {
			return err
		}
	}
	return nil
}

// DeleteSubnet deletes a subnet that no machine has an address in.
func (f *Fleet) DeleteSubnet(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Subnet(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "subnet "+s.Name, s.Revision); err != nil {
			return err
		}
		held, err := tx.AssignmentsIn(s.Name)
		if err != nil {
			return err
		}
		if len(held) > 0 {
			return metal.Errorf(metal.Conflict, "cannot delete subnet %s: %d machines have addresses in it (%s is %s); forget them first", s.Name, len(held), held[0].Addr, held[0].MachineID)
		}
		return tx.DeleteSubnet(s.Name)
	})
}

// ListLeases lists the leases of clients that nobody declared.
func (f *Fleet) ListLeases(ctx context.Context, in api.ListLeasesRequest) (l api.List[metal.Lease], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Leases(in.Subnet)
		for i, lease := range list {
			if lease.Subnet+"/"+lease.Addr.String() == in.After {
				list = list[i+1:]
				break
			}
		}
		l = page(list, limitOf(in.Page)-1, func(x metal.Lease) string { return x.Subnet + "/" + x.Addr.String() })
		return err
	})
	return l, err
}
