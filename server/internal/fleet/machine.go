package fleet

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListMachines lists machines.
func (f *Fleet) ListMachines(ctx context.Context, in api.ListMachinesRequest) (l api.List[metal.Machine], err error) {
	filter := store.MachineFilter{IDs: in.IDs, Name: in.Name, Pool: in.Pool, State: in.State, UUID: in.UUID, Serial: in.Serial, After: in.After, Limit: limitOf(in.Page)}
	if in.MAC != "" {
		mac, err := metal.ParseMAC(in.MAC)
		if err != nil {
			return l, err
		}
		filter.MAC = string(mac)
	}
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Machines(filter)
		if err != nil {
			return err
		}
		l = page(list, limitOf(in.Page)-1, func(m metal.Machine) string { return m.ID })
		if in.Tag != "" {
			l.Items = slices.DeleteFunc(l.Items, func(m metal.Machine) bool { return !slices.Contains(m.Spec.Tags, in.Tag) })
		}
		return nil
	})
	return l, err
}

// CreateMachine declares a machine, or adopts the one that enlisted itself with one of its MAC addresses.
func (f *Fleet) CreateMachine(ctx context.Context, in api.CreateMachineRequest) (metal.Machine, error) {
	spec := in.Body.MachineSpec
	if err := complete(&spec); err != nil {
		return metal.Machine{}, err
	}
	var m *metal.Machine
	plan := func(tx *store.Tx) ([]want, error) {
		if m, err := known(tx, spec); err != nil || m != nil {
			return nil, err
		}
		return f.wantFirst(spec.MACs), nil
	}
	err := f.allocate(ctx, plan, func(tx *store.Tx, p *picks) (err error) {
		if m, err = known(tx, spec); err != nil {
			return err
		}
		if m == nil {
			m = &metal.Machine{ID: lifecycle.NewID("m"), State: metal.New, Settled: true, Spec: spec, Declared: true, Power: metal.PowerUnknown}
			if err := f.insert(tx, m, p); err != nil {
				return err
			}
		} else if err := f.respec(tx, m, spec); err != nil {
			return err
		}
		return setPassword(tx, m, in.Body.Password)
	})
	if err != nil {
		return metal.Machine{}, err
	}
	return *m, nil
}

// known finds the machine that a declaration is about: nil when there is none yet.
func known(tx *store.Tx, spec metal.MachineSpec) (*metal.Machine, error) {
	var found *metal.Machine
	for _, mac := range spec.MACs {
		m, err := tx.MachineByMAC(mac)
		switch {
		case metal.CodeOf(err) == metal.NotFound:
			continue
		case err != nil:
			return nil, err
		case found != nil && found.ID != m.ID:
			return nil, metal.Errorf(metal.Conflict, "cannot declare machine %s: its MAC addresses belong to two machines, %s and %s; forget one of them first", spec.Name, found.Spec.Name, m.Spec.Name)
		}
		found = m
	}
	if found != nil && found.Declared && found.Spec.Name != spec.Name {
		return nil, metal.Errorf(metal.Conflict, "cannot declare machine %s: its MAC address is declared as machine %s (%s); import that one, or forget it first", spec.Name, found.Spec.Name, found.ID)
	}
	return found, nil
}

func (f *Fleet) insert(tx *store.Tx, m *metal.Machine, p *picks) error {
	if err := unique(tx, m); err != nil {
		return err
	}
	if err := tx.InsertMachine(m); err != nil {
		return err
	}
	if err := f.assignFirst(tx, m, p); err != nil {
		return err
	}
	if err := f.naming(tx, m); err != nil {
		return err
	}
	if err := f.unnamedMachine(tx, m); err != nil {
		return err
	}
	if err := tx.SaveMachine(m); err != nil {
		return err
	}
	return tx.AddEvent("machine", m.ID, m.Spec.Name+" was added")
}

