package install

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/bootloader"
)

func fileSystem(device, uuid string) metal.StorageAction {
	return metal.StorageAction{Kind: metal.ActionFilesystem, Name: device, UUID: uuid, Filesystem: &metal.PlannedFilesystem{Type: "ext4"}}
}

func TestGRUBLooksForBootWhereItIs(t *testing.T) {
	root := metal.PlannedMount{Device: "root", Path: "/", Options: []string{"noatime"}}
	tests := []struct {
		name   string
		mounts []metal.PlannedMount
		want   bootloader.Place
	}{
		{"in the root file system", []metal.PlannedMount{root, {Device: "esp", Path: "/boot/efi"}}, bootloader.Place{UUID: "R", Dir: "/boot"}},
		{"in a file system of its own", []metal.PlannedMount{root, {Device: "boot", Path: "/boot/"}, {Device: "esp", Path: "/boot/efi"}}, bootloader.Place{UUID: "B", Dir: ""}},
		{"in a subvolume", []metal.PlannedMount{{Device: "root", Path: "/", Options: []string{"subvol=@"}}, {Device: "root", Path: "/home", Options: []string{"subvol=@home"}}}, bootloader.Place{UUID: "R", Dir: "/@/boot"}},
		{"in a subvolume of its own", []metal.PlannedMount{root, {Device: "root", Path: "/boot", Options: []string{"subvol=/@boot"}}}, bootloader.Place{UUID: "R", Dir: "/@boot"}},
	}
	actions := []metal.StorageAction{fileSystem("root", "R"), fileSystem("boot", "B"), fileSystem("esp", "E")}
	for _, tt := range tests {
		got, err := bootPlace(metal.StoragePlan{Actions: actions, Mounts: tt.mounts})
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	for name, p := range map[string]metal.StoragePlan{"an empty plan": {}, "a mount without a file system": {Mounts: []metal.PlannedMount{root}}} {
		if _, err := bootPlace(p); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%s: got %v; want Invalid", name, err)
		}
	}
}

func table(disk string, types ...string) metal.StorageAction {
	a := metal.StorageAction{Kind: metal.ActionPartition, Name: disk}
	for i, kind := range types {
		a.Partitions = append(a.Partitions, metal.PlannedPartition{
			Number: i + 1, Name: disk + "-" + string(rune('a'+i)), Type: kind, UUID: disk + kind, Start: int64(i+1) << 20, Bytes: 1 << 20,
		})
	}
	return a
}

func device(name string) string { return "/dev/" + name }

func TestEveryBootDiskHasItsOwnPlaceForGRUB(t *testing.T) {
	p := metal.StoragePlan{
		Actions: []metal.StorageAction{table("d1", metal.PartitionBIOSBoot, metal.PartitionRAID), table("d2", metal.PartitionRAID, metal.PartitionBIOSBoot)},
		Boot:    metal.PlannedBoot{Disks: []string{"d1", "d2"}},
	}
	got, err := biosDisks(p, device)
	want := []bootloader.Disk{{Device: "/dev/d1", Offset: 1 << 20, Bytes: 1 << 20}, {Device: "/dev/d2", Offset: 2 << 20, Bytes: 1 << 20}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("got %v (-want +got):\n%s", err, diff)
	}
	p.Actions[1].Partitions = p.Actions[1].Partitions[:1]
	if _, err := biosDisks(p, device); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("a disk without the partition: got %v; want Invalid", err)
	}
}

func TestDevicesGetTheNamesThatProgramsLookFor(t *testing.T) {
	p := metal.StoragePlan{Actions: []metal.StorageAction{
		table("d1", metal.PartitionLUKS),
		{Kind: metal.ActionRAID, Name: "md", UUID: "A"},
		{Kind: metal.ActionEncrypt, Name: "secret", UUID: "L", Devices: []string{"md"}},
		{Kind: metal.ActionEncrypt, Name: "random", Devices: []string{"d1-a"}},
		{Kind: metal.ActionSwap, Name: "swap", UUID: "S"}, fileSystem("secret", "R"),
	}}
	want := map[string]string{
		"/dev/disk/by-partuuid/d1" + metal.PartitionLUKS: "/dev/d1-a", "/dev/disk/by-id/md-uuid-A": "/dev/md", "/dev/disk/by-uuid/L": "/dev/md",
		"/dev/disk/by-uuid/S": "/dev/swap", "/dev/disk/by-uuid/R": "/dev/secret",
	}
	if diff := cmp.Diff(want, links(p, device)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
