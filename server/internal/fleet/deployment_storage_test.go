package fleet_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// twoDisks is an allocated machine with a TPM and two disks, and an image of each kind.
func (r *rig) twoDisks(t *testing.T) (machine string) {
	t.Helper()
	m := r.ready(t, 1, "")
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		now, err := tx.Machine(m.ID)
		if err != nil {
			return err
		}
		now.Hardware.BootMode = metal.UEFI
		return errors.Join(tx.SaveMachine(now), tx.SetInventory(m.ID, &metal.Inventory{TPM: "2.0", BootMode: metal.UEFI, Disks: []metal.Disk{
			{Name: "vda", Serial: "A", Bytes: 100 << 30}, {Name: "vdb", Serial: "B", Bytes: 50 << 30},
		}}))
	}))
	_, err := r.PutAllocation(t.Context(), claim("c", metal.AllocationSpec{Constraints: metal.Constraints{Machine: m.ID}}))
	must(t, err)
	r.image(t, metal.Image{Name: "whole", State: metal.ImageReady, Digest: "aa", RawBytes: 2 << 30})
	r.image(t, metal.Image{Name: "root", State: metal.ImageReady, Digest: "bb", RawBytes: 1 << 30, Spec: metal.ImageSpec{Kind: metal.ImageRoot}})
	r.image(t, metal.Image{Name: "later", State: metal.ImageImporting})
	return m.ID
}

// deployed ends what the engine of the rig never does: the deployment is on the disk.
func (r *rig) deployed(t *testing.T, id string) {
	t.Helper()
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		d, err := tx.Deployment(id)
		if err != nil {
			return err
		}
		m, err := tx.Machine(d.MachineID)
		if err != nil {
			return err
		}
		m.State, m.Settled, d.Applied = metal.Deployed, true, &d.Spec
		return errors.Join(tx.SaveMachine(m), tx.SaveDeployment(d))
	}))
}

func (r *rig) keys(t *testing.T, id string) (keys map[string]string) {
	t.Helper()
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		keys, err = tx.StorageKeys(id)
		return err
	}))
	return keys
}

func deployment(image string, s *metal.StorageSpec) api.DeploymentBody {
	return api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: image, Storage: s}}
}

func onto(machine string, body api.DeploymentBody) api.CreateDeploymentRequest {
	return api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: machine, DeploymentBody: body}}
}

func flatOn(serial string) *metal.StorageSpec {
	return &metal.StorageSpec{Layout: metal.LayoutFlat, Disk: &metal.DiskRule{Serial: serial}}
}

func TestAPreviewSaysWhatTheDeploymentThenMakes(t *testing.T) {
	r := start(t)
	machine := r.twoDisks(t)
	create := onto(machine, deployment("root", flatOn("B")))
	impact, err := r.PreviewDeployment(t.Context(), api.PreviewDeploymentRequest(create))
	must(t, err)
	if len(impact.Storage) == 0 || !strings.HasPrefix(impact.Storage[0], "disk1 is /dev/vdb (50 GiB, serial B)") || impact.Problem != "" {
		t.Fatalf("got %+v; want the layout of vdb and no problem", impact)
	}
	d, err := r.CreateDeployment(t.Context(), create)
	must(t, err)
	if !slices.Equal(d.StoragePlan, impact.Storage) {
		t.Errorf("got %q made; want what was previewed, %q", d.StoragePlan, impact.Storage)
	}
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
		m, err := tx.Machine(machine)
		if err != nil {
			return err
		}
		plan, err := fleet.Layout(tx, m, &d)
		if err == nil && !slices.Equal(plan.Describe(), impact.Storage) {
			err = fmt.Errorf("got the plan %q; want what was previewed", plan.Describe())
		}
		return err
	}))
}

func TestAPreviewSaysWhatIsMissing(t *testing.T) {
	r := start(t)
	machine := r.twoDisks(t)
	for _, c := range []struct{ image, want string }{{"none", "there is no image none"}, {"later", "image later is importing"}} {
		impact, err := r.PreviewDeployment(t.Context(), api.PreviewDeploymentRequest{Body: onto(machine, deployment(c.image, flatOn("A"))).Body})
		must(t, err)
		if impact.Problem != c.want || impact.Storage != nil {
			t.Errorf("image %s: got %+v; want the problem %q", c.image, impact, c.want)
		}
	}
}

func TestALayoutThatCannotBeIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	r := start(t)
	machine := r.twoDisks(t)
	for name, c := range map[string]struct {
		body api.DeploymentBody
		want string
	}{
		"two disks that match":      {deployment("root", &metal.StorageSpec{Layout: metal.LayoutFlat}), "storage.disk: 2 disks are fixed and writable"},
		"a layout in a whole disk":  {deployment("whole", flatOn("A")), "storage.layout: the image is of a whole disk"},
		"a key of nothing":          {api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "root", Storage: flatOn("A")}, StorageKeys: map[string]string{"layout": "correct horse"}}, "storage_keys has a key layout, and storage encrypts nothing of that name"},
		"a key that is short":       {api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "root", Storage: encryptedOn("A", false)}, StorageKeys: map[string]string{"layout": "short"}}, "the key layout has 5 bytes; it needs 8 to 512"},
		"an encryption without key": {deployment("root", encryptedOn("A", false)), "nothing opens it; set tpm2, or give a key"},
		"a disk that is not there":  {deployment("whole", &metal.StorageSpec{Disk: &metal.DiskRule{Serial: "C"}}), "storage.disk: no disk is of serial C; the machine has vda"},
	} {
		_, err := r.PreviewDeployment(t.Context(), api.PreviewDeploymentRequest{Body: onto(machine, c.body).Body})
		wantRefusal(t, name+", previewed", err, metal.Invalid, c.want)
		_, err = r.CreateDeployment(t.Context(), onto(machine, c.body))
		wantRefusal(t, name, err, metal.Invalid, c.want)
	}
}

