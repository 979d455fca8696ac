package fleet

import (
	"encoding/json"
	"maps"
	"net/netip"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/netconf"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// Network completes what a deployment declares of its network with the NICs of its machine, as they were inventoried
// last. A spec that declares nothing stays as it is. What cannot be is metal.Invalid, and metal.Conflict where nobody
// knows the machine's NICs.
func Network(tx *store.Tx, m *metal.Machine, spec metal.NetworkSpec) (metal.NetworkSpec, error) {
	if !spec.Declared() {
		return spec, nil
	}
	inv, err := tx.Inventory(m.ID)
	if metal.CodeOf(err) == metal.NotFound {
		return spec, metal.Errorf(metal.Conflict, "cannot configure the network of machine %s: nobody knows its NICs; commission it first", m.Spec.Name)
	}
	if err != nil {
		return spec, err
	}
	assigned, err := Assigned(tx, m)
	if err != nil {
		return spec, err
	}
	boot := m.Spec.MACs[0]
	if len(assigned) > 0 && assigned[0].MAC != "" {
		boot = assigned[0].MAC
	}
	own := map[string]netip.Prefix{}
	for _, a := range assigned {
		s, err := tx.Subnet(a.Subnet)
		if err != nil {
			return spec, err
		}
		own[a.Subnet] = netip.PrefixFrom(a.Addr, s.Spec.CIDR.Bits())
	}
	done, err := netconf.Resolve(spec, netconf.Machine{NICs: inv.NICs, Boot: boot, Own: own})
	if err != nil {
		return spec, metal.Errorf(metal.CodeOf(err), "cannot configure the network of machine %s: %w", m.Spec.Name, err)
	}
	return done, nil
}

// checkNetwork refuses a declaration that the machine cannot have.
func checkNetwork(tx *store.Tx, m *metal.Machine, spec metal.NetworkSpec) error {
	done, err := Network(tx, m, spec)
	if err != nil {
		return err
	}
	assigned, err := Assigned(tx, m)
	if err != nil {
		return err
	}
	for link := range done.Links() {
		for _, name := range link.Subnets {
			if _, err := tx.Subnet(name); metal.CodeOf(err) == metal.NotFound {
				return metal.Errorf(metal.Invalid, "cannot configure the network of machine %s: %s is to have an address of subnet %s, and there is no subnet of that name", m.Spec.Name, link.Name, name)
			} else if err != nil {
				return err
			}
			if len(assigned) > 0 && assigned[0].MAC != "" && assigned[0].Subnet == name {
				return metal.Errorf(metal.Invalid, "cannot configure the network of machine %s: %s is to have an address of subnet %s, which the machine's own address is of: declare %s as primary instead",
					m.Spec.Name, link.Name, name, link.Name)
			}
		}
	}
	return checkTaken(tx, m, done)
}

// mostSubnets is more than there are.
const mostSubnets = 1 << 30

// checkTaken refuses addresses that are written out and somebody else's. What is in several subnets, or in none, is
// not ours to say.
func checkTaken(tx *store.Tx, m *metal.Machine, spec metal.NetworkSpec) error {
	subnets, err := tx.Subnets("", mostSubnets, nil)
	if err != nil {
		return err
	}
	for link := range spec.Links() {
		for _, text := range link.Addresses {
			p, err := netip.ParsePrefix(text)
			if err != nil {
				return err
			}
			at := ""
			for _, s := range subnets {
				if s.Spec.CIDR.Contains(p.Addr()) {
					if at != "" {
						at = ""
						break
					}
					at = s.Name
				}
			}
			if at == "" {
				continue
			}
			a, err := tx.AssignmentAt(at, p.Addr())
			if err != nil {
				return err
			}
			if a != nil && a.MachineID != m.ID {
				return metal.Errorf(metal.Conflict, "cannot configure the network of machine %s: %s of %s belongs to %s in subnet %s; choose another address, or name the subnet and get one that is free",
					m.Spec.Name, text, link.Name, a.Owner(), at)
			}
		}
	}
	return nil
}

// addressNetwork checks a declaration, and gives the machine its addresses on the subnets that it names. With a new
// deployment, those go back that only an earlier one named: until then a system may run that has them.
func (f *Fleet) addressNetwork(tx *store.Tx, m *metal.Machine, spec metal.NetworkSpec, anew bool) error {
	if err := checkNetwork(tx, m, spec); err != nil {
		return err
	}
	named := map[string]bool{}
	for link := range spec.Links() {
		for _, name := range link.Subnets {
			named[name] = true
		}
	}
	held, err := tx.Assignments(m.ID)
	if err != nil {
		return err
	}
	for _, a := range held {
		if anew && a.MAC == "" && !named[a.Subnet] {
			if err := tx.Unassign(a.Subnet, a.Addr); err != nil {
				return err
			}
		}
		delete(named, a.Subnet)
	}
	p := f.newPicks()
	defer p.release()
	for _, name := range slices.Sorted(maps.Keys(named)) {
		s, err := tx.Subnet(name)
		if err != nil {
			return err
		}
		if _, err := f.assign(tx, m, s, "", p); err != nil {
			return err
		}
	}
	return nil
}

// networkField is what two declarations are compared by.
func networkField(s metal.NetworkSpec) string {
	if !s.Declared() {
		return s.Mode
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error() // a spec has nothing that cannot be written
	}
	return string(text)
}
