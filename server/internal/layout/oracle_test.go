package layout

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// wrong looks for anything in a plan that no plan may have, without a look at how it came about; empty for nothing.
func wrong(p metal.StoragePlan, disks []metal.Disk, bootMode metal.BootMode) string {
	have, free := map[string]int64{}, map[string]bool{}
	made := func(name string, bytes int64) string {
		if _, twice := have[name]; twice {
			return fmt.Sprintf("%s is made twice", name)
		}
		have[name], free[name] = bytes, true
		return ""
	}
	for _, d := range p.Disks {
		i := slices.IndexFunc(disks, func(m metal.Disk) bool { return m.Name == d.Kernel })
		if i < 0 || disks[i].Removable || disks[i].ReadOnly || disks[i].Bytes != d.Bytes {
			return fmt.Sprintf("disk %s is none of the machine's that may be taken", d.Kernel)
		}
		if bad := made(d.Name, d.Bytes); bad != "" {
			return bad
		}
	}
	parts, onDisk, uuids := map[string]metal.PlannedPartition{}, map[string]string{}, map[string]string{}
	formatted, volumes := map[string]string{}, map[string]int64{}
	for _, a := range p.Actions {
		if a.UUID != "" {
			if other := uuids[a.UUID]; other != "" {
				return fmt.Sprintf("%s and %s have the same UUID", other, a.Name)
			}
			uuids[a.UUID] = a.Name
		}
		total, least := int64(0), int64(0)
		used := a.Devices
		if a.RAID != nil {
			used = append(slices.Clone(used), a.RAID.Spares...)
		}
		for _, name := range used {
			bytes, ok := have[name]
			if !ok {
				return fmt.Sprintf("%s of %s is not made before", name, a.Name)
			}
			if a.Kind != metal.ActionLogicalVolume {
				if !free[name] {
					return fmt.Sprintf("%s is used twice, by %s the second time", name, a.Name)
				}
				free[name] = false
			}
			if total += bytes; least == 0 || bytes < least {
				least = bytes
			}
		}
		bad := ""
		switch a.Kind {
		case metal.ActionWipe:
			if _, ok := have[a.Name]; !ok {
				return "wipes a disk that is not the plan's: " + a.Name
			}
		case metal.ActionPartition:
			end := int64(1 << 20)
			free[a.Name] = false
			for i, part := range a.Partitions {
				if part.Start < end || part.Start%(1<<20) != 0 || part.Bytes%(1<<20) != 0 || part.Bytes <= 0 || part.Number != i+1 {
					return fmt.Sprintf("partition %s overlaps or is not aligned: %+v", part.Name, part)
				}
				if end = part.Start + part.Bytes; end > have[a.Name]-1<<20 {
					return fmt.Sprintf("partition %s ends at %d of %d", part.Name, end, have[a.Name])
				}
				if len(part.Name) > 36 || uuids[part.UUID] != "" {
					return fmt.Sprintf("partition %s has a long name or a UUID twice", part.Name)
				}
				uuids[part.UUID] = part.Name
				parts[part.Name], onDisk[part.Name] = part, a.Name
				if bad := made(part.Name, part.Bytes); bad != "" {
					return bad
				}
			}
		case metal.ActionRAID:
			if a.RAID.MemberBytes <= 0 || a.RAID.DataOffset+a.RAID.MemberBytes > least || a.Bytes > a.RAID.MemberBytes*int64(len(a.Devices)) {
				return fmt.Sprintf("array %s is larger than its devices", a.Name)
			}
			bad = made(a.Name, a.Bytes)
		case metal.ActionVolumeGroup:
			if a.Bytes >= total {
				return fmt.Sprintf("volume group %s is larger than its devices", a.Name)
			}
			volumes[a.Name] = a.Bytes
			bad = made(a.Name, a.Bytes)
		case metal.ActionLogicalVolume:
			if volumes[a.Devices[0]] -= a.Bytes; volumes[a.Devices[0]] < 0 || a.Bytes%(4<<20) != 0 || a.Bytes <= 0 {
				return fmt.Sprintf("logical volume %s does not fit", a.Name)
			}
			bad = made(a.Name, a.Bytes)
		case metal.ActionEncrypt:
			if a.Bytes > total || !a.Encryption.Random && (a.Bytes > total-16<<20 || a.Encryption.Key == "") {
				return fmt.Sprintf("encrypted volume %s is larger than its device, or has no key", a.Name)
			}
			bad = made(a.Name, a.Bytes)
		case metal.ActionFilesystem:
			formatted[a.Name] = a.Filesystem.Type
		}
		if bad != "" {
			return bad
		}
	}
	if bad := wrongMounts(p, formatted); bad != "" {
		return bad
	}
	return wrongBoot(p, parts, onDisk, formatted, bootMode)
}

func wrongMounts(p metal.StoragePlan, formatted map[string]string) string {
	if len(p.Mounts) == 0 || p.Mounts[0].Path != "/" {
		return "root is not mounted first"
	}
	for i, m := range p.Mounts {
		if formatted[m.Device] == "" {
			return fmt.Sprintf("%s is mounted from %s, which has no file system", m.Path, m.Device)
		}
		if i > 0 && strings.Compare(p.Mounts[i-1].Path, m.Path) >= 0 {
			return fmt.Sprintf("%s is mounted after %s", m.Path, p.Mounts[i-1].Path)
		}
	}
	for _, line := range slices.Concat(p.FSTab, p.Crypttab, p.MDAdm) {
		if strings.ContainsAny(line, "\n\t\x00") || strings.Contains(line, "  ") {
			return fmt.Sprintf("line %q has an empty field or a control character", line)
		}
	}
	for _, line := range p.FSTab {
		if len(strings.Fields(line)) != 6 {
			return fmt.Sprintf("fstab has %q", line)
		}
	}
	return ""
}

func wrongBoot(p metal.StoragePlan, parts map[string]metal.PlannedPartition, onDisk, formatted map[string]string, bootMode metal.BootMode) string {
	if p.Boot.Mode != bootMode || p.Boot.Root == "" {
		return "the boot loader is not told what it needs"
	}
	switch bootMode {
	case metal.UEFI:
		if len(p.Boot.ESPs) == 0 || len(p.Boot.Disks) > 0 {
			return "UEFI needs an ESP"
		}
		for _, name := range p.Boot.ESPs {
			if parts[name].Type != metal.PartitionESP || formatted[name] != "vfat" {
				return name + " is no ESP"
			}
		}
	default:
		if len(p.Boot.Disks) == 0 || len(p.Boot.ESPs) > 0 {
			return "BIOS needs a disk"
		}
		for _, disk := range p.Boot.Disks {
			ok := false
			for name, part := range parts {
				ok = ok || onDisk[name] == disk && part.Type == metal.PartitionBIOSBoot
			}
			if !ok {
				return disk + " has no bios_boot partition"
			}
		}
	}
	return ""
}