func encryptedOn(serial string, tpm bool) *metal.StorageSpec {
	s := flatOn(serial)
	s.Encryption = &metal.StorageEncryption{TPM2: tpm}
	return s
}

func TestKeysAreKeptSealedAndNeverToldBack(t *testing.T) {
	r := start(t)
	machine := r.twoDisks(t)
	body := deployment("root", encryptedOn("A", true))
	body.StorageKeys = map[string]string{"layout": "correct horse battery"}
	d, err := r.CreateDeployment(t.Context(), onto(machine, body))
	must(t, err)
	if got := r.keys(t, d.ID)["layout"]; got != "correct horse battery" {
		t.Errorf("got key %q; want the one given", got)
	}
	text, err := json.Marshal(d)
	must(t, err)
	if strings.Contains(string(text), "horse") {
		t.Errorf("got the key in %s", text)
	}
	first := d.Spec.Storage.Encryption.KeyID
	again, err := r.CreateDeployment(t.Context(), onto(machine, body))
	must(t, err)
	if first == "" || again.Spec.Storage.Encryption.KeyID != first || again.Generation != d.Generation {
		t.Errorf("the repeat of a create: got key id %q, generation %d; want %q, %d", again.Spec.Storage.Encryption.KeyID, again.Generation, first, d.Generation)
	}
	r.deployed(t, d.ID)
	body.StorageKeys = nil
	impact, err := r.PlanDeployment(t.Context(), api.PlanDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body})
	must(t, err)
	if impact.Action != "none" {
		t.Errorf("no key given: got %+v; want that the stored one stays", impact)
	}
	body.StorageKeys = map[string]string{"layout": "another one"}
	impact, err = r.PlanDeployment(t.Context(), api.PlanDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body})
	must(t, err)
	if impact.Action != "store" || !slices.Equal(impact.Changes, []string{"storage"}) {
		t.Errorf("another key: got %+v; want a change of storage that waits", impact)
	}
}

func TestAVolumeThatTheTPMOpensGetsARecoveryKeyThatStays(t *testing.T) {
	r := start(t)
	machine := r.twoDisks(t)
	body := deployment("root", encryptedOn("A", true))
	d, err := r.CreateDeployment(t.Context(), onto(machine, body))
	must(t, err)
	first := r.keys(t, d.ID)["layout"]
	if len(first) < 20 || d.Spec.Storage.Encryption.KeyID != "" {
		t.Fatalf("got a recovery key of %d characters, key id %q; want 20 at least, and no id", len(first), d.Spec.Storage.Encryption.KeyID)
	}
	r.deployed(t, d.ID)
	body.Hostname = "other"
	_, err = r.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body})
	must(t, err)
	if got := r.keys(t, d.ID)["layout"]; got != first {
		t.Error("after an update: got another recovery key; want the one that opens the volume")
	}
	revealed, err := r.RevealRecoveryKeys(t.Context(), api.ByID{ID: d.ID})
	must(t, err)
	if len(revealed.Keys) != 1 || revealed.Keys["layout"] != first {
		t.Errorf("recovery keys: got those of %v; want the layout's", slices.Sorted(maps.Keys(revealed.Keys)))
	}
	body.StorageKeys = map[string]string{"layout": "one that is given"}
	_, err = r.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body})
	must(t, err)
	_, err = r.RevealRecoveryKeys(t.Context(), api.ByID{ID: d.ID})
	wantRefusal(t, "a key that was given", err, metal.NotFound, "has no recovery key")
}

func TestARedeploymentKeepsWhatIsDeclaredSo(t *testing.T) {
	r := start(t)
	machine := r.twoDisks(t)
	s := flatOn("A")
	s.RootSize = "20GiB"
	s.Partitions = []metal.StoragePartition{{Name: "data", Disk: "disk1", Size: "rest"}}
	s.Filesystems = []metal.StorageFilesystem{{Device: "data", Mount: "/srv", Preserve: true}}
	body := deployment("root", s)
	d, err := r.CreateDeployment(t.Context(), onto(machine, body))
	must(t, err)
	if slices.Contains(d.StoragePlan, "ext4 on data, mounted on /srv, kept as it is") {
		t.Errorf("the first deployment: got %q; want nothing kept", d.StoragePlan)
	}
	r.deployed(t, d.ID)
	body.Trigger = "now"
	plan := api.PlanDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body}
	impact, err := r.PlanDeployment(t.Context(), plan)
	must(t, err)
	if impact.Action != "deploy" || !slices.Contains(impact.Storage, "ext4 on data, mounted on /srv, kept as it is") {
		t.Errorf("a redeployment: got %+v; want /srv kept", impact)
	}
	moved := *s
	moved.RootSize = "30GiB"
	plan.Body.Storage = &moved
	_, err = r.PlanDeployment(t.Context(), plan)
	wantRefusal(t, "a larger root", err, metal.Invalid, "storage.partitions[0] (data): its data cannot be kept")
}
