package lifecycle

import (
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// seedDir is where cloud-init looks for a NoCloud seed in the system itself.
const seedDir = "var/lib/cloud/seed/nocloud/"

// installStep is the step of a root archive, with the layout as it is decided now. Keys and the seed, which may hold
// secrets, are not stored with the operation: withSecrets adds them when the agent asks for its step.
func (e *Engine) installStep(tx *store.Tx, v view) (agentapi.Step, error) {
	d, err := tx.Deployment(v.w.Deployment)
	if err != nil {
		return agentapi.Step{}, err
	}
	d.Spec = *v.w.Spec
	memory := v.w.inMemory()
	var plan metal.StoragePlan
	if !memory {
		if plan, err = e.cfg.Layout(tx, v.m, d); err != nil {
			return agentapi.Step{}, err
		}
	}
	return agentapi.Step{Kind: agentapi.StepInstall, Install: &agentapi.Install{
		Plan: plan, Memory: memory, Digest: v.w.Content.Digest, RawBytes: v.w.Content.RawBytes, StoredBytes: v.w.Content.StoredBytes,
		KernelParameters: v.w.Spec.KernelParameters,
	}}, nil
}

// withSecrets adds to a step what it was stored without: the keys of the plan's encrypted volumes, and the seed.
func withSecrets(tx *store.Tx, d *metal.Deployment, in agentapi.Install, seed map[string]string) (*agentapi.Install, error) {
	keys, err := tx.StorageKeys(d.ID)
	if err != nil {
		return nil, err
	}
	in.Keys, in.Files = keysOf(in.Plan, keys), map[string]string{}
	for name, content := range seed {
		in.Files[seedDir+name] = content
	}
	if d.Spec.Hostname != "" {
		in.Files["etc/hostname"] = d.Spec.Hostname + "\n"
	}
	return &in, nil
}

// keysOf leaves out what a plan does not need.
func keysOf(p metal.StoragePlan, all map[string]string) map[string]string {
	keys := map[string]string{}
	for _, a := range p.Actions {
		if a.Encryption == nil || a.Encryption.Key == "" {
			continue
		}
		if key, ok := all[a.Encryption.Key]; ok {
			keys[a.Encryption.Key] = key
		}
	}
	return keys
}
