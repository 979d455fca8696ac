package main

import (
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	mib      = 1 << 20
	gib      = 1 << 30
	diskSize = 3 * gib

	rootUUID = "5f1c5a32-6c1e-4cf2-9d0f-1a0a55d0c001"
	swapUUID = "5f1c5a32-6c1e-4cf2-9d0f-1a0a55d0c002"
	luksUUID = "5f1c5a32-6c1e-4cf2-9d0f-1a0a55d0c003"
	bootUUID = "5f1c5a32-6c1e-4cf2-9d0f-1a0a55d0c004"
	arrayID  = "6f1c5a32:6c1e4cf2:9d0f1a0a:55d0c005"
)

// planner writes plans down as the real one makes them; it only counts.
type planner struct {
	plan metal.StoragePlan
	next int
}

// disk begins a disk with what its firmware needs, and the given partitions behind that.
func (p *planner) disk(mode metal.BootMode, parts ...metal.PlannedPartition) {
	n := len(p.plan.Disks) + 1
	name := fmt.Sprintf("disk%d", n)
	p.plan.Disks = append(p.plan.Disks, metal.PlannedDisk{
		Name: name, Kernel: "vd" + string(rune('a'+n-1)), Serial: fmt.Sprintf("disk%d", n-1), Bytes: diskSize, BlockSize: 512,
	})
	p.plan.Boot.Mode = mode
	first := metal.PlannedPartition{Name: fmt.Sprintf("bios%d", n), Bytes: mib, Type: metal.PartitionBIOSBoot}
	if mode == metal.UEFI {
		first = metal.PlannedPartition{Name: fmt.Sprintf("esp%d", n), Bytes: 128 * mib, Type: metal.PartitionESP}
		p.plan.Boot.ESPs = append(p.plan.Boot.ESPs, first.Name)
	} else {
		p.plan.Boot.Disks = append(p.plan.Boot.Disks, name)
	}
	all, at := append([]metal.PlannedPartition{first}, parts...), int64(mib)
	for i := range all {
		p.next++
		all[i].Number, all[i].Start = i+1, at
		if all[i].Bytes == 0 {
			all[i].Bytes = diskSize - mib - at
		}
		all[i].UUID = fmt.Sprintf("7f1c5a32-6c1e-4cf2-9d0f-%012d", p.next)
		at += all[i].Bytes
	}
	p.do(metal.StorageAction{Kind: metal.ActionWipe, Name: name}, metal.StorageAction{Kind: metal.ActionPartition, Name: name, Partitions: all})
}

func (p *planner) do(actions ...metal.StorageAction) {
	p.plan.Actions = append(p.plan.Actions, actions...)
}

// root makes / on a device, the ESPs, and ends the plan.
func (p *planner) root(device, fs string) metal.StoragePlan {
	p.do(metal.StorageAction{Kind: metal.ActionFilesystem, Name: device, Devices: []string{device}, UUID: rootUUID, Filesystem: &metal.PlannedFilesystem{Type: fs, Label: "root"}})
	p.mount(device, "/", fs, rootUUID)
	for i, esp := range p.plan.Boot.ESPs {
		id := fmt.Sprintf("ABCD-%04d", i)
		p.do(metal.StorageAction{Kind: metal.ActionFilesystem, Name: esp, Devices: []string{esp}, UUID: id, Filesystem: &metal.PlannedFilesystem{Type: "vfat"}})
		if i == 0 {
			p.mount(esp, "/boot/efi", "vfat", id)
		}
	}
	p.plan.Boot.Root = "UUID=" + rootUUID
	return p.plan
}

func (p *planner) mount(device, path, fs, id string) {
	p.plan.Mounts = append(p.plan.Mounts, metal.PlannedMount{Device: device, Path: path, Type: fs})
	pass := map[string]string{"/": "1"}[path]
	if pass == "" {
		pass = "2"
	}
	options := "defaults"
	if fs == "vfat" {
		options = "umask=0077,nofail" // the other disk of a mirror has to do
	}
	p.plan.FSTab = append(p.plan.FSTab, fmt.Sprintf("UUID=%s %s %s %s 0 %s", id, path, fs, options, pass))
}

