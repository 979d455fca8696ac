// Package layout decides what is made of a machine's disks: a declaration, the disks and the firmware in, every
// partition and device in bytes out. It does no I/O, and the same question has the same answer for ever: UUIDs
// come from the deployment's identity and the names.
package layout

import (
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Request is everything that a plan depends on.
type Request struct {
	// Deployment is the identity that all UUIDs are made of.
	Deployment string
	// Spec is nil for a deployment that says nothing of storage.
	Spec *metal.StorageSpec
	// Disk is the deployment's own choice, by name, serial number or WWN; empty for none.
	Disk     string
	Disks    []metal.Disk
	BootMode metal.BootMode
	// TPM is the version of the machine's TPM, as in 2.0; empty for none.
	TPM   string
	Image Image
	// Previous is the plan of what runs, when there is a deployment whose data could be kept; nil otherwise.
	Previous *metal.StoragePlan
}

// Image is what of an image matters to disks.
type Image struct {
	// Root says that it is an archive of a root file system, to be unpacked; otherwise it is a whole disk.
	Root bool
	// Bytes is what it takes on the disk.
	Bytes int64
}

// Plan resolves a declaration for one machine. Every refusal is metal.Invalid and names the element and what to do.
func Plan(r Request) (metal.StoragePlan, error) {
	if r.Spec != nil && r.Spec.Disk != nil && r.Disk != "" {
		return metal.StoragePlan{}, refuse("storage.disk", "disk is set as well (%q); say it in one place", r.Disk)
	}
	if !r.Image.Root {
		return planImage(r)
	}
	if r.BootMode != metal.UEFI && r.BootMode != metal.BIOS {
		return metal.StoragePlan{}, metal.Errorf(metal.Invalid, "storage: it is not known whether the machine boots by BIOS or UEFI; commission it first")
	}
	spec := r.Spec
	if spec == nil {
		spec = &metal.StorageSpec{}
		if r.Disk == "" {
			spec.Disk = &metal.DiskRule{Pick: "smallest", MinSize: fmt.Sprintf("%dKiB", r.Image.Bytes>>10)}
		}
	}
	taken := &picker{free: usable(r.Disks)}
	preset, err := expand(spec, r.Disk, taken)
	if err != nil {
		return metal.StoragePlan{}, err
	}
	g := &graph{byName: map[string]*device{}, request: r}
	for _, part := range []source{{preset.spec, "storage.layout " + string(preset.layout) + ": "}, {*spec, "storage."}} {
		if err := g.add(part, preset.disks, taken); err != nil {
			return metal.StoragePlan{}, err
		}
	}
	return g.plan()
}

// plan resolves the graph once all that was declared is in it.
func (g *graph) plan() (metal.StoragePlan, error) {
	for _, step := range []func() error{g.connect, g.sort, g.checkMounts, g.firmware, g.size, g.keep} {
		if err := step(); err != nil {
			return metal.StoragePlan{}, err
		}
	}
	plan := g.write()
	return plan, g.sameAsBefore(plan)
}

// planImage is for whole disks: their layout is in the image, and only the disk can be chosen.
func planImage(r Request) (metal.StoragePlan, error) {
	rule := metal.DiskRule{Pick: "smallest", MinSize: fmt.Sprintf("%dKiB", r.Image.Bytes>>10)}
	if s := r.Spec; s != nil {
		if name := beyondDisk(s); name != "" {
			return metal.StoragePlan{}, refuse("storage."+name, "the image is of a whole disk, which brings its own layout; this needs an image of kind root")
		}
		if s.Disk != nil {
			rule = *s.Disk
		}
	}
	taken := &picker{free: usable(r.Disks)}
	chosen, err := taken.pick("storage.disk", rule, r.Disk, 1)
	if err != nil {
		return metal.StoragePlan{}, err
	}
	if len(chosen) != 1 {
		return metal.StoragePlan{}, refuse("storage.disk.count", "an image of a whole disk goes to one disk, not %d", len(chosen))
	}
	if chosen[0].Bytes < r.Image.Bytes {
		return metal.StoragePlan{}, refuse("storage.disk", "disk %s has %s, the image needs %s; choose a larger disk", chosen[0].Name, size(chosen[0].Bytes), size(r.Image.Bytes))
	}
	return metal.StoragePlan{Disks: []metal.PlannedDisk{planned("disk1", chosen[0])}, Image: &metal.PlannedImage{Disk: "disk1"}}, nil
}

// beyondDisk names the first thing of a declaration that is not the choice of a disk; empty for none.
func beyondDisk(s *metal.StorageSpec) string {
	for _, set := range []struct {
		name string
		is   bool
	}{
		{"layout", s.Layout != ""}, {"filesystem", s.Filesystem != ""}, {"root_size", s.RootSize != ""},
		{"boot_size", s.BootSize != ""}, {"swap", s.Swap != ""}, {"encryption", s.Encryption != nil},
		{"disks", len(s.Disks) > 0}, {"partitions", len(s.Partitions) > 0}, {"raids", len(s.RAIDs) > 0},
		{"volume_groups", len(s.VolumeGroups) > 0}, {"logical_volumes", len(s.LogicalVolumes) > 0},
		{"encrypted", len(s.Encrypted) > 0}, {"filesystems", len(s.Filesystems) > 0}, {"swaps", len(s.Swaps) > 0},
	} {
		if set.is {
			return set.name
		}
	}
	return ""
}

// refuse is a refusal that names the element.
func refuse(at, format string, args ...any) error {
	return metal.Errorf(metal.Invalid, "%s: "+format, append([]any{at}, args...)...)
}

func planned(name string, d metal.Disk) metal.PlannedDisk {
	return metal.PlannedDisk{
		Name: name, Kernel: d.Name, Serial: d.Serial, WWN: d.WWN, Path: d.Path, Model: d.Model, Bytes: d.Bytes, BlockSize: d.BlockSize,
	}
}
