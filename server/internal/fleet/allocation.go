package fleet

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListAllocations lists claims.
func (f *Fleet) ListAllocations(ctx context.Context, in api.ListByIDsRequest) (l api.List[metal.Allocation], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Allocations(in.After, limitOf(in.Page), in.IDs)
		if err != nil {
			return err
		}
		for i := range list {
			if err := decorateClaim(tx, &list[i]); err != nil {
				return err
			}
		}
		l = page(list, limitOf(in.Page)-1, func(a metal.Allocation) string { return a.ID })
		return nil
	})
	return l, err
}

// GetAllocation reads a claim by id or name.
func (f *Fleet) GetAllocation(ctx context.Context, in api.ByID) (metal.Allocation, error) {
	var a *metal.Allocation
	err := f.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
		if a, err = tx.Allocation(in.ID); err != nil {
			return err
		}
		return decorateClaim(tx, a)
	})
	if err != nil {
		return metal.Allocation{}, err
	}
	return *a, nil
}

// decorateClaim fills in what the machine tells.
func decorateClaim(tx *store.Tx, a *metal.Allocation) error {
	m, err := tx.Machine(a.MachineID)
	if err != nil {
		return err
	}
	a.Machine, a.FQDN = m.Spec.Name, m.FQDN
	a.Addresses, err = addresses(tx, m)
	return err
}

// PutAllocation claims a machine under a name.
func (f *Fleet) PutAllocation(ctx context.Context, in api.PutAllocationRequest) (metal.Allocation, error) {
	spec := in.Body
	completeClaim(&spec)
	var a *metal.Allocation
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) (err error) {
		a, err = tx.Allocation(in.Name)
		switch metal.CodeOf(err) {
		case "":
			if err := precondition(in.Precondition, "allocation "+a.Name, a.Revision); err != nil {
				return err
			}
			err = changeClaim(tx, a, spec)
		case metal.NotFound:
			a, err = f.claim(tx, in.Name, spec)
		}
		if err != nil {
			return err
		}
		return decorateClaim(tx, a)
	})
	if err != nil {
		return metal.Allocation{}, err
	}
	return *a, nil
}

func completeClaim(spec *metal.AllocationSpec) {
	if spec.Pool == "" {
		spec.Pool = DefaultPool
	}
	if spec.Release.Erase == "" {
		spec.Release.Erase = metal.EraseQuick
	}
	slices.Sort(spec.Constraints.Tags)
	slices.Sort(spec.Constraints.NotTags)
}

// changeClaim takes over another spec where the held machine meets it.
func changeClaim(tx *store.Tx, a *metal.Allocation, spec metal.AllocationSpec) error {
	if reflect.DeepEqual(a.Spec, spec) {
		return nil
	}
	why, err := heldMismatch(tx, a, spec)
	if err != nil {
		return err
	}
	if len(why) > 0 {
		return metal.Errorf(metal.Conflict, "allocation %s holds a machine that does not meet the new constraints: %s; release it and claim another", a.Name, strings.Join(why, "; "))
	}
	a.Spec = spec
	return tx.SaveAllocation(a)
}

func heldMismatch(tx *store.Tx, a *metal.Allocation, spec metal.AllocationSpec) ([]string, error) {
	m, err := tx.Machine(a.MachineID)
	if err != nil {
		return nil, err
	}
	largest, err := largestDisk(tx, m.ID)
	if err != nil {
		return nil, err
	}
	why := mismatch(m, largest, spec.Constraints)
	if m.Spec.Pool != spec.Pool {
		why = append(why, "it is in pool "+m.Spec.Pool)
	}
	return why, nil
}

// claim takes the best machine that matches.
func (f *Fleet) claim(tx *store.Tx, name string, spec metal.AllocationSpec) (*metal.Allocation, error) {
	m, others, err := choose(tx, spec)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, nothingFree(name, spec, others)
	}
	a := &metal.Allocation{ID: lifecycle.NewID("a"), Name: name, Spec: spec, MachineID: m.ID}
	if m.State, err = metal.Next(m.State, metal.Allocate); err != nil {
		return nil, err
	}
	m.AllocationID = a.ID
	if err := tx.SaveMachine(m); err != nil {
		return nil, err
	}
	if err := tx.InsertAllocation(a); err != nil {
		return nil, err
	}
	return a, tx.AddEvent("machine", m.ID, fmt.Sprintf("%s was allocated as %s", m.Spec.Name, name))
}

