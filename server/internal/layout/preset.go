package layout

import (
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Names that layouts give their devices, which declarations may refer to.
const (
	rootName  = "root"
	bootName  = "boot"
	swapName  = "swap"
	groupName = "system"
	pvName    = "pv"
	// layoutKey names the one key of an encrypted layout.
	layoutKey = "layout"
)

// A preset is a ready-made layout written out as elements, on the disks that it took.
type preset struct {
	layout metal.StorageLayout
	spec   metal.StorageSpec
	disks  []metal.Disk // named disk1, disk2 and so on
	raid   int          // level, or -1
	crypt  *metal.StorageEncryption
}

// form is what a layout is made of.
type form struct{ raid, least int }

// forms are the layouts but custom, with the fewest disks of each.
func forms(l metal.StorageLayout) (form, bool) {
	switch l {
	case metal.LayoutFlat, metal.LayoutLVM, metal.LayoutBtrfs:
		return form{-1, 1}, true
	case metal.LayoutRAID0:
		return form{0, members(0)}, true
	case metal.LayoutRAID1:
		return form{1, members(1)}, true
	case metal.LayoutRAID5:
		return form{5, members(5)}, true
	case metal.LayoutRAID6:
		return form{6, members(6)}, true
	case metal.LayoutRAID10:
		return form{10, members(10)}, true
	default:
		return form{}, false
	}
}

// expand writes a layout out. Custom is nothing but its own elements.
func expand(s *metal.StorageSpec, named string, taken *picker) (*preset, error) {
	layout := s.Layout
	if layout == "" {
		layout = metal.LayoutFlat
		if elements(s) > 0 {
			layout = metal.LayoutCustom
		}
	}
	if layout == metal.LayoutCustom {
		return &preset{layout: layout}, ofLayoutOnly(s, named)
	}
	f, ok := forms(layout)
	if !ok {
		return nil, refuse("storage.layout", "there is no layout %q; it is one of flat, lvm, raid0, raid1, raid5, raid6, raid10, btrfs and custom", layout)
	}
	p := &preset{layout: layout, raid: f.raid, crypt: s.Encryption}
	var rule metal.DiskRule
	if s.Disk != nil {
		rule = *s.Disk
	}
	want := 1
	if f.raid >= 0 {
		want = 0
	}
	var err error
	if p.disks, err = taken.pick("storage.disk", rule, named, want); err != nil {
		return nil, err
	}
	if n := len(p.disks); n < f.least {
		return nil, refuse("storage.disk", "layout %s needs %d disks, and %d match: %s", layout, f.least, n, describeDisks(p.disks))
	} else if n > 1 && (layout == metal.LayoutFlat || layout == metal.LayoutBtrfs) {
		return nil, refuse("storage.disk.count", "layout %s takes one disk, not %d; lvm and the RAID layouts take several", layout, n)
	}
	if layout == metal.LayoutBtrfs && s.Filesystem != "" && s.Filesystem != "btrfs" {
		return nil, refuse("storage.filesystem", "layout btrfs cannot have its root on %s", s.Filesystem)
	}
	p.fill(s)
	return p, nil
}

func elements(s *metal.StorageSpec) int {
	return len(s.Disks) + len(s.Partitions) + len(s.RAIDs) + len(s.VolumeGroups) + len(s.LogicalVolumes) +
		len(s.Encrypted) + len(s.Filesystems) + len(s.Swaps)
}

// ofLayoutOnly refuses what steers ready-made layouts only.
func ofLayoutOnly(s *metal.StorageSpec, named string) error {
	for _, set := range []struct {
		name string
		is   bool
	}{
		{"disk", s.Disk != nil || named != ""}, {"filesystem", s.Filesystem != ""}, {"root_size", s.RootSize != ""},
		{"boot_size", s.BootSize != ""}, {"swap", s.Swap != ""}, {"encryption", s.Encryption != nil},
	} {
		if set.is {
			return refuse("storage."+set.name, "this is for ready-made layouts; with layout custom, write it out as elements")
		}
	}
	return nil
}

// fill writes the elements. The order of the partitions on each disk is /boot, swap, root, so that root can grow.
func (p *preset) fill(s *metal.StorageSpec) {
	boot := s.BootSize
	if boot == "" && (p.crypt != nil || p.raid >= 0 && p.raid != 1) {
		boot = "1GiB" // a boot loader reads no LUKS2, and no striped array that has lost a disk
	}
	root := or(s.RootSize, "rest")
	if boot != "" {
		p.volume(bootName, boot, 1, nil)
		p.spec.Filesystems = append(p.spec.Filesystems, metal.StorageFilesystem{Device: bootName, Type: "ext4", Label: bootName, Mount: "/boot"})
	}
	if p.layout == metal.LayoutLVM {
		p.group(root, s.Swap)
	} else {
		if s.Swap != "" {
			p.swap(s.Swap)
		}
		p.volume(rootName, root, p.raid, p.crypt)
	}
	if s.Swap != "" {
		p.spec.Swaps = append(p.spec.Swaps, metal.StorageSwap{Device: swapName})
	}
	fs := metal.StorageFilesystem{Device: rootName, Type: or(s.Filesystem, "ext4"), Label: rootName, Mount: "/"}
	if p.layout == metal.LayoutBtrfs {
		fs.Type, fs.Mount = "btrfs", ""
		fs.Subvolumes = []metal.StorageSubvolume{{Name: "@", Mount: "/"}, {Name: "@home", Mount: "/home"}}
	}
	p.spec.Filesystems = append(p.spec.Filesystems, fs)
}

// swap is encrypted with a key that nobody knows where root is encrypted.
func (p *preset) swap(size string) {
	var crypt *metal.StorageEncryption
	if p.crypt != nil {
		crypt = &metal.StorageEncryption{Random: true}
	}
	p.volume(swapName, size, p.raid, crypt)
}

// group makes the volume group, on one partition of each disk.
func (p *preset) group(root, swap string) {
	var devices []string
	for i := range p.disks {
		name := fmt.Sprintf("%s-%d", pvName, i+1)
		p.partition(i, name, "rest", p.crypt)
		devices = append(devices, name)
	}
	p.spec.VolumeGroups = append(p.spec.VolumeGroups, metal.StorageVolumeGroup{Name: groupName, Devices: devices})
	if swap != "" {
		p.spec.LogicalVolumes = append(p.spec.LogicalVolumes, metal.StorageLogicalVolume{Name: swapName, VolumeGroup: groupName, Size: swap})
	}
	p.spec.LogicalVolumes = append(p.spec.LogicalVolumes, metal.StorageLogicalVolume{Name: rootName, VolumeGroup: groupName, Size: root})
}

// volume makes a device of that name: a partition of the first disk, or an array over all, either encrypted or not.
func (p *preset) volume(name, size string, level int, crypt *metal.StorageEncryption) {
	if p.raid < 0 {
		p.partition(0, name, size, crypt)
		return
	}
	below := name
	if crypt != nil {
		below += "-luks"
		p.encrypted(name, below, crypt)
	}
	array := metal.StorageRAID{Name: below, Level: level}
	for i := range p.disks {
		part := fmt.Sprintf("%s-%d", below, i+1)
		p.partition(i, part, size, nil)
		array.Devices = append(array.Devices, part)
	}
	p.spec.RAIDs = append(p.spec.RAIDs, array)
}

func (p *preset) partition(disk int, name, size string, crypt *metal.StorageEncryption) {
	below := name
	if crypt != nil {
		below += "-luks"
		p.encrypted(name, below, crypt)
	}
	p.spec.Partitions = append(p.spec.Partitions, metal.StoragePartition{Name: below, Disk: diskName(disk), Size: size})
}

func (p *preset) encrypted(name, device string, crypt *metal.StorageEncryption) {
	p.spec.Encrypted = append(p.spec.Encrypted, metal.StorageEncrypted{Name: name, Device: device, StorageEncryption: *crypt})
}

func diskName(i int) string { return fmt.Sprintf("disk%d", i+1) }

func or(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
