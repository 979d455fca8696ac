package fleet

import (
	"cmp"
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// begin starts an operation on a machine.
func (f *Fleet) begin(ctx context.Context, id string, start func(*store.Tx, *metal.Machine) (*metal.Operation, error)) (metal.Operation, error) {
	var op *metal.Operation
	_, err := f.change(ctx, id, func(tx *store.Tx, m *metal.Machine) (err error) {
		op, err = start(tx, m)
		return err
	})
	if err != nil {
		return metal.Operation{}, err
	}
	return *op, nil
}

// CommissionMachine inspects a machine and makes it ready.
func (f *Fleet) CommissionMachine(ctx context.Context, in api.CommandRequest) (metal.Operation, error) {
	return f.begin(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) (*metal.Operation, error) {
		if err := f.unclaimed(tx, m, "commission"); err != nil {
			return nil, err
		}
		return f.cfg.Engine.Start(tx, m, metal.Commission, lifecycle.Order{Key: in.Key})
	})
}

// PowerMachine switches a machine.
func (f *Fleet) PowerMachine(ctx context.Context, in api.PowerRequest) (metal.Operation, error) {
	return f.begin(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) (*metal.Operation, error) {
		return f.cfg.Engine.StartPower(tx, m, in.Body.Action, in.Key)
	})
}

// ReleaseMachine wipes a machine and gives it back to its pool, whoever holds it.
func (f *Fleet) ReleaseMachine(ctx context.Context, in api.ReleaseRequest) (metal.Operation, error) {
	return f.begin(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) (*metal.Operation, error) {
		return f.release(tx, m, in.Body, in.Key)
	})
}

// release ends the claim on a machine and what is deployed on it, and starts the wipe.
func (f *Fleet) release(tx *store.Tx, m *metal.Machine, policy metal.ReleasePolicy, key string) (*metal.Operation, error) {
	order := lifecycle.Order{Key: key, Erase: cmp.Or(policy.Erase, metal.EraseQuick), PowerOff: policy.PowerOff}
	// A repeat must not end a claim that was made since.
	if before, err := tx.OperationByKey(m.ID, metal.OpRelease, key); err != nil || before != nil {
		return before, err
	}
	allocation, deployment := m.AllocationID, m.DeploymentID
	if allocation != "" {
		a, err := tx.Allocation(allocation)
		if err != nil {
			return nil, err
		}
		order.Claim = a.Name
	}
	m.AllocationID, m.DeploymentID = "", ""
	op, err := f.cfg.Engine.Start(tx, m, metal.Release, order)
	if err != nil {
		return nil, err
	}
	if deployment != "" {
		if err := tx.DeleteDeployment(deployment); err != nil {
			return nil, err
		}
	}
	if allocation != "" {
		if err := tx.DeleteAllocation(allocation); err != nil {
			return nil, err
		}
	}
	return op, nil
}

// AbortMachine ends the operation that works on a machine.
func (f *Fleet) AbortMachine(ctx context.Context, in api.ByID) (metal.Machine, error) {
	return f.change(ctx, in.ID, f.cfg.Engine.Abort)
}

// LockMachine locks or unlocks a machine.
func (f *Fleet) LockMachine(ctx context.Context, in api.LockRequest) (metal.Machine, error) {
	return f.change(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) error {
		if m.Locked == in.Body.Locked {
			return nil
		}
		m.Locked = in.Body.Locked
		return tx.SaveMachine(m)
	})
}

// MarkMachine marks a machine broken, fixed or retired.
func (f *Fleet) MarkMachine(ctx context.Context, in api.MarkRequest) (metal.Machine, error) {
	return f.change(ctx, in.ID, func(tx *store.Tx, m *metal.Machine) error {
		if in.Body.Command != metal.Break {
			if err := f.unclaimed(tx, m, in.Body.Command); err != nil {
				return err
			}
		}
		return f.cfg.Engine.Mark(tx, m, in.Body.Command, in.Body.Reason)
	})
}

// unclaimed refuses what would take a machine from its holder. A broken machine is the only one that has a holder
// and is in a state for such commands: release is what leads it back.
func (f *Fleet) unclaimed(tx *store.Tx, m *metal.Machine, cmd metal.Command) error {
	if m.AllocationID == "" || m.State != metal.Broken {
		return nil
	}
	return metal.Errorf(metal.Conflict, "cannot %s machine %s: allocation %s holds it; release it first", cmd, m.Spec.Name, f.claimName(tx, m.AllocationID))
}
