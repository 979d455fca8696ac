package fleet

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"maps"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/layout"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const (
	layoutKey = "layout" // name of the key of an encrypted layout
	// Bounds of a key of LUKS: what can be typed, and what cryptsetup reads from a terminal.
	leastKey, mostKey = 8, 512
)

// Layout decides what a deployment makes of its machine's disks, as they were inventoried last. Keys are named in it,
// and kept by store.StorageKeys. What is declared and cannot be is metal.Invalid.
func Layout(tx *store.Tx, m *metal.Machine, d *metal.Deployment) (metal.StoragePlan, error) {
	image, err := tx.Image(d.Spec.Image)
	if err != nil {
		return metal.StoragePlan{}, err
	}
	return layoutOf(tx, m, d, d.Spec, image)
}

// layoutOf is Layout of a spec that may not be stored yet.
func layoutOf(tx *store.Tx, m *metal.Machine, d *metal.Deployment, spec metal.DeploymentSpec, image *metal.Image) (metal.StoragePlan, error) {
	inv, err := tx.Inventory(m.ID)
	if metal.CodeOf(err) == metal.NotFound {
		return metal.StoragePlan{}, metal.Errorf(metal.Conflict, "cannot lay out the disks of machine %s: nobody knows them; commission it first", m.Spec.Name)
	}
	if err != nil {
		return metal.StoragePlan{}, err
	}
	r := layout.Request{
		Deployment: d.ID, Spec: spec.Storage, Disk: spec.Disk, Disks: inv.Disks, BootMode: m.Hardware.BootMode, TPM: inv.TPM,
		Image: layout.Image{Root: image.Spec.Kind == metal.ImageRoot, Bytes: image.RawBytes},
	}
	if d.Applied != nil && keepsData(spec.Storage) {
		before := r
		before.Spec, before.Disk, before.Image.Bytes = d.Applied.Storage, d.Applied.Disk, 0
		was, err := layout.Plan(before)
		if err != nil {
			return metal.StoragePlan{}, metal.Errorf(metal.Invalid, "cannot keep data on machine %s: what runs does not fit its disks any more, so that nobody can tell where the data is: %w", m.Spec.Name, err)
		}
		r.Previous = &was
	}
	plan, err := layout.Plan(r)
	if err != nil {
		return metal.StoragePlan{}, metal.Errorf(metal.CodeOf(err), "cannot lay out the disks of machine %s: %w", m.Spec.Name, err)
	}
	return plan, nil
}

// keepsData says whether anything of a declaration is to be preserved.
func keepsData(s *metal.StorageSpec) bool {
	return s != nil && (slices.ContainsFunc(s.Partitions, func(p metal.StoragePartition) bool { return p.Preserve }) ||
		slices.ContainsFunc(s.LogicalVolumes, func(v metal.StorageLogicalVolume) bool { return v.Preserve }) ||
		slices.ContainsFunc(s.Filesystems, func(f metal.StorageFilesystem) bool { return f.Preserve }))
}

// describeLayout says what would be made of the disks; nothing where that is left to the image and the agent.
func describeLayout(tx *store.Tx, m *metal.Machine, d *metal.Deployment, spec metal.DeploymentSpec, image *metal.Image) ([]string, error) {
	if spec.Boot == metal.BootMemory || spec.Storage == nil && image.Spec.Kind != metal.ImageRoot {
		return nil, nil
	}
	plan, err := layoutOf(tx, m, d, spec, image)
	if err != nil {
		return nil, err
	}
	return plan.Describe(), nil
}

// storageField is what two declarations are compared by.
func storageField(s *metal.StorageSpec) string {
	if s == nil {
		return ""
	}
	text, err := json.Marshal(s)
	if err != nil {
		return err.Error() // a spec has nothing that cannot be written
	}
	return string(text)
}

// encryptions returns what a declaration encrypts with a key, by the name of the key.
func encryptions(s *metal.StorageSpec) map[string]*metal.StorageEncryption {
	out := map[string]*metal.StorageEncryption{}
	if s == nil {
		return out
	}
	if s.Encryption != nil {
		out[layoutKey] = s.Encryption
	}
	for i := range s.Encrypted {
		if e := &s.Encrypted[i]; !e.Random {
			out[e.Name] = &e.StorageEncryption
		}
	}
	return out
}

