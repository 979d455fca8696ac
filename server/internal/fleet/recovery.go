package fleet

import (
	"context"
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// RevealRecoveryKeys tells the keys that the server made for volumes which the TPM opens: without them a machine whose
// TPM changed would keep its data from everybody. Keys that were given are told to nobody. Everybody who follows the
// events learns of it.
func (f *Fleet) RevealRecoveryKeys(ctx context.Context, in api.ByID) (out api.RecoveryKeys, err error) {
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		d, err := tx.Deployment(in.ID)
		if err != nil {
			return err
		}
		stored, err := tx.StorageKeys(d.ID)
		if err != nil {
			return err
		}
		out.Keys = made(d.Spec.Storage, stored)
		if len(out.Keys) == 0 {
			return metal.Errorf(metal.NotFound, "deployment %s has no recovery key: the server makes one for a volume that the TPM opens (tpm2), where none is given", d.ID)
		}
		m, err := tx.Machine(d.MachineID)
		if err != nil {
			return err
		}
		return tx.AddEvent("machine", m.ID, fmt.Sprintf("the recovery keys of %s were read by %s", m.Spec.Name, f.cfg.Caller(ctx)))
	})
	return out, err
}

// made returns those of the stored keys that nobody gave.
func made(s *metal.StorageSpec, stored map[string]string) map[string]string {
	keys := map[string]string{}
	for name, e := range encryptions(s) {
		if e.KeyID == "" && stored[name] != "" {
			keys[name] = stored[name]
		}
	}
	return keys
}
