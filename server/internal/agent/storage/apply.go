// Package storage carries a storage plan out on the machine: it partitions disks, puts arrays, volume groups and
// encrypted volumes together, makes file systems and mounts them. What to do was decided before; this package only
// does it, in order, and says which part of it went wrong.
package storage

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Programs runs a program with a folder as its root, and returns what it printed. The error of one that failed has
// the end of what it said.
type Programs interface {
	Run(ctx context.Context, root string, input []byte, name string, args ...string) (string, error)
}

// Kernel is what is asked of the kernel and of disks without a program.
type Kernel interface {
	// Partition writes the partition table of a disk, and returns when the kernel knows its partitions. Of a table
	// that has partitions to preserve, these have to be on the disk already, where they are said to be.
	Partition(ctx context.Context, device string, parts []metal.PlannedPartition) error
	// Wipe takes every signature off a disk, and discards what it can.
	Wipe(ctx context.Context, d metal.Disk) error
	// Await returns when a device file is there.
	Await(ctx context.Context, device string) error
	Mount(device, dir, kind string, options []string) error
	Unmount(dir string) error
}

// Options are what a plan is carried out with.
type Options struct {
	Plan  metal.StoragePlan
	Disks []metal.Disk // of the machine, as they are now
	// Keys are the passphrases of encrypted volumes, by the names that the plan has for them.
	Keys map[string]string
	// Tools is the root of the programs. It has the machine's /dev, /proc and /sys.
	Tools string
	// Target is where the plan's root file system is mounted.
	Target   string
	Sys      string // where sysfs is
	Programs Programs
	Kernel   Kernel
	Log      *slog.Logger
	// Progress is told the fraction that is done.
	Progress func(float64)
}

// Volumes is a plan on its way through a machine.
type Volumes struct {
	Options
	disks   map[string]metal.Disk // by the plan's names
	devices map[string]string     // paths, by the plan's names
}

// New finds the plan's disks among the machine's, and names its devices. It changes nothing. A disk that is not
// there, a passphrase that did not come along and a plan without a root file system are refused with code Invalid.
func New(o Options) (*Volumes, error) {
	v := &Volumes{Options: o, disks: map[string]metal.Disk{}}
	for _, want := range o.Plan.Disks {
		d, err := find(want, o.Disks)
		if err != nil {
			return nil, err
		}
		v.disks[want.Name] = d
	}
	for _, a := range o.Plan.Actions {
		if c := a.Encryption; c != nil && !c.Random && o.Keys[c.Key] == "" {
			return nil, metal.Errorf(metal.Invalid, "encrypt %s: its key %q did not come with the plan", a.Name, c.Key)
		}
	}
	if len(o.Plan.Mounts) == 0 || path.Clean(o.Plan.Mounts[0].Path) != "/" {
		return nil, metal.Errorf(metal.Invalid, "carry the storage plan out: its first mount is not /")
	}
	v.devices = devices(o.Plan, v.disks)
	return v, nil
}

// Device returns the path of a device of the plan, and "" when it has none of that name.
func (v *Volumes) Device(name string) string { return v.devices[name] }

// Apply makes what the plan says, and mounts it below the target. What runs on the plan's disks is stopped first, so
// that it may be repeated; other disks are not touched. An error names the action and the device. When ctx ends, it
// stops with the action it is at.
func (v *Volumes) Apply(ctx context.Context) error {
	if err := v.takeDownAll(ctx); err != nil {
		return err
	}
	for i, a := range v.Plan.Actions {
		if err := ctx.Err(); err != nil {
			return metal.Errorf(metal.Conflict, "%s %s: called off: %w", a.Kind, a.Name, err)
		}
		began := time.Now()
		if err := v.do(ctx, a); err != nil {
			return fmt.Errorf("storage: %s %s: %w", a.Kind, a.Name, err)
		}
		v.Log.Info("storage", "action", a.Kind, "name", a.Name, "preserve", a.Preserve, "took", time.Since(began).Round(time.Millisecond))
		v.Progress(float64(i+1) / float64(len(v.Plan.Actions)))
	}
	return v.mount(ctx)
}

func (v *Volumes) do(ctx context.Context, a metal.StorageAction) error {
	switch a.Kind {
	case metal.ActionWipe:
		return v.Kernel.Wipe(ctx, v.disks[a.Name])
	case metal.ActionPartition:
		return v.partition(ctx, a)
	case metal.ActionRAID:
		return v.array(ctx, a)
	case metal.ActionVolumeGroup:
		return v.group(ctx, a)
	case metal.ActionLogicalVolume:
		return v.volume(ctx, a)
	case metal.ActionEncrypt:
		return v.encrypt(ctx, a)
	case metal.ActionFilesystem:
		return v.filesystem(ctx, a)
	case metal.ActionSwap:
		return v.swap(ctx, a)
	}
	return metal.Errorf(metal.Invalid, "this agent does not know how: boot the machine with the server's own RAM environment")
}

