package lifecycle

import (
	"context"
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// RunsFromMemory says whether the system of a deployed machine is gone when the machine starts again.
func RunsFromMemory(tx *store.Tx, m *metal.Machine) (bool, error) {
	if m.State != metal.Deployed || m.DeploymentID == "" {
		return false, nil
	}
	d, err := tx.Deployment(m.DeploymentID)
	if err != nil {
		return false, err
	}
	return d.Applied != nil && d.Applied.Boot == metal.BootMemory, nil
}

// restart puts the system of a machine that runs from memory there anew: the machine started again, and its agent asks
// what to do. That nobody else works on the machine is looked at once more. A lock is no obstacle: it keeps people from
// changing a machine, and this changes it back.
func (e *Engine) restart(ctx context.Context, machineID string) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := tx.Machine(machineID)
		if err != nil {
			return err
		}
		open, err := tx.OpenOperation(m.ID)
		if err != nil || open != nil {
			return err
		}
		if memory, err := RunsFromMemory(tx, m); err != nil || !memory {
			return err
		}
		next, err := metal.Next(m.State, metal.Deploy)
		if err != nil {
			return err
		}
		m.Prior, m.State = m.State, next
		op, err := e.open(tx, m, metal.OpDeploy, Order{Deployment: m.DeploymentID}, e.limits.of(next))
		if err != nil {
			return err
		}
		w := new(work)
		if op, err = tx.Operation(op.ID, w); err != nil {
			return err
		}
		if err := note(tx, op, fmt.Sprintf("%s started again: its system runs from memory, and is put there anew", m.Spec.Name)); err != nil {
			return err
		}
		return tx.SaveOperation(op, w)
	})
}
