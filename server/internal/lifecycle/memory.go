package lifecycle

import (
	"context"
	"fmt"
	"time"

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
		if err := fixAnew(tx, w); err != nil {
			return err
		}
		if err := note(tx, op, fmt.Sprintf("%s started again: its system runs from memory, and is put there anew", m.Spec.Name)); err != nil {
			return err
		}
		return tx.SaveOperation(op, w)
	})
}

// fixAnew fixes what a restart puts into the machine's memory: what is asked for by now. Where that is a system on a
// disk it waits on, for nobody asked for a disk to be written when the power failed: then it is what ran there.
func fixAnew(tx *store.Tx, w *work) error {
	d, err := tx.Deployment(w.Deployment)
	if err != nil {
		return err
	}
	w.Spec, w.Phone = &d.Spec, newID("p")
	w.Content = Content{Digest: d.Digest, RawBytes: d.RawBytes, StoredBytes: d.StoredBytes}
	if d.Spec.Boot == metal.BootMemory {
		return nil
	}
	if w.Spec = d.Applied; d.Applied.Image == d.Spec.Image {
		return nil
	}
	image, err := tx.Image(d.Applied.Image)
	if metal.CodeOf(err) == metal.NotFound {
		return nil // the step that needs it says so
	}
	if err == nil {
		w.Content = Content{Digest: image.Digest, RawBytes: image.RawBytes, StoredBytes: image.StoredBytes}
	}
	return err
}

// mayRun refuses to go on with a system that is to run from memory, and cannot any more: it is never put on a disk
// instead. err is what came of reading its image.
func mayRun(spec *metal.DeploymentSpec, image *metal.Image, err error) error {
	switch {
	case spec.Boot != metal.BootMemory || err == nil && image.Spec.Kind == metal.ImageRoot:
		return nil
	case err != nil && metal.CodeOf(err) != metal.NotFound:
		return err
	}
	return fail("the system cannot be put into memory: there is no root archive %s any more; import it again, or deploy another one", spec.Image)
}

// inMemory says whether what the operation deploys is gone when the machine starts again.
func (w *work) inMemory() bool { return w.Spec != nil && w.Spec.Boot == metal.BootMemory }

// lost returns errRestarted where a system was started in memory, and before it called back the RAM environment runs
// again: it could not be started, or the power failed.
func lost(tx *store.Tx, v view) error {
	if !v.w.inMemory() || v.w.Reported {
		return nil
	}
	s, err := tx.BootSessionOf(v.m.ID)
	if err == nil && s != nil {
		return errRestarted
	}
	return err
}

// putAnew goes back to the first step after a system in memory was lost before it called back; not for ever, since it
// may be the system that restarts the machine.
func (j *job) putAnew(ctx context.Context) error {
	return j.update(ctx, func(tx *store.Tx, v view) error {
		if v.w.Losses++; v.w.Losses >= j.e.limits.Boots {
			return j.e.end(tx, v, metal.OpFailed, &metal.Failure{Step: v.op.Step, Message: fmt.Sprintf(
				"the system was put into memory %d times, and each time the machine was back in its RAM environment before the system called back; look at the machine's console", v.w.Losses)})
		}
		v.w.Step, v.w.StepBegun, v.w.Ask, v.w.Answer = 0, time.Time{}, nil, nil
		v.w.Tells, v.w.Told, v.op.Warnings = false, false, nil // what the lost system said is not of the next one
		return note(tx, v.op, "the machine started again before its system called back: putting it into memory anew")
	})
}