// mount mounts the plan's file systems in their places below the target.
func (v *Volumes) mount(ctx context.Context) error {
	for _, m := range v.Plan.Mounts {
		device := v.devices[m.Device]
		if err := v.Kernel.Await(ctx, device); err != nil {
			return fmt.Errorf("mount %s: %w", m.Path, err)
		}
		dir := v.place(m)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("make the folder for %s: %w", m.Path, err)
		}
		if err := v.Kernel.Mount(device, dir, m.Type, m.Options); err != nil {
			return fmt.Errorf("mount %s on %s: %w", device, m.Path, err)
		}
	}
	return nil
}

func (v *Volumes) place(m metal.PlannedMount) string {
	return filepath.Join(v.Target, path.Clean("/"+m.Path))
}

// Close unmounts everything that Apply mounted, and stops arrays and mappings, so that nothing of them is in memory
// alone. It goes on after an error, and returns the first.
func (v *Volumes) Close(ctx context.Context) error {
	var first error
	for _, m := range slices.Backward(v.Plan.Mounts) {
		if err := v.Kernel.Unmount(v.place(m)); err != nil && first == nil {
			first = fmt.Errorf("unmount %s: %w", m.Path, err)
		}
	}
	if err := v.takeDownAll(ctx); err != nil && first == nil {
		first = err
	}
	return first
}

// find returns the machine's disk that fits all names which a planned one has. Its kernel name may have changed where
// it has another.
func find(want metal.PlannedDisk, disks []metal.Disk) (metal.Disk, error) {
	var fit []metal.Disk
	for _, d := range disks {
		known := want.Serial != "" || want.WWN != ""
		if (want.Serial == "" || want.Serial == d.Serial) && (want.WWN == "" || want.WWN == d.WWN) && (known || want.Kernel == d.Name) && want.Bytes == d.Bytes {
			fit = append(fit, d)
		}
	}
	if len(fit) > 1 { // two paths to one disk, or a maker who numbers all alike
		fit = slices.DeleteFunc(fit, func(d metal.Disk) bool { return d.Name != want.Kernel })
	}
	if len(fit) != 1 {
		return metal.Disk{}, metal.Errorf(metal.Invalid, "find disk %s (%s, serial %q, %d bytes) of the storage plan: %d of the machine's disks are that one; inspect the machine again and plan anew",
			want.Name, want.Kernel, want.Serial, want.Bytes, len(fit))
	}
	if d := fit[0]; d.ReadOnly || d.Removable {
		return metal.Disk{}, metal.Errorf(metal.Invalid, "disk %s of the storage plan is removable or read-only", d.Name)
	}
	return fit[0], nil
}

// devices returns the paths of everything that a plan names.
func devices(p metal.StoragePlan, disks map[string]metal.Disk) map[string]string {
	paths := map[string]string{}
	for name, d := range disks {
		paths[name] = "/dev/" + d.Name
	}
	for _, a := range p.Actions {
		switch a.Kind {
		case metal.ActionPartition:
			for _, part := range a.Partitions {
				paths[part.Name] = partition("/dev/"+disks[a.Name].Name, part.Number)
			}
		case metal.ActionRAID:
			paths[a.Name] = "/dev/md/" + a.Name
		case metal.ActionLogicalVolume:
			if len(a.Devices) > 0 {
				paths[a.Name] = filepath.Join("/dev", a.Devices[0], a.Name)
			}
		case metal.ActionEncrypt:
			paths[a.Name] = "/dev/mapper/" + a.Name
		}
	}
	return paths
}

// partition names a partition as the kernel does: with a p behind a disk whose name ends in a digit.
func partition(disk string, number int) string {
	if last := disk[len(disk)-1]; last >= '0' && last <= '9' {
		disk += "p"
	}
	return fmt.Sprintf("%s%d", disk, number)
}

// Modules names the kernel modules that a plan needs, each once. The kernel asks for some of them by itself, but
// only where its own module tree is.
func Modules(p metal.StoragePlan) []string {
	var names []string
	add := func(more ...string) {
		for _, n := range more {
			if n != "" && !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
	}
	for _, a := range p.Actions {
		switch {
		case a.RAID != nil:
			add("md_mod", map[int]string{0: "raid0", 1: "raid1", 5: "raid456", 6: "raid456", 10: "raid10"}[a.RAID.Level])
		case a.Kind == metal.ActionVolumeGroup:
			add("dm_mod")
		case a.Encryption != nil && !a.Encryption.Random:
			add(strings.Fields("dm_mod dm_crypt aes_generic xts ecb cbc sha256_generic sha512_generic hmac af_alg algif_skcipher algif_hash")...)
			if a.Encryption.TPM2 {
				add("tpm_tis", "tpm_crb")
			}
		case a.Filesystem != nil && a.Filesystem.Type == "vfat":
			add("vfat", "nls_cp437", "nls_ascii", "nls_iso8859_1", "nls_utf8")
		case a.Filesystem != nil && a.Filesystem.Type == "btrfs":
			add("xxhash_generic", "blake2b_generic", "btrfs")
		case a.Filesystem != nil:
			add(a.Filesystem.Type)
		}
	}
	return names
}
