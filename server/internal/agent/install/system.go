package install

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/storage"
)

// configure writes what follows from the plan, and the step's own files over it.
func configure(o Options, dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open the system: %w", err)
	}
	defer root.Close()
	plan := o.Install.Plan
	files := map[string]string{"etc/fstab": lines("Mounts", plan.FSTab)}
	if len(plan.Crypttab) > 0 {
		files["etc/crypttab"] = lines("Encrypted volumes", plan.Crypttab)
	}
	if len(plan.MDAdm) > 0 {
		name := "etc/mdadm.conf"
		if info, err := root.Stat("etc/mdadm"); err == nil && info.IsDir() { // Debian's place
			name = "etc/mdadm/mdadm.conf"
		}
		files[name] = lines("Arrays", append([]string{"HOMEHOST <system>", "MAILADDR root"}, plan.MDAdm...))
	}
	maps.Copy(files, o.Install.Files)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		mode := os.FileMode(0o644)
		if path.Base(name) == "user-data" || path.Base(name) == "network-config" {
			mode = 0o600 // may hold secrets
		}
		if err := put(root, name, files[name], mode); err != nil {
			return fmt.Errorf("write %s of the system: %w", name, err)
		}
	}
	return openSealed(root, plan)
}

// put replaces a file: what the archive has there may be a link, which is not followed.
func put(root *os.Root, name, content string, mode os.FileMode) error {
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return root.WriteFile(name, []byte(content), mode)
}

// linkDevices makes the links of udev's.
func linkDevices(p metal.StoragePlan, v *storage.Volumes) error {
	all := links(p, v.Device)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("make a folder for links to devices: %w", err)
		}
		if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("replace a link to a device: %w", err)
		}
		if err := os.Symlink(all[name], name); err != nil {
			return fmt.Errorf("link a device: %w", err)
		}
	}
	return nil
}

// remakeInitramfs has the system make its initramfs again where what is in it changed: arrays and encrypted volumes
// are found by their config in there.
func remakeInitramfs(ctx context.Context, o Options, root string) error {
	if len(o.Install.Plan.Crypttab) == 0 && len(o.Install.Plan.MDAdm) == 0 {
		return nil
	}
	for _, way := range [][]string{
		{"usr/sbin/update-initramfs", "-u", "-k", "all"},
		{"usr/bin/dracut", "--regenerate-all", "--force"},
	} {
		if _, err := os.Lstat(filepath.Join(root, way[0])); err != nil {
			continue
		}
		o.Log.Info("making the system's initramfs", "with", path.Base(way[0]))
		if _, err := o.Programs.Run(ctx, root, nil, path.Base(way[0]), way[1:]...); err != nil {
			return fmt.Errorf("have the system make its initramfs: %w", err)
		}
		return nil
	}
	return metal.Errorf(metal.Invalid, "the root archive has neither update-initramfs nor dracut, which arrays and encrypted volumes need: put one of them into it")
}
