package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// inspect takes the inventory and keeps it.
func inspect(ctx context.Context, j *job) error {
	r, err := j.ask(ctx, agentapi.Step{Kind: agentapi.StepInventory})
	if err != nil {
		return err
	}
	var inv metal.Inventory
	if err := json.Unmarshal(r.Output, &inv); err != nil {
		return fail("the agent's inventory cannot be read: %v", err)
	}
	return j.update(ctx, func(tx *store.Tx, v view) error {
		return keepInventory(tx, v.m, &inv)
	})
}

func keepInventory(tx *store.Tx, m *metal.Machine, inv *metal.Inventory) error {
	m.Hardware = inv.Facts()
	if err := tx.SetInventory(m.ID, inv); err != nil {
		return err
	}
	return tx.SaveMachine(m)
}

// writeImage puts the image and the seed on the disk. The seed, which may hold secrets, is not stored with the
// operation: it is rendered when the agent asks for its step.
func writeImage(ctx context.Context, j *job) error {
	var ask agentapi.Step
	err := j.update(ctx, func(tx *store.Tx, v view) error {
		if v.w.Spec == nil { // fixed here: what is asked for later waits for the next deployment
			d, err := tx.Deployment(v.w.Deployment)
			if err != nil {
				return err
			}
			v.w.Spec, v.w.Phone = &d.Spec, newID("p")
			v.w.Content = Content{Digest: d.Digest, RawBytes: d.RawBytes, StoredBytes: d.StoredBytes}
		}
		image, err := tx.Image(v.w.Spec.Image)
		if err := mayRun(v.w.Spec, image, err); err != nil {
			return err
		}
		if err == nil && image.Spec.Kind == metal.ImageRoot {
			ask, err = j.e.installStep(tx, v)
			return err
		}
		disk, err := j.e.target(tx, v.m, &metal.Deployment{ID: v.w.Deployment, MachineID: v.m.ID, Spec: *v.w.Spec})
		if err != nil {
			return err
		}
		ask = agentapi.Step{Kind: agentapi.StepWrite, Write: &agentapi.Write{
			Digest: v.w.Content.Digest, RawBytes: v.w.Content.RawBytes, StoredBytes: v.w.Content.StoredBytes, Disk: disk,
		}}
		return nil
	})
	if err != nil {
		return err
	}
	r, err := j.ask(ctx, ask)
	if err != nil {
		return err
	}
	var written agentapi.Written
	if err := json.Unmarshal(r.Output, &written); err != nil {
		return fail("the agent's report of the write cannot be read: %v", err)
	}
	return j.update(ctx, func(tx *store.Tx, v view) error {
		v.w.Written = &written
		what := "wrote " + written.Disk.Name
		if v.w.inMemory() {
			what = "loaded the system into memory"
		}
		return note(tx, v.op, fmt.Sprintf("%s in %s", what, (time.Duration(written.WriteMillis)*time.Millisecond).Round(10*time.Millisecond)))
	})
}

// handOut returns the step as the agent gets it: a write with its seed.
func (e *Engine) handOut(tx *store.Tx, m *metal.Machine, op *metal.Operation, w *work) (*agentapi.Step, error) {
	if w.Ask == nil || w.Ask.Write == nil && w.Ask.Install == nil {
		return w.Ask, nil
	}
	d, err := tx.Deployment(w.Deployment)
	if err != nil {
		return nil, err
	}
	userData, err := tx.UserData(d.ID)
	if err != nil {
		return nil, err
	}
	d.Spec = *w.Spec
	seed, err := e.cfg.Seed(tx, m, d, userData, e.phoneHomeURL(op.ID, w.Phone))
	if err != nil {
		return nil, err
	}
	s := *w.Ask
	if s.Install != nil {
		s.Install, err = withSecrets(tx, d, *s.Install, seed)
		return &s, err
	}
	write := *s.Write
	write.Seed = seed
	s.Write = &write
	return &s, nil
}

// startSystem leaves the RAM environment for the installed system. The BMC is told first, so that the reboot goes
// straight to the disk; where that fails, or there is no BMC, the boot server sends the machine there.
func startSystem(ctx context.Context, j *job) error {
	var m *metal.Machine
	var w work
	err := j.read(ctx, func(_ *store.Tx, v view) error { m, w = v.m, *v.w; return nil })
	if err != nil {
		return err
	}
	ask := agentapi.Step{Kind: agentapi.StepReboot, Reboot: &agentapi.Reboot{
		Kexec: w.Spec.Boot == metal.BootKexec, Loaded: w.inMemory(), Disk: w.Written.Disk.Name, KernelParameters: w.Spec.KernelParameters,
	}}
	if !byHand(m) && !ask.Reboot.Kexec && !ask.Reboot.Loaded && w.Ask == nil {
		if err := j.e.bootOnce(ctx, m, metal.BootDisk); err != nil {
			if err := j.log(ctx, "the BMC was not told to boot from disk (%v): the boot server will send the machine there", err); err != nil {
				return err
			}
		}
	}
	if _, err := j.ask(ctx, ask); err != nil {
		return err
	}
	return j.update(ctx, func(tx *store.Tx, v view) error { return tx.EndBootSession(v.m.ID) })
}

// awaitReport waits until the installed system calls back, where its image says that it does. The time counts from
// when the system was started, also when metald was started again meanwhile.
func awaitReport(ctx context.Context, j *job) error {
	for {
		changed := j.e.cfg.DB.Changed()
		var done bool
		var left time.Duration
		err := j.read(ctx, func(tx *store.Tx, v view) error {
			image, err := tx.Image(v.w.Spec.Image)
			left, done = v.w.wait(tx.Now, j.e.limits.Report)
			done = done || (err == nil && !image.Spec.Reports)
			if err == nil && !done {
				err = lost(tx, v)
			}
			return err
		})
		if err != nil || done {
			return err
		}
		if left <= 0 {
			return fail("the installed system did not call back within %s: look at the machine's console; does the image run cloud-init, and does it boot on this firmware?", j.e.limits.Report)
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-changed:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
}

// finishDeploy notes what is on the machine now.
func finishDeploy(ctx context.Context, j *job) error {
	return j.update(ctx, func(tx *store.Tx, v view) error {
		d, err := tx.Deployment(v.w.Deployment)
		if err != nil {
			return err
		}
		d.Applied, d.DeployedAt = v.w.Spec, tx.Now
		return tx.SaveDeployment(d)
	})
}

// importImage brings the content of an image in.
func importImage(ctx context.Context, j *job) error {
	var spec metal.ImageSpec
	err := j.read(ctx, func(tx *store.Tx, v view) error {
		image, err := tx.Image(v.op.Image)
		if err == nil {
			spec = image.Spec
		}
		return err
	})
	if err != nil {
		return err
	}
	c, err := j.e.cfg.Import(ctx, spec, func(fraction float64) {
		// Lost progress is no loss: the next report brings it up to date.
		_ = j.update(ctx, func(_ *store.Tx, v view) error { v.op.Progress = fraction; return nil })
	})
	if err != nil {
		return fail("%s", failureOf("import", err).Message).because(err)
	}
	return j.update(ctx, func(tx *store.Tx, v view) error {
		image, err := tx.Image(v.op.Image)
		if err != nil {
			return err
		}
		image.Digest, image.RawBytes, image.StoredBytes = c.Digest, c.RawBytes, c.StoredBytes
		return tx.PutImage(image)
	})
}