// unique refuses a name or a pool that cannot be, in words better than the constraint's.
func unique(tx *store.Tx, m *metal.Machine) error {
	other, err := tx.FindMachine(m.Spec.Name)
	if err == nil && other.ID != m.ID {
		return metal.Errorf(metal.Conflict, "the name %s belongs to machine %s (MAC %s): choose another, or forget that machine", m.Spec.Name, other.ID, other.Spec.MACs[0])
	}
	if err != nil && metal.CodeOf(err) != metal.NotFound {
		return err
	}
	for _, mac := range m.Spec.MACs {
		other, err := tx.MachineByMAC(mac)
		if err == nil && other.ID != m.ID {
			return metal.Errorf(metal.Conflict, "MAC address %s belongs to machine %s (%s)", mac, other.Spec.Name, other.ID)
		}
		if err != nil && metal.CodeOf(err) != metal.NotFound {
			return err
		}
		d, err := tx.DeviceByMAC(mac)
		if err != nil {
			return err
		}
		if d != nil {
			return metal.Errorf(metal.Conflict, "MAC address %s belongs to device %s: forget the device first", mac, d.Name)
		}
	}
	if _, err := tx.Pool(m.Spec.Pool); err != nil {
		return metal.Errorf(metal.Invalid, "cannot put machine %s into pool %s: there is no such pool; make it first", m.Spec.Name, m.Spec.Pool)
	}
	return nil
}

// respec replaces what is declared of a machine; nothing is written when nothing changes.
func (f *Fleet) respec(tx *store.Tx, m *metal.Machine, spec metal.MachineSpec) error {
	if m.Declared && reflect.DeepEqual(m.Spec, spec) {
		return nil
	}
	m.Spec, m.Declared = spec, true
	m.Generation++
	if err := unique(tx, m); err != nil {
		return err
	}
	if err := f.rebind(tx, m); err != nil {
		return err
	}
	if err := f.naming(tx, m); err != nil {
		return err
	}
	if err := f.unnamedMachine(tx, m); err != nil {
		return err
	}
	return tx.SaveMachine(m)
}

func setPassword(tx *store.Tx, m *metal.Machine, password *string) error {
	if password == nil {
		return nil
	}
	return tx.SetBMCPassword(m.ID, metal.NewSecret(*password))
}

// complete fills in defaults and checks what the schema cannot.
func complete(spec *metal.MachineSpec) error {
	if spec.Arch == "" {
		spec.Arch = metal.AMD64
	}
	if spec.Pool == "" {
		spec.Pool = DefaultPool
	}
	for i, mac := range spec.MACs {
		canonical, err := metal.ParseMAC(string(mac))
		if err != nil {
			return err
		}
		if slices.Contains(spec.MACs[:i], canonical) {
			return metal.Errorf(metal.Invalid, "machine %s has MAC address %s twice", spec.Name, canonical)
		}
		spec.MACs[i] = canonical
	}
	if len(spec.MACs) == 0 {
		return metal.Errorf(metal.Invalid, "machine %s has no MAC address: give the one of the NIC that it boots from", spec.Name)
	}
	if strings.Contains(spec.KernelParameters, "initrd=") {
		return metal.Errorf(metal.Invalid, "kernel_parameters of machine %s may not hold \"initrd=\": UEFI kernels take that for a file of their own", spec.Name)
	}
	if bad := unbootable(spec.KernelParameters); bad != "" {
		return metal.Errorf(metal.Invalid, "kernel_parameters of machine %s may not hold %q: the network boot loader takes it for its own", spec.Name, bad)
	}
	if b := spec.BMC; b != nil && b.Type != "manual" && b.Address == "" {
		return metal.Errorf(metal.Invalid, "the BMC of machine %s has no address", spec.Name)
	}
	slices.Sort(spec.Tags)
	spec.Tags = slices.Compact(spec.Tags)
	return nil
}

// unbootable returns what iPXE would take for a command or a variable of its own in kernel parameters; "" for none.
func unbootable(parameters string) string {
	for _, own := range []string{"${", ";", "||", "&&", "\n"} {
		if strings.Contains(parameters, own) {
			return own
		}
	}
	for _, r := range parameters {
		if r < ' ' || r > '~' {
			return string(r)
		}
	}
	return ""
}

// GetMachine reads a machine by id or name.
func (f *Fleet) GetMachine(ctx context.Context, in api.GetMachineRequest) (metal.Machine, error) {
	var m *metal.Machine
	err := f.poll(ctx, in.Wait, func(tx *store.Tx) (_ bool, err error) {
		m, err = tx.FindMachine(in.ID)
		return err == nil && m.Settled, err
	})
	if err != nil {
		return metal.Machine{}, err
	}
	return *m, nil
}

// change reads a machine, lets do change it, and returns it.
func (f *Fleet) change(ctx context.Context, id string, do func(*store.Tx, *metal.Machine) error) (metal.Machine, error) {
	var m *metal.Machine
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if m, err = tx.FindMachine(id); err != nil {
			return err
		}
		return do(tx, m)
	})
	if err != nil {
		return metal.Machine{}, err
	}
	return *m, nil
}

