package storage

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (v *Volumes) filesystem(ctx context.Context, a metal.StorageAction) error {
	device := v.devices[a.Name]
	if a.Preserve {
		return v.same(ctx, device, a.Filesystem.Type, a.UUID)
	}
	if err := v.bare(ctx, device); err != nil {
		return err
	}
	name, args, err := mkfs(device, a)
	if err != nil {
		return err
	}
	if _, err := v.tool(ctx, nil, name, args...); err != nil {
		return fmt.Errorf("make %s on %s: %w", a.Filesystem.Type, device, err)
	}
	return v.subvolumes(ctx, device, *a.Filesystem)
}

func (v *Volumes) swap(ctx context.Context, a metal.StorageAction) error {
	device := v.devices[a.Name]
	if a.Preserve {
		return v.same(ctx, device, "swap", a.UUID)
	}
	if err := v.bare(ctx, device); err != nil {
		return err
	}
	if _, err := v.tool(ctx, nil, "mkswap", "--uuid", a.UUID, device); err != nil {
		return fmt.Errorf("make swap on %s: %w", device, err)
	}
	return nil
}

// mkfs returns the program and its arguments. The features that are left out of ext4 are newer than the boot loaders
// that have to read it.
func mkfs(device string, a metal.StorageAction) (name string, args []string, err error) {
	labelled := func(flag string) []string {
		if a.Filesystem.Label == "" {
			return nil
		}
		return []string{flag, a.Filesystem.Label}
	}
	switch a.Filesystem.Type {
	case "ext4":
		name, args = "mkfs.ext4", append([]string{"-q", "-F", "-U", a.UUID, "-O", "^metadata_csum_seed,^orphan_file"}, labelled("-L")...)
	case "xfs":
		name, args = "mkfs.xfs", append([]string{"-q", "-f", "-m", "uuid=" + a.UUID}, labelled("-L")...)
	case "btrfs":
		name, args = "mkfs.btrfs", append([]string{"-q", "-f", "-U", a.UUID}, labelled("-L")...)
	case "vfat":
		name, args = "mkfs.fat", append([]string{"-F", "32", "-i", strings.ReplaceAll(a.UUID, "-", "")}, labelled("-n")...)
	default:
		return "", nil, metal.Errorf(metal.Invalid, "%s is to have the file system %q, which this agent cannot make", device, a.Filesystem.Type)
	}
	return name, append(append(args, a.Filesystem.Options...), device), nil
}

// same makes sure that what is kept is what the plan takes it for.
func (v *Volumes) same(ctx context.Context, device, kind, uuid string) error {
	if err := v.Kernel.Await(ctx, device); err != nil {
		return err
	}
	said, err := v.tool(ctx, nil, "blkid", "--probe", "--output", "export", device)
	if err != nil {
		return fmt.Errorf("look for the %s to keep on %s: %w", kind, device, err)
	}
	found := map[string]string{}
	for line := range strings.Lines(said) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		found[key] = value
	}
	if found["TYPE"] != kind || !strings.EqualFold(found["UUID"], uuid) {
		return metal.Errorf(metal.Conflict, "%s is to be kept as %s with UUID %s, but it holds %q with UUID %q: nothing was changed there", device, kind, uuid, found["TYPE"], found["UUID"])
	}
	return nil
}

// subvolumes makes those of a btrfs, whose own root is mounted for that.
func (v *Volumes) subvolumes(ctx context.Context, device string, f metal.PlannedFilesystem) (err error) {
	if len(f.Subvolumes) == 0 {
		return nil
	}
	const inTools = "/tmp"
	dir := filepath.Join(v.Tools, inTools)
	if err := v.Kernel.Mount(device, dir, f.Type, nil); err != nil {
		return fmt.Errorf("mount %s to make its subvolumes: %w", device, err)
	}
	defer func() {
		if again := v.Kernel.Unmount(dir); err == nil && again != nil {
			err = fmt.Errorf("unmount %s: %w", device, again)
		}
	}()
	for _, s := range f.Subvolumes {
		if _, err := v.tool(ctx, nil, "btrfs", "subvolume", "create", filepath.Join(inTools, s)); err != nil {
			return fmt.Errorf("make subvolume %s on %s: %w", s, device, err)
		}
	}
	return nil
}