func part(name string, bytes int64, kind string) metal.PlannedPartition {
	return metal.PlannedPartition{Name: name, Bytes: bytes, Type: kind}
}

func flat(mode metal.BootMode) layoutCase {
	var p planner
	p.disk(mode, part("root", 2*gib, metal.PartitionLinux), part("swap", 256*mib, metal.PartitionSwap))
	p.do(metal.StorageAction{Kind: metal.ActionSwap, Name: "swap", Devices: []string{"swap"}, UUID: swapUUID})
	p.plan.FSTab = append(p.plan.FSTab, "UUID="+swapUUID+" none swap sw 0 0")
	return layoutCase{plan: p.root("root", "ext4"), says: []string{
		"ROOT-READY root=/dev/vda2:ext4 efi=" + map[metal.BootMode]string{metal.UEFI: "yes", metal.BIOS: "no"}[mode] + " swaps=1", "root=UUID=" + rootUUID,
	}}
}

func lvm(mode metal.BootMode) layoutCase {
	var p planner
	p.disk(mode, part("pv", 0, metal.PartitionLVM))
	p.do(metal.StorageAction{Kind: metal.ActionVolumeGroup, Name: "system", Devices: []string{"pv"}},
		metal.StorageAction{Kind: metal.ActionLogicalVolume, Name: "root", Devices: []string{"system"}, Bytes: 2 * gib},
		metal.StorageAction{Kind: metal.ActionLogicalVolume, Name: "swap", Devices: []string{"system"}, Bytes: 256 * mib},
		metal.StorageAction{Kind: metal.ActionSwap, Name: "swap", Devices: []string{"swap"}, UUID: swapUUID})
	p.plan.FSTab = append(p.plan.FSTab, "/dev/mapper/system-swap none swap sw 0 0")
	c := layoutCase{plan: p.root("root", "xfs"), says: []string{"ROOT-READY root=/dev/mapper/system-root:xfs", "swaps=1", "ROOT-MOUNT /boot/efi /dev/vda1 vfat"}}
	c.plan.Boot.Root = "/dev/mapper/system-root"
	return c
}

func raid1(mode metal.BootMode) layoutCase {
	var p planner
	p.disk(mode, part("member1", 0, metal.PartitionRAID))
	p.disk(mode, part("member2", 0, metal.PartitionRAID))
	p.do(metal.StorageAction{
		Kind: metal.ActionRAID, Name: "root", Devices: []string{"member1", "member2"}, UUID: arrayID,
		RAID: &metal.PlannedRAID{Level: 1, DataOffset: 16 * mib, MemberBytes: 2 * gib},
	})
	p.plan.MDAdm = []string{"ARRAY /dev/md/root metadata=1.2 UUID=" + arrayID}
	return layoutCase{
		plan: p.root("root", "ext4"),
		says: []string{"ROOT-READY root=/dev/md", "ROOT-ARRAY-STATE [UU]"}, degraded: []string{"ROOT-READY root=/dev/md", "_"},
	}
}

func luks(mode metal.BootMode) layoutCase {
	var p planner
	p.disk(mode, part("boot", 256*mib, metal.PartitionLinux), part("sealed", 0, metal.PartitionLUKS))
	p.do(metal.StorageAction{Kind: metal.ActionEncrypt, Name: "secret", Devices: []string{"sealed"}, UUID: luksUUID, Encryption: &metal.PlannedEncryption{Key: "root"}},
		metal.StorageAction{Kind: metal.ActionFilesystem, Name: "boot", Devices: []string{"boot"}, UUID: bootUUID, Filesystem: &metal.PlannedFilesystem{Type: "ext4"}})
	plan := p.root("secret", "btrfs")
	p.plan = plan
	p.mount("boot", "/boot", "ext4", bootUUID)
	p.plan.Crypttab = []string{"secret UUID=" + luksUUID + " none luks,discard"}
	p.plan.Boot.Root = "/dev/mapper/secret"
	return layoutCase{plan: p.plan, keys: map[string]string{"root": "open sesame 42"}, unlock: "open sesame 42", says: []string{"Please unlock disk secret", ":btrfs efi=no", "ROOT-MOUNT /boot /dev/vda2 ext4"}}
}
