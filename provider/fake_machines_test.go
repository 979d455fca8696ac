package main

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (f *fake) serveMachines() {
	on(f, api.ListMachines, listOf(func(r *http.Request) api.List[*metal.Machine] {
		q := r.URL.Query()
		return page(r, "ids", f.machines, func(m *metal.Machine) bool {
			return (q.Get("name") == "" || q.Get("name") == m.Spec.Name) && (q.Get("serial") == "" || q.Get("serial") == m.Hardware.Serial) &&
				(q.Get("uuid") == "" || q.Get("uuid") == m.Hardware.UUID) && (q.Get("pool") == "" || q.Get("pool") == m.Spec.Pool) &&
				(q.Get("state") == "" || q.Get("state") == string(m.State)) && (q.Get("tag") == "" || slices.Contains(m.Spec.Tags, q.Get("tag"))) &&
				(q.Get("mac") == "" || slices.Contains(m.Spec.MACs, metal.MAC(q.Get("mac"))))
		})
	}))
	on(f, api.GetMachine, f.machineBy(func(*http.Request, *metal.Machine) error { return nil }))
	on(f, api.CreateMachine, f.createMachine)
	on(f, api.UpdateMachine, f.machineBy(func(r *http.Request, m *metal.Machine) error {
		body, err := bodyOf[api.MachineBody](r)
		if err == nil {
			f.declare(m, body)
		}
		return err
	}))
	on(f, api.DeleteMachine, func(r *http.Request) (api.None, error) {
		_, err := f.machineBy(func(_ *http.Request, m *metal.Machine) error { return f.forgettable(m) })(r)
		if err == nil {
			delete(f.machines, r.PathValue("id"))
		}
		return api.None{}, err
	})
	on(f, api.GetInventory, func(r *http.Request) (metal.Inventory, error) {
		m, err := f.machineBy(func(*http.Request, *metal.Machine) error { return nil })(r)
		return metal.Inventory{
			Arch: m.Spec.Arch, BootMode: metal.UEFI, SMBIOS: metal.SMBIOS{Serial: m.Hardware.Serial},
			CPU: metal.CPU{Model: "Test", Threads: 8, Flags: []string{"vmx"}}, Memory: metal.Memory{Bytes: 16 << 30},
			Disks: []metal.Disk{{Name: "sda", Bytes: 1 << 40, NUMANode: -1}}, NICs: []metal.NIC{{Name: "eth0", MAC: m.Spec.MACs[0], Boot: true}},
		}, err
	})
	on(f, api.CommissionMachine, func(r *http.Request) (op metal.Operation, err error) {
		_, err = f.machineBy(func(_ *http.Request, m *metal.Machine) error {
			op = f.commission(m, r.Header.Get("Idempotency-Key"))
			return nil
		})(r)
		return op, err
	})
}

func (f *fake) machineBy(do func(*http.Request, *metal.Machine) error) func(*http.Request) (metal.Machine, error) {
	return func(r *http.Request) (metal.Machine, error) {
		id := r.PathValue("id")
		for _, m := range f.machines {
			if m.ID == id || m.Spec.Name == id {
				err := do(r, m)
				return *m, err
			}
		}
		return metal.Machine{}, notFound("machine", id)
	}
}

func (f *fake) forgettable(m *metal.Machine) error {
	switch {
	case m.AllocationID != "":
		return metal.Errorf(metal.Conflict, "cannot forget machine %s: allocation %s holds it; release it first", m.Spec.Name, f.allocations[m.AllocationID].Name)
	case m.Spec.Protected:
		return metal.Errorf(metal.Conflict, "cannot forget machine %s: deletion protection is on; turn it off first", m.Spec.Name)
	case !m.Settled:
		return &metal.Error{Code: metal.Conflict, Operation: m.OperationID, Message: "cannot forget machine " + m.Spec.Name + ": an operation works on it"}
	}
	return nil
}

func (f *fake) createMachine(r *http.Request) (metal.Machine, error) {
	body, err := bodyOf[api.MachineBody](r)
	if err != nil {
		return metal.Machine{}, err
	}
	var found *metal.Machine
	for _, m := range f.machines {
		if slices.ContainsFunc(m.Spec.MACs, func(mac metal.MAC) bool { return slices.Contains(body.MACs, mac) }) {
			found = m
		}
	}
	switch {
	case found != nil && found.Declared && found.Spec.Name != body.Name:
		return metal.Machine{}, metal.Errorf(metal.Conflict, "cannot declare machine %s: its MAC address is declared as machine %s", body.Name, found.Spec.Name)
	case found == nil:
		found = f.enlist(body.MACs...)
	}
	f.declare(found, body)
	return *found, nil
}

// enlist is what a machine does that nobody declared.
func (f *fake) enlist(macs ...metal.MAC) *metal.Machine {
	m := &metal.Machine{ID: f.id("m"), State: metal.New, Settled: true, Spec: metal.MachineSpec{Name: "node-" + string(macs[0]), MACs: macs, Arch: metal.AMD64, Pool: "default"}}
	f.machines[m.ID] = m
	return m
}

func (f *fake) declare(m *metal.Machine, body api.MachineBody) {
	if !m.Declared || !sameSpec(m.Spec, body.MachineSpec) {
		m.Spec, m.Declared = body.MachineSpec, true
		m.Generation++
	}
	if m.Address == "" {
		m.Address = fmt.Sprintf("10.0.0.%d", len(f.machines)+9)
	}
	m.FQDN = m.Spec.Name + ".test"
	if body.Password != nil {
		f.passwords[m.Spec.Name] = *body.Password
	}
}

// work puts a machine into a working state until the operation ends.
func (f *fake) work(m *metal.Machine, kind metal.OperationKind, key string, cmd metal.Command, done func()) metal.Operation {
	next, err := metal.Next(m.State, cmd)
	if err != nil {
		panic(err)
	}
	row, _ := metal.Working(next)
	m.State, m.Settled, m.Failure = next, false, nil
	op := f.start(kind, m.ID, key, func(failure *metal.Failure) {
		m.State, m.Settled, m.Failure = row.Done, true, failure
		if failure != nil {
			m.State = row.Failed
			return
		}
		if row.Done == metal.Releasing {
			m.State = metal.Ready
		}
		done()
	})
	m.OperationID = op.ID
	return op
}

func (f *fake) commission(m *metal.Machine, key string) metal.Operation {
	return f.work(m, metal.OpCommission, key, metal.Commission, func() {
		m.Hardware = metal.Facts{
			Vendor: "Test", Serial: "S-" + m.Spec.Name, UUID: "U-" + m.Spec.Name, Arch: metal.AMD64, BootMode: metal.UEFI,
			CPUs: 8, MemoryBytes: 16 << 30, Disks: 1, DiskBytes: 1 << 40, NICs: len(m.Spec.MACs),
		}
	})
}
