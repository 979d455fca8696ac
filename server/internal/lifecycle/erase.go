package lifecycle

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func freshSeed() []byte {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed) // never fails (crypto/rand since Go 1.24)
	return seed
}

// EraseKey is the public key that this server signs erase certificates with. It stays the same as long as the
// database does.
func (e *Engine) EraseKey() metal.JWK {
	return metal.NewJWK(e.wiped.Public().(ed25519.PublicKey))
}

// erase wipes the disks and keeps the proof.
func erase(ctx context.Context, j *job) error {
	mode := metal.EraseQuick
	err := j.read(ctx, func(_ *store.Tx, v view) error {
		if v.w.Erase != "" {
			mode = v.w.Erase
		}
		return nil
	})
	if err != nil {
		return err
	}
	r, err := j.ask(ctx, agentapi.Step{Kind: agentapi.StepErase, Erase: &agentapi.Erase{Mode: mode}})
	if err != nil {
		return err
	}
	var disks []metal.DiskWiped
	if err := json.Unmarshal(r.Output, &disks); err != nil {
		return fail("the agent's report of the wipe cannot be read: %v", err)
	}
	return j.update(ctx, func(tx *store.Tx, v view) error { return j.e.keepErasure(tx, v, mode, disks) })
}

// keepErasure notes what was wiped and certifies it. What was to be overwritten and still holds data is a failure,
// and gets no certificate.
func (e *Engine) keepErasure(tx *store.Tx, v view, mode metal.Erase, disks []metal.DiskWiped) error {
	for _, d := range disks {
		if d.Result == metal.WipeDataLeft && mode != metal.EraseQuick {
			return fail("disk %s still held data after the wipe: %d of %d blocks read back were not zero; replace the disk or use another erase mode", d.Name, d.NonZero, d.Sampled)
		}
		if err := note(tx, v.op, fmt.Sprintf("wiped %s (%s): %d of %d blocks read back were not zero", d.Name, d.Method, d.NonZero, d.Sampled)); err != nil {
			return err
		}
	}
	v.m.Erased = &metal.Erasure{Mode: mode, At: tx.Now, Disk: disks}
	if len(disks) > 0 {
		certificate, err := metal.Certify(metal.EraseRecord{
			// Ids grow with time, so that lists are in that order.
			ID:        newID(fmt.Sprintf("w-%013x", tx.Now.UnixMicro())),
			Operation: v.op.ID, MachineID: v.m.ID, Machine: v.m.Spec.Name, Allocation: v.w.Claim,
			Vendor: v.m.Hardware.Vendor, Product: v.m.Hardware.Product, Serial: v.m.Hardware.Serial, UUID: v.m.Hardware.UUID,
			Mode: mode, Disks: disks, CertifiedAt: tx.Now.UTC(),
		}, e.wiped)
		if err != nil {
			return err
		}
		if err := tx.InsertEraseCertificate(certificate); err != nil {
			return err
		}
		v.m.Erased.Certificate = certificate.ID
		if err := note(tx, v.op, "erase certificate "+certificate.ID); err != nil {
			return err
		}
	}
	return tx.SaveMachine(v.m)
}

// free ends what is left of the claim. A machine that was wiped keeps its agent for a while, for the next command,
// unless the claim says otherwise; one that was not wiped is powered off.
func free(ctx context.Context, j *job) error {
	var m *metal.Machine
	var w work
	if err := j.read(ctx, func(_ *store.Tx, v view) error { m, w = v.m, *v.w; return nil }); err != nil {
		return err
	}
	if w.Erase != metal.EraseNone && !w.PowerOff || byHand(m) {
		return nil
	}
	if err := j.e.setPower(ctx, m, metal.PowerOff); err != nil {
		return err
	}
	return j.update(ctx, func(tx *store.Tx, v view) error {
		v.m.Power = metal.PowerOff
		if err := tx.EndBootSession(v.m.ID); err != nil {
			return err
		}
		return tx.SaveMachine(v.m)
	})
}