// UpdateMachine replaces a machine's declaration. Its architecture and MAC addresses do not change while it is in use.
func (f *Fleet) UpdateMachine(ctx context.Context, in api.UpdateMachineRequest) (metal.Machine, error) {
	spec := in.Body.MachineSpec
	if err := complete(&spec); err != nil {
		return metal.Machine{}, err
	}
	return f.change(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) error {
		if err := precondition(in.Precondition, "machine "+m.Spec.Name, m.Revision); err != nil {
			return err
		}
		if m.AllocationID != "" && spec.Pool != m.Spec.Pool {
			return metal.Errorf(metal.Conflict, "cannot move machine %s to pool %s: allocation %s holds it; release it first", m.Spec.Name, spec.Pool, m.AllocationID)
		}
		if err := f.respec(tx, m, spec); err != nil {
			return err
		}
		return setPassword(tx, m, in.Body.Password)
	})
}

// DeleteMachine forgets a machine that nobody holds.
func (f *Fleet) DeleteMachine(ctx context.Context, in api.DeleteMachineRequest) (api.None, error) {
	_, err := f.change(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) error {
		name := m.Spec.Name
		switch {
		case m.AllocationID != "":
			return metal.Errorf(metal.Conflict, "cannot forget machine %s: allocation %s holds it; release it first", name, f.claimName(tx, m.AllocationID))
		case m.Locked:
			return metal.Errorf(metal.Conflict, "cannot forget machine %s: it is locked; unlock it first", name)
		case m.Spec.Protected:
			return metal.Errorf(metal.Conflict, "cannot forget machine %s: deletion protection is on; turn it off first", name)
		case !m.Settled:
			return &metal.Error{Code: metal.Conflict, Operation: m.OperationID, Message: fmt.Sprintf("cannot forget machine %s: operation %s works on it; wait for it, or abort it", name, m.OperationID)}
		}
		if err := precondition(in.Precondition, "machine "+name, m.Revision); err != nil {
			return err
		}
		if err := tx.AddEvent("machine", m.ID, name+" was forgotten"); err != nil {
			return err
		}
		held, err := tx.Assignments(m.ID)
		if err != nil {
			return err
		}
		if err := tx.DeleteMachine(m.ID); err != nil {
			return err
		}
		return f.handBack(tx, held)
	})
	return api.None{}, err
}

func (f *Fleet) claimName(tx *store.Tx, id string) string {
	if a, err := tx.Allocation(id); err == nil {
		return a.Name
	}
	return id
}

// GetInventory reads a machine's inventory.
func (f *Fleet) GetInventory(ctx context.Context, in api.ByID) (inv metal.Inventory, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.FindMachine(in.ID)
		if err != nil {
			return err
		}
		got, err := tx.Inventory(m.ID)
		if err == nil {
			inv = *got
		}
		return err
	})
	return inv, err
}

// Enlist adds a machine that booted from the network and that nobody declared.
func (f *Fleet) Enlist(tx *store.Tx, h agentapi.Hello) (*metal.Machine, error) {
	macs := append([]metal.MAC{h.BootMAC}, slices.DeleteFunc(slices.Clone(h.MACs), func(mac metal.MAC) bool { return mac == h.BootMAC })...)
	m := &metal.Machine{
		ID: lifecycle.NewID("m"), State: metal.New, Settled: true, Power: metal.PowerOn,
		Spec: metal.MachineSpec{Name: "node-" + strings.ReplaceAll(string(h.BootMAC), ":", ""), MACs: macs, Arch: h.Arch, Pool: DefaultPool},
	}
	m.Hardware.Serial, m.Hardware.UUID = h.SMBIOS.Serial, h.SMBIOS.UUID
	strangers, err := tx.Machines(store.MachineFilter{State: string(metal.New), Limit: mostStrangers})
	if err != nil {
		return nil, err
	}
	if len(strangers) == mostStrangers {
		return nil, metal.Errorf(metal.Exhausted, "%d machines are new and wait to be adopted: adopt or forget some, and boot this one again", mostStrangers)
	}
	p := f.newPicks()
	defer p.release()
	return m, f.insert(tx, m, p)
}

// mostStrangers bounds what anybody on the machines' network can fill the database with.
const mostStrangers = 1000
