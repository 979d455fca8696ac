package main

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// fullStorage has every field of a declaration.
func fullStorage() metal.StorageSpec {
	rule := metal.DiskRule{
		Name: "sda", Path: "p", Serial: "s", WWN: "w", Model: "m*", Bus: "sata", Kind: "ssd", MinSize: "1GiB", MaxSize: "2TiB", Pick: "largest", Count: 2,
	}
	key := metal.StorageEncryption{TPM2: true, PCRs: []int{0, 7}}
	return metal.StorageSpec{
		Layout: "raid1", Disk: &rule, Filesystem: "xfs", RootSize: "50%", BootSize: "1GiB", Swap: "2GiB", Encryption: &key,
		Disks:          []metal.StorageDisk{{Name: "a", Rule: rule}},
		Partitions:     []metal.StoragePartition{{Name: "p1", Disk: "a", Size: "rest", Use: "esp", Preserve: true}},
		RAIDs:          []metal.StorageRAID{{Name: "r", Level: 5, Devices: []string{"x", "y", "z"}, Spares: []string{"s"}, Chunk: "64KiB"}},
		VolumeGroups:   []metal.StorageVolumeGroup{{Name: "vg", Devices: []string{"r"}}},
		LogicalVolumes: []metal.StorageLogicalVolume{{Name: "lv", VolumeGroup: "vg", Size: "1GiB", Preserve: true}},
		Encrypted:      []metal.StorageEncrypted{{Name: "safe", Device: "lv", StorageEncryption: metal.StorageEncryption{TPM2: true, PCRs: []int{7}, Random: true}}},
		Filesystems: []metal.StorageFilesystem{{
			Device: "safe", Type: "btrfs", Label: "l", Mount: "/srv", MountOptions: []string{"noatime"}, MkfsOptions: []string{"-m"}, Preserve: true,
			Subvolumes: []metal.StorageSubvolume{{Name: "@a", Mount: "/a", MountOptions: []string{"ro"}}},
		}},
		Swaps: []metal.StorageSwap{{Device: "w"}},
	}
}

func TestStorageGoesThereAndBackWhole(t *testing.T) {
	ctx, want := context.Background(), fullStorage()
	object, diags := newStorage(ctx, types.ObjectNull(storageType()), &want)
	if diags.HasError() {
		t.Fatal(diags)
	}
	m, diags := storageFrom(ctx, object)
	if diags.HasError() {
		t.Fatal(diags)
	}
	got, err := m.spec()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Errorf("after the way through Terraform (-want +got):\n%s", diff)
	}
}

func TestTheServersWordsForTheSameStorageAreNoChange(t *testing.T) {
	ctx, no := context.Background(), false
	layout, prior := "flat", storageModel{}
	prior.Layout, prior.Encryption = &layout, &encryptionModel{TPM2: &no, KeyVersion: new(int64)}
	object, diags := types.ObjectValueFrom(ctx, storageType(), prior)
	if diags.HasError() {
		t.Fatal(diags)
	}
	now := metal.StorageSpec{Layout: "flat", Encryption: &metal.StorageEncryption{KeyID: "k-1"}}
	if got, _ := newStorage(ctx, object, &now); !got.Equal(object) {
		t.Errorf("got %s; want the words of before, %s", got, object)
	}
	now.Swap = "1GiB"
	if got, _ := newStorage(ctx, object, &now); got.Equal(object) {
		t.Error("got the words of before; want the swap that somebody added")
	}
	if got, _ := newStorage(ctx, object, nil); !got.IsNull() {
		t.Errorf("got %s; want null, as somebody took it away", got)
	}
}

func TestKeysAreSentWhenTheirVersionChanges(t *testing.T) {
	with := func(key string, version int64) *storageModel {
		m := &storageModel{Encryption: &encryptionModel{KeyVersion: &version}}
		if key != "" {
			m.Encryption.Key = &key
		}
		return m
	}
	for name, c := range map[string]struct {
		prior, plan, config *storageModel
		want                map[string]string
	}{
		"the first time":      {nil, with("", 1), with("key", 1), map[string]string{"layout": "key"}},
		"the same version":    {with("", 1), with("", 1), with("key", 1), nil},
		"another version":     {with("", 1), with("", 2), with("other", 2), map[string]string{"layout": "other"}},
		"no storage any more": {with("", 1), nil, nil, nil},
	} {
		if got := storageKeys(c.prior, c.plan, c.config); !maps.Equal(got, c.want) || (got == nil) != (c.want == nil) {
			t.Errorf("%s: got %v; want %v", name, got, c.want)
		}
	}
}

