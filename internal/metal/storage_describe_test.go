package metal

import (
	"slices"
	"testing"
)

func TestAPlanSaysWhatItKeepsAndOverwrites(t *testing.T) {
	p := StoragePlan{
		Disks: []PlannedDisk{{Name: "a", Kernel: "sda", Bytes: 1536 << 20}, {Name: "b", Kernel: "sdb", Bytes: 3 << 40, Model: "M", Serial: "S"}},
		Actions: []StorageAction{
			{Kind: ActionWipe, Name: "b"},
			{Kind: ActionPartition, Name: "a", Partitions: []PlannedPartition{{Number: 1, Name: "p", Bytes: 1 << 20, Preserve: true}}},
			{Kind: ActionRAID, Name: "r", Devices: []string{"p", "q"}, Bytes: 1 << 30, RAID: &PlannedRAID{Level: 1, Spares: []string{"s"}}},
			{Kind: ActionEncrypt, Name: "e", Devices: []string{"r"}, Encryption: &PlannedEncryption{TPM2: true, PCRs: []int{0, 7}}, Preserve: true},
		},
	}
	want := []string{
		"a is /dev/sda (1.5 GiB): kept in part",
		"b is /dev/sdb (3 TiB, M, serial S): overwritten",
		"a partition 1 p: 1 MiB, kept as it is",
		"array r: RAID 1 of p, q, 1 GiB, spare s",
		"encrypted volume e: on r, opened by the TPM (PCR 0, 7), kept as it is",
	}
	if got := p.Describe(); !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
	image := StoragePlan{Disks: p.Disks[:1], Image: &PlannedImage{Disk: "a"}}
	if got, want := image.Describe(), []string{"a is /dev/sda (1.5 GiB): overwritten"}; !slices.Equal(got, want) {
		t.Errorf("got %q; want %q", got, want)
	}
}