// withKeys completes a declaration with the identities of its keys, and returns the keys to be stored. given is nil
// where the stored ones stay. The spec that is passed in stays as it is.
func withKeys(s *metal.StorageSpec, before *metal.StorageSpec, given, stored map[string]string) (*metal.StorageSpec, map[string]string, error) {
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, ok := encryptions(s)[name]; !ok {
			return nil, nil, metal.Errorf(metal.Invalid, "storage_keys has a key %s, and storage encrypts nothing of that name", name)
		}
		if n := len(given[name]); n < leastKey || n > mostKey {
			return nil, nil, metal.Errorf(metal.Invalid, "storage_keys: the key %s has %d bytes; it needs %d to %d", name, n, leastKey, mostKey)
		}
	}
	if s == nil {
		return nil, nil, nil
	}
	done := *s
	if s.Encryption != nil {
		e := *s.Encryption
		done.Encryption = &e
	}
	done.Encrypted = slices.Clone(s.Encrypted)
	was, keys := encryptions(before), map[string]string{}
	if s.Encryption != nil && slices.ContainsFunc(s.Encrypted, func(e metal.StorageEncrypted) bool { return e.Name == layoutKey }) {
		return nil, nil, metal.Errorf(metal.Invalid, "storage.encrypted: the name %s is that of the layout's own key; take another", layoutKey)
	}
	for name, e := range encryptions(&done) {
		old := was[name]
		e.KeyID = ""
		switch key, ok := given[name]; {
		case ok && old != nil && old.KeyID != "" && stored[name] == key, given == nil && old != nil && old.KeyID != "":
			e.KeyID, keys[name] = old.KeyID, stored[name]
		case ok:
			e.KeyID, keys[name] = lifecycle.NewID("k"), key
		case old != nil && old.KeyID == "" && stored[name] != "":
			keys[name] = stored[name]
		case e.TPM2: // for the day that the TPM does not open it
			keys[name] = rand.Text()
		}
	}
	return &done, keys, nil
}

// PreviewDeployment says what CreateDeployment would do.
func (f *Fleet) PreviewDeployment(ctx context.Context, in api.PreviewDeploymentRequest) (impact metal.Impact, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		m, err := tx.FindMachine(in.Body.MachineID)
		if err != nil {
			return err
		}
		impact, err = preview(tx, m, in.Body.DeploymentBody)
		return err
	})
	return impact, err
}

func preview(tx *store.Tx, m *metal.Machine, body api.DeploymentBody) (metal.Impact, error) {
	impact := metal.Impact{Action: "deploy", Changes: []string{}}
	spec, err := finish(body, "")
	if err != nil {
		return impact, err
	}
	if spec.Storage, _, err = withKeys(spec.Storage, nil, body.StorageKeys, nil); err != nil {
		return impact, err
	}
	impact.Erases = erases(m, spec)
	image, err := tx.Image(spec.Image)
	if metal.CodeOf(err) == metal.NotFound {
		impact.Problem = "there is no image " + spec.Image
		return impact, nil
	}
	if err != nil {
		return impact, err
	}
	if image.State != metal.ImageReady {
		impact.Problem = "image " + image.Name + " is " + string(image.State)
		return impact, nil
	}
	if m.AllocationID == "" {
		impact.Problem = "machine " + m.Spec.Name + " is nobody's; claim it first (metal_allocation)"
	}
	if spec.Boot == metal.BootMemory {
		if err := checkMemory(m, image); err != nil {
			return impact, err
		}
	}
	if err = checkNetwork(tx, m, spec.Network); err == nil {
		impact.Storage, err = describeLayout(tx, m, &metal.Deployment{ID: "preview", MachineID: m.ID}, spec, image)
	}
	if metal.CodeOf(err) == metal.Conflict { // until it is commissioned
		impact.Problem = err.Error()
		return impact, nil
	}
	return impact, err
}

// planned says what a change would make of the disks: what is declared is checked when it changes, also where it
// waits, so that it is not refused only later. image is nil where the deployment stays pinned to what it has.
func planned(tx *store.Tx, m *metal.Machine, d *metal.Deployment, spec metal.DeploymentSpec, image *metal.Image, impact metal.Impact) ([]string, error) {
	same := storageField(spec.Storage) == storageField(d.Spec.Storage) && spec.Disk == d.Spec.Disk
	if impact.Action != "deploy" && same {
		return nil, nil
	}
	if image == nil {
		var err error
		if image, err = tx.Image(spec.Image); err != nil {
			if metal.CodeOf(err) == metal.NotFound && spec.Storage == nil {
				return nil, nil
			}
			return nil, err
		}
	}
	lines, err := describeLayout(tx, m, d, spec, image)
	if impact.Action != "deploy" {
		lines = nil
	}
	return lines, err
}

// erases says in words what a deployment overwrites; nothing where it runs from memory.
func erases(m *metal.Machine, spec metal.DeploymentSpec) string {
	switch {
	case spec.Boot == metal.BootMemory:
		return ""
	case spec.Storage != nil:
		return "the disks of machine " + m.Spec.Name + " that storage names"
	case spec.Disk != "":
		return "disk " + spec.Disk + " of machine " + m.Spec.Name
	default:
		return "the system disk of machine " + m.Spec.Name
	}
}
