package layout

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// custom is a declaration of one disk with root on it, to be spoilt by the cases.
func custom(change func(*metal.StorageSpec)) metal.StorageSpec {
	s := metal.StorageSpec{
		Layout:      "custom",
		Disks:       []metal.StorageDisk{{Name: "a", Rule: metal.DiskRule{Serial: "S1"}}, {Name: "b", Rule: metal.DiskRule{Serial: "S2"}}},
		Partitions:  []metal.StoragePartition{{Name: "root", Disk: "a", Size: "10GiB"}, {Name: "data", Disk: "a", Size: "rest"}, {Name: "more", Disk: "b", Size: "rest"}},
		Filesystems: []metal.StorageFilesystem{{Device: "root", Mount: "/"}},
	}
	change(&s)
	return s
}

func TestWhatCannotBeIsRefusedByName(t *testing.T) {
	crypt := metal.StorageEncryption{TPM2: true}
	for name, c := range map[string]struct {
		change func(*metal.StorageSpec)
		want   string
	}{
		"an unknown layout":        {func(s *metal.StorageSpec) { *s = metal.StorageSpec{Layout: "zfs"} }, `storage.layout: there is no layout "zfs"`},
		"several disks that match": {func(s *metal.StorageSpec) { *s = metal.StorageSpec{Layout: "flat"} }, "storage.disk: 5 disks are fixed and writable, and 1 is asked for: sde (4 TiB"},
		"no disk that matches":     {func(s *metal.StorageSpec) { s.Disks[1].Rule = metal.DiskRule{Bus: "nvme"} }, "storage.disks[1] (b).rule: no disk is of bus nvme; the machine has sdb (40 GiB"},
		"a removable disk":         {func(s *metal.StorageSpec) { s.Disks[1].Rule = metal.DiskRule{Serial: "U1"} }, "storage.disks[1] (b).rule: no disk is of serial U1"},
		"a disk twice":             {func(s *metal.StorageSpec) { s.Disks[1].Rule = s.Disks[0].Rule }, "storage.disks[1] (b).rule: no disk is of serial S1"},
		"too few disks for the layout": {func(s *metal.StorageSpec) {
			*s = metal.StorageSpec{Layout: "raid5", Disk: &metal.DiskRule{Serial: "S1"}}
		}, "storage.disk: layout raid5 needs 3 disks, and 1 match"},
		"several disks for a layout of one": {func(s *metal.StorageSpec) { *s = metal.StorageSpec{Disk: &metal.DiskRule{Count: 2, Pick: "largest"}} }, "storage.disk.count: layout flat takes one disk, not 2"},
		"a count for a named disk":          {func(s *metal.StorageSpec) { s.Disks[0].Rule.Count = 2 }, "storage.disks[0] (a).rule.count: a disk of disks is one disk"},
		"a size limit that is none":         {func(s *metal.StorageSpec) { s.Disks[0].Rule.MinSize = "big" }, `storage.disks[0] (a).rule.min_size: "big" is not a size`},
		"size limits the wrong way round":   {func(s *metal.StorageSpec) { s.Disks[0].Rule.MinSize, s.Disks[0].Rule.MaxSize = "2GiB", "1GiB" }, "min_size: 2GiB is more than max_size 1GiB"},
		"what steers layouts, in custom":    {func(s *metal.StorageSpec) { s.Swap = "1GiB" }, "storage.swap: this is for ready-made layouts"},
		"a name twice":                      {func(s *metal.StorageSpec) { s.Partitions[1].Name = "root" }, "storage.partitions[1] (root).name: storage.partitions[0] (root) has the name root already"},
		"a name of a preset": {func(s *metal.StorageSpec) {
			*s = metal.StorageSpec{Layout: "flat", Disk: &metal.DiskRule{Serial: "S1"}, Partitions: s.Partitions[:1]}
		}, "storage.partitions[0] (root).name: storage.layout flat: partition root has the name root already"},
		"a bad name":                 {func(s *metal.StorageSpec) { s.Partitions[1].Name = "../etc" }, "is not a name"},
		"an unknown disk":            {func(s *metal.StorageSpec) { s.Partitions[1].Disk = "c" }, `storage.partitions[1] (data).disk: there is no device "c"`},
		"a partition of a partition": {func(s *metal.StorageSpec) { s.Partitions[1].Disk = "root" }, "root is a partition, and a partition is made of disks"},
		"a bad size":                 {func(s *metal.StorageSpec) { s.Partitions[1].Size = "20 apples" }, `storage.partitions[1] (data).size: "20 apples" is not a size`},
		"a size of nothing":          {func(s *metal.StorageSpec) { s.Partitions[1].Size = "0GiB" }, "storage.partitions[1] (data).size: "},
		"a size over what is left":   {func(s *metal.StorageSpec) { s.Partitions[1].Size = "31GiB" }, "storage.partitions[1] (data).size: 31GiB does not fit: 29.49 GiB"},
		"percentages over 100":       {func(s *metal.StorageSpec) { s.Partitions[0].Size, s.Partitions[1].Size = "60%", "50%" }, "storage.partitions[1] (data).size: the percentages of a (sda) come to 110%"},
		"two rests":                  {func(s *metal.StorageSpec) { s.Partitions[0].Size = "rest" }, "storage.partitions[1] (data).size: only one part of a (sda) can be the rest"},
		"nothing left for the rest":  {func(s *metal.StorageSpec) { s.Partitions[0].Size = "100%" }, "storage.partitions[1] (data).size: nothing is left"},
		"no root":                    {func(s *metal.StorageSpec) { s.Filesystems = nil }, "storage.filesystems: nothing is mounted on /"},
		"a mount twice": {func(s *metal.StorageSpec) {
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Mount: "/"})
		}, "storage.filesystems[1] (data).mount: storage.filesystems[0] (root) is mounted on / already"},
		"a mount through dots": {func(s *metal.StorageSpec) {
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Mount: "/srv/../etc"})
		}, "is not a path"},
		"a mount with a line break": {func(s *metal.StorageSpec) {
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Mount: "/a\n/b"})
		}, "is not a path"},
		"a mount over /etc": {func(s *metal.StorageSpec) {
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Mount: "/etc"})
		}, "/etc has to be part of the root file system"},
		"mount options that are several":          {func(s *metal.StorageSpec) { s.Filesystems[0].MountOptions = []string{"ro,noexec /"} }, "is not one mount option"},
		"an argument of mkfs that names a device": {func(s *metal.StorageSpec) { s.Filesystems[0].MkfsOptions = []string{"/dev/sda"} }, "storage.filesystems[0] (root).mkfs_options: argument 0"},
		"an unknown type":                         {func(s *metal.StorageSpec) { s.Filesystems[0].Type = "zfs" }, `storage.filesystems[0] (root).type: there is no type "zfs"`},
		"root on vfat":                            {func(s *metal.StorageSpec) { s.Filesystems[0].Type = "vfat" }, "/ cannot be vfat"},
		"subvolumes of ext4":                      {func(s *metal.StorageSpec) { s.Filesystems[0].Subvolumes = []metal.StorageSubvolume{{Name: "@"}} }, "ext4 has no subvolumes"},
		"a subvolume outside": {func(s *metal.StorageSpec) {
			s.Filesystems[0].Type, s.Filesystems[0].Subvolumes = "btrfs", []metal.StorageSubvolume{{Name: ".."}}
		}, "is not the name of a subvolume"},
		"a label that is too long":       {func(s *metal.StorageSpec) { s.Filesystems[0].Label = "seventeenletters!" }, "is not a label of ext4: at most 16"},
		"a device used twice":            {func(s *metal.StorageSpec) { s.Swaps = []metal.StorageSwap{{Device: "root"}} }, "storage.swaps[0] (root).device: root is used by storage.filesystems[0] (root) already"},
		"a disk used whole and in parts": {func(s *metal.StorageSpec) { s.Swaps = []metal.StorageSwap{{Device: "a"}} }, "a is used by its partitions already"},
		"a file system on a volume group": {func(s *metal.StorageSpec) {
			s.VolumeGroups = []metal.StorageVolumeGroup{{Name: "vg", Devices: []string{"data"}}}
			s.Swaps = []metal.StorageSwap{{Device: "vg"}}
		}, "vg is a volume group; make a logical volume in it"},
		"LVM on nothing": {func(s *metal.StorageSpec) { s.VolumeGroups = []metal.StorageVolumeGroup{{Name: "vg"}} }, "storage.volume_groups[0] (vg).devices: there is none"},
		"a RAID level": {func(s *metal.StorageSpec) {
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 4, Devices: []string{"data", "more"}}}
		}, "there is no RAID level 4"},
		"too few members": {func(s *metal.StorageSpec) {
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 5, Devices: []string{"data", "more"}}}
		}, "storage.raids[0] (r).devices: RAID 5 needs at least 3 devices, and has 2"},
		"a mirror on one disk": {func(s *metal.StorageSpec) {
			s.Partitions[2].Disk, s.Partitions[2].Size = "a", "1GiB"
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 1, Devices: []string{"data", "more"}}}
		}, "data and more are on the same disk, a: losing it loses both"},
		"a member twice": {func(s *metal.StorageSpec) {
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 1, Devices: []string{"data", "data"}}}
		}, "data is in it twice"},
		"spares of RAID 0": {func(s *metal.StorageSpec) {
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 0, Devices: []string{"data", "more"}, Spares: []string{"b"}}}
		}, "b is used by its partitions already"},
		"a chunk that is uneven": {func(s *metal.StorageSpec) {
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 0, Chunk: "3KiB", Devices: []string{"data", "more"}}}
		}, "storage.raids[0] (r).chunk: 3KiB is not a power of two"},
		"a layout that goes round in a circle": {func(s *metal.StorageSpec) {
			s.VolumeGroups = []metal.StorageVolumeGroup{{Name: "vg", Devices: []string{"safe"}}}
			s.LogicalVolumes = []metal.StorageLogicalVolume{{Name: "lv", VolumeGroup: "vg", Size: "rest"}}
			s.Encrypted = []metal.StorageEncrypted{{Name: "safe", Device: "lv", StorageEncryption: crypt}}
		}, "storage.encrypted[0] (safe): it is made of itself, by way of lv"},
		"an encrypted volume without a key": {func(s *metal.StorageSpec) { s.Encrypted = []metal.StorageEncrypted{{Name: "safe", Device: "data"}} }, "storage.encrypted[0] (safe): nothing opens it; set tpm2, or give a key"},
		"data under a key of one start": {func(s *metal.StorageSpec) {
			s.Encrypted = []metal.StorageEncrypted{{Name: "safe", Device: "data", StorageEncryption: metal.StorageEncryption{Random: true}}}
		}, "it is for swap only"},
		"registers that the TPM has not": {func(s *metal.StorageSpec) {
			s.Encrypted = []metal.StorageEncrypted{{Name: "safe", Device: "data", StorageEncryption: metal.StorageEncryption{TPM2: true, PCRs: []int{24}}}}
		}, "24 is not one of the registers"},
		"the kernel on an encrypted volume": {func(s *metal.StorageSpec) {
			s.Encrypted = []metal.StorageEncrypted{{Name: "safe", Device: "root", StorageEncryption: crypt}}
			s.Filesystems[0].Device = "safe"
		}, "storage.filesystems[0] (safe): the kernel would be on safe, which is encrypted"},
		"an ESP that is too small": {func(s *metal.StorageSpec) { s.Partitions[1].Use, s.Partitions[1].Size = "esp", "10MiB" }, "storage.partitions[1] (data).size: 10 MiB is too little for an ESP"},
		"an ESP that is put elsewhere": {func(s *metal.StorageSpec) {
			s.Partitions[1].Use = "esp"
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Type: "vfat", Mount: "/efi"})
		}, "an ESP is mounted on /boot/efi"},
		"a file system on bios_boot": {func(s *metal.StorageSpec) { s.Partitions[0].Use = "bios_boot" }, "storage.filesystems[0] (root).device: root is for the firmware"},
		"something else on /boot/efi": {func(s *metal.StorageSpec) {
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Mount: "/boot/efi"})
		}, "what is mounted on /boot/efi is an ESP"},
		"root on a disk without a table":     {func(s *metal.StorageSpec) { s.Partitions = s.Partitions[:2]; s.Filesystems[0].Device = "b" }, "storage.disks[1] (b): the machine starts from it, so that it needs partitions"},
		"a root that the image does not fit": {func(s *metal.StorageSpec) { s.Partitions[0].Size = "1GiB" }, "storage.filesystems[0] (root): the image needs 2 GiB, and all file systems together have 1 GiB"},
		"a file system that is too small": {func(s *metal.StorageSpec) {
			s.Partitions[1].Size = "200MiB"
			s.Filesystems = append(s.Filesystems, metal.StorageFilesystem{Device: "data", Type: "xfs"})
		}, "storage.filesystems[1] (data): xfs on data needs 300 MiB at least"},
		"preserve below an array": {func(s *metal.StorageSpec) {
			s.Partitions[1].Preserve = true
			s.RAIDs = []metal.StorageRAID{{Name: "r", Level: 1, Devices: []string{"data", "more"}}}
		}, "storage.partitions[1] (data).preserve: what storage.raids[0] (r) makes of it is not kept"},
		"preserve of root":                    {func(s *metal.StorageSpec) { s.Filesystems[0].Preserve = true }, "storage.partitions[0] (root).preserve: / is part of the system"},
		"a partition use that there is not":   {func(s *metal.StorageSpec) { s.Partitions[1].Use = "prep" }, `storage.partitions[1] (data).use: "prep" is neither`},
		"a name that the firmware's part has": {func(s *metal.StorageSpec) { s.Partitions[1].Name = "esp-a" }, "storage.partitions[1] (esp-a).name: esp-a is the name of what the firmware needs on a"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Plan(request(custom(c.change)))
			if err == nil {
				t.Fatalf("got a plan:\n%s", text(p))
			}
			if got := err.Error(); !strings.Contains(got, c.want) || metal.CodeOf(err) != metal.Invalid {
				t.Errorf("got %s: %s; want invalid: %s", metal.CodeOf(err), got, c.want)
			}
		})
	}
	if _, err := Plan(request(custom(func(*metal.StorageSpec) {}))); err != nil {
		t.Errorf("the declaration that the cases spoil: got %v; want a plan", err)
	}
}

func TestAMachineThatCannotDoItIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Request)
		want   string
	}{
		"no TPM":                       {func(r *Request) { r.TPM = "1.2" }, "storage.layout flat: encrypted root.tpm2: the machine has 1.2"},
		"a firmware that is not known": {func(r *Request) { r.BootMode = "" }, "commission it first"},
		"the disk said twice":          {func(r *Request) { r.Disk = "sda" }, `storage.disk: disk is set as well ("sda")`},
		"no disks":                     {func(r *Request) { r.Disks = nil }, "storage.disk: no disk is left"},
	} {
		t.Run(name, func(t *testing.T) {
			r := request(metal.StorageSpec{Layout: "flat", Disk: &metal.DiskRule{Serial: "S1"}, Encryption: &metal.StorageEncryption{TPM2: true}})
			c.change(&r)
			if _, err := Plan(r); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want %s", err, c.want)
			}
		})
	}
}