func nothingFree(name string, spec metal.AllocationSpec, others []metal.Match) error {
	lines := make([]string, 0, len(others))
	for _, o := range others {
		if len(lines) == 20 {
			lines = append(lines, fmt.Sprintf("... and %d more", len(others)-20))
			break
		}
		lines = append(lines, o.Machine+": "+strings.Join(o.Reasons, "; "))
	}
	return &metal.Error{
		Code:    metal.Exhausted,
		Message: fmt.Sprintf("cannot claim a machine for allocation %s: none of %d machines is in pool %s, free and a match", name, len(others), spec.Pool),
		Detail:  strings.Join(lines, "\n"),
	}
}

// choose returns the machine that a claim would take, nil for none, and every other one with its reasons.
func choose(tx *store.Tx, spec metal.AllocationSpec) (*metal.Machine, []metal.Match, error) {
	machines, err := tx.Machines(store.MachineFilter{})
	if err != nil {
		return nil, nil, err
	}
	var best *metal.Machine
	others := make([]metal.Match, 0, len(machines))
	for i := range machines {
		m := &machines[i]
		why := unavailable(m, spec.Pool)
		if len(why) == 0 || spec.Pool == m.Spec.Pool {
			largest, err := largestDisk(tx, m.ID)
			if err != nil {
				return nil, nil, err
			}
			why = append(why, mismatch(m, largest, spec.Constraints)...)
		}
		switch {
		case len(why) > 0:
			others = append(others, metal.Match{MachineID: m.ID, Machine: m.Spec.Name, Reasons: why})
		case best == nil:
			best = m
		case better(m, best):
			others = append(others, metal.Match{MachineID: best.ID, Machine: best.Spec.Name, Reasons: []string{"it matches, and " + m.Spec.Name + " fits better"}})
			best = m
		default:
			others = append(others, metal.Match{MachineID: m.ID, Machine: m.Spec.Name, Reasons: []string{"it matches, and " + best.Spec.Name + " fits better"}})
		}
	}
	return best, others, nil
}

func largestDisk(tx *store.Tx, machineID string) (int64, error) {
	inv, err := tx.Inventory(machineID)
	if metal.CodeOf(err) == metal.NotFound {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var largest int64
	for _, d := range inv.Disks {
		if !d.Removable && !d.ReadOnly {
			largest = max(largest, d.Bytes)
		}
	}
	return largest, nil
}

// PreviewAllocation says which machine a claim would get; with a name, whether the one it holds still meets the spec.
func (f *Fleet) PreviewAllocation(ctx context.Context, in api.PreviewAllocationRequest) (p api.AllocationPreview, err error) {
	spec := in.Body
	completeClaim(&spec)
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		if in.Name != "" {
			a, err := tx.Allocation(in.Name)
			if err != nil {
				return err
			}
			if err := decorateClaim(tx, a); err != nil {
				return err
			}
			why, err := heldMismatch(tx, a, spec)
			p.Machine, p.Others = &metal.Match{MachineID: a.MachineID, Machine: a.Machine, Reasons: why}, []metal.Match{}
			return err
		}
		best, others, err := choose(tx, spec)
		if best != nil {
			p.Machine = &metal.Match{MachineID: best.ID, Machine: best.Spec.Name}
		}
		p.Others = others
		return err
	})
	return p, err
}

// DeleteAllocation releases the machine by the claim's policy. The claim is gone when it answers.
func (f *Fleet) DeleteAllocation(ctx context.Context, in api.DeleteAllocationRequest) (metal.Operation, error) {
	var op *metal.Operation
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		a, err := tx.Allocation(in.ID)
		if err != nil {
			return err
		}
		m, err := tx.Machine(a.MachineID)
		if err != nil {
			return err
		}
		op, err = f.release(tx, m, a.Spec.Release, "")
		return err
	})
	if err != nil {
		return metal.Operation{}, err
	}
	return *op, nil
}
