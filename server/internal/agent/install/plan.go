package install

import (
	"fmt"
	"path"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/bootloader"
)

// bootPlace says where GRUB finds /boot: in a file system of its own, or in a folder of that of /, which may be in a
// subvolume.
func bootPlace(p metal.StoragePlan) (bootloader.Place, error) {
	var of metal.PlannedMount
	for _, m := range p.Mounts {
		if at := path.Clean(m.Path); at == "/" && of.Path == "" || at == "/boot" {
			of = m
		}
	}
	for _, a := range p.Actions {
		if a.Kind != metal.ActionFilesystem || a.Name != of.Device || of.Device == "" {
			continue
		}
		place := bootloader.Place{UUID: a.UUID}
		for _, option := range of.Options {
			if sub, ok := strings.CutPrefix(option, "subvol="); ok {
				place.Dir = path.Join("/", sub)
			}
		}
		if path.Clean(of.Path) == "/" {
			place.Dir = path.Join("/", place.Dir, "boot")
		}
		return place, nil
	}
	return bootloader.Place{}, metal.Errorf(metal.Invalid, "make the system bootable: the storage plan has no file system for /boot")
}

// biosDisks returns the disks that a BIOS may start, with their BIOS boot partitions.
func biosDisks(p metal.StoragePlan, device func(string) string) ([]bootloader.Disk, error) {
	var disks []bootloader.Disk
	for _, name := range p.Boot.Disks {
		d := bootloader.Disk{Device: device(name)}
		for _, a := range p.Actions {
			if a.Kind != metal.ActionPartition || a.Name != name {
				continue
			}
			for _, part := range a.Partitions {
				if strings.EqualFold(part.Type, metal.PartitionBIOSBoot) {
					d.Offset, d.Bytes = part.Start, part.Bytes
				}
			}
		}
		if d.Bytes == 0 {
			return nil, metal.Errorf(metal.Invalid, "make disk %s bootable: the storage plan has no BIOS boot partition on it", name)
		}
		disks = append(disks, d)
	}
	return disks, nil
}

// links returns what udev would have made below /dev/disk, link to target, so that programs of the system find its
// devices: no udev runs here.
func links(p metal.StoragePlan, device func(string) string) map[string]string {
	all := map[string]string{}
	for _, a := range p.Actions {
		for _, part := range a.Partitions {
			all["/dev/disk/by-partuuid/"+part.UUID] = device(part.Name)
		}
		switch a.Kind {
		case metal.ActionFilesystem, metal.ActionSwap:
			all["/dev/disk/by-uuid/"+a.UUID] = device(a.Name)
		case metal.ActionEncrypt:
			if len(a.Devices) == 1 && a.UUID != "" {
				all["/dev/disk/by-uuid/"+a.UUID] = device(a.Devices[0])
			}
		case metal.ActionRAID:
			all["/dev/disk/by-id/md-uuid-"+a.UUID] = device(a.Name)
		}
	}
	return all
}

// lines is a file of lines.
func lines(what string, all []string) string {
	return fmt.Sprintf("# %s, written when the system was installed.\n%s\n", what, strings.Join(all, "\n"))
}
