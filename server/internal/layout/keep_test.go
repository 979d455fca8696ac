package layout

import (
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// withData is root and a kept volume side by side in a volume group on a mirror.
func withData() metal.StorageSpec {
	return metal.StorageSpec{
		Disks: []metal.StorageDisk{{Name: "a", Rule: metal.DiskRule{Serial: "S1"}}, {Name: "b", Rule: metal.DiskRule{Serial: "S2"}}},
		Partitions: []metal.StoragePartition{
			{Name: "boot", Disk: "a", Size: "1GiB"}, {Name: "left", Disk: "a", Size: "rest"}, {Name: "right", Disk: "b", Size: "rest"},
		},
		RAIDs:          []metal.StorageRAID{{Name: "mirror", Level: 1, Devices: []string{"left", "right"}}},
		VolumeGroups:   []metal.StorageVolumeGroup{{Name: "vg", Devices: []string{"mirror"}}},
		LogicalVolumes: []metal.StorageLogicalVolume{{Name: "root", VolumeGroup: "vg", Size: "10GiB"}, {Name: "data", VolumeGroup: "vg", Size: "5GiB", Preserve: true}},
		Filesystems: []metal.StorageFilesystem{
			{Device: "boot", Mount: "/boot"}, {Device: "root", Mount: "/"}, {Device: "data", Type: "xfs", Mount: "/srv"},
		},
	}
}

func TestAFirstDeploymentMakesWhatLaterOnesKeep(t *testing.T) {
	r := request(withData())
	first := mustPlan(t, r)
	if i := slices.IndexFunc(first.Actions, func(a metal.StorageAction) bool { return a.Preserve }); i >= 0 {
		t.Fatalf("got %s kept at the first deployment; want nothing", first.Actions[i].Name)
	}
	r.Previous = &first
	var got []string
	for _, a := range mustPlan(t, r).Actions {
		if a.Preserve {
			got = append(got, string(a.Kind)+" "+a.Name)
		}
		for _, p := range a.Partitions {
			if p.Preserve {
				got = append(got, "partition "+p.Name)
			}
		}
		if a.Kind == metal.ActionWipe {
			got = append(got, "wipe "+a.Name)
		}
	}
	want := []string{"partition left", "partition right", "raid mirror", "volume_group vg", "logical_volume data", "filesystem data"}
	if !slices.Equal(got, want) {
		t.Errorf("got kept %q; want %q", got, want)
	}
}

func TestDataThatIsNotWhereItWasIsNotTouched(t *testing.T) {
	before := request(withData())
	previous := mustPlan(t, before)
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"the partition moves": {func(r *Request) { r.Spec.Partitions[0].Size = "2GiB" },
			"storage.partitions[1] (left): its data cannot be kept: partition left is 38.49 GiB at 1.5 GiB on a, and would be 37.49 GiB at 2.5 GiB on a"},
		"the volume grows":            {func(r *Request) { r.Spec.LogicalVolumes[1].Size = "6GiB" }, "storage.logical_volumes[1] (data): its data cannot be kept: the logical volume data differs"},
		"the file system is another":  {func(r *Request) { r.Spec.Filesystems[2].Type = "ext4" }, "its data cannot be kept: the file system on data differs"},
		"the array has another level": {func(r *Request) { r.Spec.RAIDs[0].Level = 0 }, "storage.raids[0] (mirror): its data cannot be kept"},
		"the disk is another":         {func(r *Request) { r.Spec.Disks[1].Rule.Serial = "S3" }, `storage.disks[1] (b): data on b is to be kept, and that was disk sdb (serial "S2", 40 GiB) and would be sdc (serial "S3"`},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(withData())
			r.Previous = &previous
			c.change(&r)
			if p, err := Plan(r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s\n%v", err, c.want, p.Describe())
			}
		})
	}
}

func TestOtherVolumesMayChangeBesideKeptOnes(t *testing.T) {
	before := request(withData())
	previous := mustPlan(t, before)
	r := request(withData())
	r.Previous = &previous
	r.Spec.LogicalVolumes = append(r.Spec.LogicalVolumes, metal.StorageLogicalVolume{Name: "new", VolumeGroup: "vg", Size: "rest", Preserve: true})
	r.Spec.Filesystems = append(r.Spec.Filesystems, metal.StorageFilesystem{Device: "new", Mount: "/new"})
	r.Spec.LogicalVolumes[0].Size = "12GiB"
	p := mustPlan(t, r)
	i := slices.IndexFunc(p.Actions, func(a metal.StorageAction) bool { return a.Kind == metal.ActionLogicalVolume && a.Name == "new" })
	if i < 0 || p.Actions[i].Preserve {
		t.Errorf("got %v; want volume new, made", p.Describe())
	}
}