func TestTheLayoutIsKnownInThePlanAndRefusedThere(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 41)
	whole := machine("n1", box, servertest.BMCPassword, "") + theirs("debian", r.image(t, "debian", "debian")) +
		"resource \"metal_allocation\" \"web\" {\n  name = \"web\"\n  depends_on = [metal_machine.n1]\n}\n"
	deploy := func(image, storage string) string {
		return whole + fmt.Sprintf("resource \"metal_deployment\" \"web\" {\n  machine_id = metal_allocation.web.machine_id\n  image = %q\n  storage = %s\n  depends_on = [metal_image.debian]\n}\n", image, storage)
	}
	serial := "DISK-" + string(box.MAC)
	encrypted := func(version int) string {
		return fmt.Sprintf(`{ layout = "lvm", disk = { serial = %q }, encryption = { key_wo = "correct horse", key_wo_version = %d } }`, serial, version)
	}
	line := func(i int, want string) plancheck.PlanCheck {
		return plancheck.ExpectKnownValue("metal_deployment.web", tfjsonpath.New("storage_plan").AtSliceIndex(i), text(want))
	}
	r.run(t,
		resource.TestStep{Config: whole, Check: r.once(t)},
		resource.TestStep{PreConfig: func() { r.rootImage(t) }, Config: deploy("root", `{ layout = "flat", disk = { serial = "none" } }`), ExpectError: says(`storage.disk: no disk is of serial none`)},
		resource.TestStep{Config: deploy("debian", `{ swap = "1GiB" }`), ExpectError: says(`storage.swap: the image is of a whole disk.*needs an image of kind root`)},
		resource.TestStep{Config: deploy("root", `{ layout = "zfs" }`), ExpectError: says(`Attribute storage.layout value must be one of`)},
		resource.TestStep{
			Config: deploy("root", encrypted(1)), PlanOnly: true, ExpectNonEmptyPlan: true,
			ConfigPlanChecks: resource.ConfigPlanChecks{PostApplyPreRefresh: []plancheck.PlanCheck{
				line(1, "disk1 partition 1 bios-disk1: 1 MiB"), line(4, "encrypted volume pv-1: on pv-1-luks, opened by its key, asked for on the console"),
			}},
		},
		resource.TestStep{
			Config: deploy("debian", fmt.Sprintf(`{ disk = { serial = %q } }`, serial)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectKnownValue("metal_deployment.web", tfjsonpath.New("storage_plan"), knownvalue.ListSizeExact(1)),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_deployment.web", "state", text("deployed")), check("metal_deployment.web", "storage_plan", knownvalue.ListSizeExact(1)),
			},
		},
		imported("metal_deployment.web", "mac:"+string(box.MAC)),
		resource.TestStep{
			Config:            deploy("debian", `{ disk = { bus = "virtio" } }`),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_deployment.web", "pending_changes", knownvalue.SetExact([]knownvalue.Check{text("storage")}))},
		},
	)
}

// rootImage imports an archive of a root file system.
func (r *rack) rootImage(t *testing.T) {
	t.Helper()
	c := r.client(t)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	release := "NAME=test\n"
	for _, err := range []error{
		w.WriteHeader(&tar.Header{Name: "usr/", Typeflag: tar.TypeDir, Mode: 0o755}),
		w.WriteHeader(&tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}),
		w.WriteHeader(&tar.Header{Name: "etc/os-release", Mode: 0o644, Size: int64(len(release))}),
		func() error { _, err := io.WriteString(w, release); return err }(),
		w.Close(),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	at := filepath.Join(r.server.Images, "root.tar")
	write(t, at, archive.String())
	if _, err := c.PutImage(t.Context(), api.PutImageRequest{ByName: api.ByName{Name: "root"}, Body: metal.ImageSpec{Source: at, Kind: metal.ImageRoot}}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		i, err := c.GetImage(t.Context(), api.GetImageRequest{ByName: api.ByName{Name: "root"}})
		if err == nil && i.State == metal.ImageReady {
			return
		}
		if err != nil || i.Failure != nil {
			t.Fatalf("the import: got %+v, %v", i.Failure, err)
		}
	}
	t.Fatal("the import did not end")
}

// FuzzStorage: what a server says of storage never stops the provider, and comes back as it was.
func FuzzStorage(f *testing.F) {
	seed, err := json.Marshal(fullStorage())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add([]byte(`{"layout":"flat","encryption":{"pcrs":[]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var s metal.StorageSpec
		if json.Unmarshal(text, &s) != nil {
			return
		}
		object, diags := newStorage(t.Context(), types.ObjectNull(storageType()), &s)
		if diags.HasError() {
			t.Fatal(diags)
		}
		m, diags := storageFrom(t.Context(), object)
		if diags.HasError() {
			t.Fatal(diags)
		}
		back, err := m.spec()
		if err != nil || spoken[storageModel](back) != spoken[storageModel](&s) {
			t.Fatalf("got %s, %v; want %s", spoken[storageModel](back), err, spoken[storageModel](&s))
		}
	})
}
