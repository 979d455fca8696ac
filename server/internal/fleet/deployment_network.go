package fleet

import (
	"encoding/json"

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
	assigned, err := tx.Assignments(m.ID)
	if err != nil {
		return spec, err
	}
	boot := m.Spec.MACs[0]
	if len(assigned) > 0 {
		boot = assigned[0].MAC
	}
	done, err := netconf.Resolve(spec, netconf.Machine{NICs: inv.NICs, Boot: boot})
	if err != nil {
		return spec, metal.Errorf(metal.CodeOf(err), "cannot configure the network of machine %s: %w", m.Spec.Name, err)
	}
	return done, nil
}

// checkNetwork refuses a declaration that the machine cannot have.
func checkNetwork(tx *store.Tx, m *metal.Machine, spec metal.NetworkSpec) error {
	_, err := Network(tx, m, spec)
	return err
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
