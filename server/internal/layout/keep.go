package layout

import (
	"reflect"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// systemPaths are unpacked anew by every deployment, so that nothing on them could be kept.
func systemPath(p string) bool {
	return slices.Contains([]string{"/", "/boot", efiPath, "/usr"}, p)
}

// keep concludes from what is to be preserved what has to be left alone below it. What did not run before is made
// anew, as at a first deployment.
func (g *graph) keep() error {
	for _, f := range g.fs {
		if f.Preserve {
			g.byName[f.Device].wanted = true
		}
	}
	for _, d := range g.devices {
		if !d.wanted {
			continue
		}
		if d.fs == nil && d.user != "" {
			return refuse(d.at+".preserve", "what %s makes of it is not kept; say preserve on the file system or logical volume above it", d.user)
		}
		if d.fs != nil {
			for _, m := range g.mounts() {
				if m.fs == d.fs && systemPath(m.path) {
					return refuse(d.at+".preserve", "%s is part of the system, which every deployment unpacks anew; keep data on a file system of its own", m.path)
				}
			}
		}
		if !g.ran(d) {
			continue
		}
		if d.fs != nil {
			d.fs.Preserve = true
		}
		for _, b := range g.ground(d) {
			b.preserve = true
		}
	}
	return nil
}

// ran says whether what runs has a device of this kind and name.
func (g *graph) ran(d *device) bool {
	if g.request.Previous == nil {
		return false
	}
	if d.kind == aDisk {
		return slices.ContainsFunc(g.request.Previous.Disks, func(p metal.PlannedDisk) bool { return p.Name == d.name })
	}
	if d.kind == aPartition {
		_, _, ok := findPartition(g.request.Previous, d.name)
		return ok
	}
	return slices.ContainsFunc(g.request.Previous.Actions, func(a metal.StorageAction) bool {
		return a.Kind == actionOf(d.kind) && a.Name == d.name
	})
}

func findPartition(p *metal.StoragePlan, name string) (disk string, part metal.PlannedPartition, ok bool) {
	for _, a := range p.Actions {
		for _, part := range a.Partitions {
			if part.Name == name {
				return a.Name, part, true
			}
		}
	}
	return "", metal.PlannedPartition{}, false
}

// sameAsBefore refuses a plan that would look for preserved data where it is not.
func (g *graph) sameAsBefore(plan metal.StoragePlan) error {
	moved := func(name, format string, args ...any) error {
		return refuse(g.byName[name].at, "its data cannot be kept: "+format+"; put this back as it was, or take preserve away and lose the data", args...)
	}
	for _, a := range plan.Actions {
		for _, p := range a.Partitions {
			if !p.Preserve {
				continue
			}
			disk, was, _ := findPartition(g.request.Previous, p.Name)
			if err := g.sameDisk(plan, a.Name); err != nil {
				return err
			}
			if disk != a.Name || was.Start != p.Start || was.Bytes != p.Bytes || was.UUID != p.UUID {
				return moved(p.Name, "partition %s is %s at %s on %s, and would be %s at %s on %s",
					p.Name, size(was.Bytes), size(was.Start), or(disk, "no disk"), size(p.Bytes), size(p.Start), a.Name)
			}
		}
		if !a.Preserve {
			continue
		}
		i := slices.IndexFunc(g.request.Previous.Actions, func(b metal.StorageAction) bool { return b.Kind == a.Kind && b.Name == a.Name })
		if i < 0 {
			return moved(a.Name, "there is no %s %s on the machine", words(a.Kind), a.Name)
		}
		if !same(g.request.Previous.Actions[i], a) {
			return moved(a.Name, "the %s %s differs from the one on the machine (size, key, what it is made of, or how)", words(a.Kind), a.Name)
		}
		for _, name := range a.Devices {
			if d := g.byName[name]; d.kind == aDisk {
				if err := g.sameDisk(plan, name); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sameDisk sees that a name still means the disk that it meant.
func (g *graph) sameDisk(plan metal.StoragePlan, name string) error {
	find := func(list []metal.PlannedDisk) metal.PlannedDisk {
		if i := slices.IndexFunc(list, func(d metal.PlannedDisk) bool { return d.Name == name }); i >= 0 {
			return list[i]
		}
		return metal.PlannedDisk{}
	}
	was, is := find(g.request.Previous.Disks), find(plan.Disks)
	if was.Serial == is.Serial && was.WWN == is.WWN && was.Bytes == is.Bytes && (was.Serial != "" || was.WWN != "" || was.Kernel == is.Kernel) {
		return nil
	}
	return refuse(g.byName[name].at, "data on %s is to be kept, and that was disk %s (serial %q, %s) and would be %s (serial %q, %s); make its rule mean the same disk",
		name, or(was.Kernel, "of no deployment"), was.Serial, size(was.Bytes), is.Kernel, is.Serial, size(is.Bytes))
}

// same compares what makes a thing what it is. How a file system was made does not matter once it is there.
func same(was, is metal.StorageAction) bool {
	if was.UUID != is.UUID || was.Bytes != is.Bytes || !slices.Equal(was.Devices, is.Devices) {
		return false
	}
	if !reflect.DeepEqual(was.RAID, is.RAID) {
		return false
	}
	if is.Encryption != nil && (was.Encryption == nil || was.Encryption.KeyID != is.Encryption.KeyID) {
		return false
	}
	if is.Filesystem != nil {
		return was.Filesystem != nil && was.Filesystem.Type == is.Filesystem.Type
	}
	return true
}

func words(k metal.StorageActionKind) string {
	switch k {
	case metal.ActionRAID:
		return "array"
	case metal.ActionVolumeGroup:
		return "volume group"
	case metal.ActionLogicalVolume:
		return "logical volume"
	case metal.ActionEncrypt:
		return "encrypted volume"
	default:
		return "file system on"
	}
}

func actionOf(k kind) metal.StorageActionKind {
	switch k {
	case anArray:
		return metal.ActionRAID
	case aGroup:
		return metal.ActionVolumeGroup
	case aVolume:
		return metal.ActionLogicalVolume
	default:
		return metal.ActionEncrypt
	}
}
