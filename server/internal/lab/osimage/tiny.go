package osimage

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/u-root/u-root/pkg/cpio"
)

// tinyFS holds the scripts of the tiny system, by their path in it; initramfs is its initramfs's init.
//
//go:embed tiny
var tinyFS embed.FS

// tinyPackages are dropbear and what it is linked with.
func tinyPackages() []string {
	return []string{"dropbear-bin", "libtomcrypt1", "libtommath1", "libcrypt1", "zlib1g", "libc6", "libgmp10"}
}

// tinyModules are for the installed system: network cards, and what the seed volume's FAT needs. vfat asks for the
// code page 437 and the character set ascii, the kernel's defaults.
func tinyModules() []string {
	return []string{"virtio_net", "vfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859-1"}
}

// diskModules are for the initramfs, which finds the root; NVMe and ext4 are built into the kernel.
func diskModules() []string { return []string{"virtio_pci", "virtio_blk", "virtio_scsi", "sd_mod"} }

// tinyInputs are the scripts, for the cache key.
func tinyInputs() ([]string, error) {
	inputs := append(tinyModules(), diskModules()...)
	err := fs.WalkDir(tinyFS, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := tinyFS.ReadFile(path)
		inputs = append(inputs, path, string(content))
		return err
	})
	return inputs, err
}

// tinyTree makes the tiny system's root below dir.
func tinyTree(ctx context.Context, o Options, dir string) error {
	packages, t := dir+".packages", targetOf(o.Arch)
	kernel, err := t.unpackKernel(ctx, o.CacheDir, packages)
	if err != nil {
		return err
	}
	if err := t.unpack(ctx, o.CacheDir, packages, append([]string{"busybox-static"}, tinyPackages()...)...); err != nil {
		return err
	}
	for _, d := range []string{"bin", "sbin", "usr/bin", "usr/sbin", "etc/dropbear", "proc", "sys", "dev", "run", "tmp", "root", "home/debian/.ssh", "boot", "var/log", "mnt"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	busybox := filepath.Join(packages, "bin/busybox")
	for _, f := range [][2]string{
		{busybox, "bin/busybox"},
		{filepath.Join(packages, "usr/sbin/dropbear"), "usr/sbin/dropbear"},
		{filepath.Join(packages, "usr/bin/dropbearkey"), "usr/bin/dropbearkey"},
		{filepath.Join(packages, "boot/vmlinuz-"+kernel), "boot/vmlinuz-" + kernel},
	} {
		if err := copyFile(f[0], filepath.Join(dir, f[1]), 0o755); err != nil {
			return err
		}
	}
	return errors.Join(
		applets(ctx, t, dir, busybox),
		libraries(t, packages, dir),
		scripts(dir, o.version()),
		moduleFiles(ctx, packages, kernel, filepath.Join(dir, "lib/modules"), tinyModules()),
		initramfs(ctx, packages, kernel, filepath.Join(dir, "boot/initrd.img-"+kernel)),
	)
}

// applets links every command of busybox. The host's own is asked where the other cannot be run: it is of the same
// Debian.
func applets(ctx context.Context, t target, dir, busybox string) error {
	if t.foreign() {
		busybox = "busybox"
	}
	list, err := output(ctx, "", busybox, "--list")
	if err != nil {
		return err
	}
	for _, name := range append(strings.Fields(list), "../sbin/init") {
		if name == "busybox" {
			continue
		}
		if err := os.Symlink("/bin/busybox", filepath.Join(dir, "bin", name)); err != nil {
			return err
		}
	}
	return nil
}

// libraries copies the shared libraries that dropbear needs, and the loader.
func libraries(t target, packages, dir string) error {
	place := "lib/" + t.triplet
	for _, l := range []string{"libc.so.6", "libtomcrypt.so.1", "libtommath.so.1", "libz.so.1", "libcrypt.so.1", "libgmp.so.10"} {
		found, err := filepath.Glob(filepath.Join(packages, "*", place, l))
		more, err2 := filepath.Glob(filepath.Join(packages, place, l))
		if found = append(found, more...); err != nil || err2 != nil || len(found) == 0 {
			return fmt.Errorf("find library %s for dropbear: no package has it", l)
		}
		if err := os.MkdirAll(filepath.Join(dir, place), 0o755); err != nil {
			return err
		}
		if err := copyFile(found[0], filepath.Join(dir, place, l), 0o755); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(t.linker)), 0o755); err != nil {
		return err
	}
	return copyFile(filepath.Join(packages, place, filepath.Base(t.linker)), filepath.Join(dir, t.linker), 0o755)
}

// scripts lays out the embedded files.
func scripts(dir, version string) error {
	root, err := fs.Sub(tinyFS, "tiny/tree")
	if err != nil {
		return err
	}
	err = fs.WalkDir(root, ".", func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := fs.ReadFile(root, path)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(dir, path), string(content), 0o755)
	})
	if err != nil {
		return err
	}
	about := fmt.Sprintf("ID=tiny\nNAME=\"Metal lab tiny\"\nPRETTY_NAME=\"Metal lab tiny %s\"\nVERSION=%q\n", version, version)
	return writeFile(filepath.Join(dir, "etc/os-release"), about, 0o644)
}

// moduleFiles copies kernel modules into one directory, with a list of the order to load them in.
func moduleFiles(ctx context.Context, packages, kernel, dir string, names []string) error {
	files, err := modules(ctx, packages, kernel, names...)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var order strings.Builder
	for _, f := range files {
		if err := copyFile(f, filepath.Join(dir, filepath.Base(f)), 0o644); err != nil {
			return err
		}
		fmt.Fprintln(&order, filepath.Base(f))
	}
	return writeFile(filepath.Join(dir, "order"), order.String(), 0o644)
}

// initramfs writes the first file system: busybox, the disk drivers, and an init that finds the root. It is not
// compressed, as unpacking takes longer than reading on an emulated machine.
func initramfs(ctx context.Context, packages, kernel, out string) error {
	dir := out + ".d"
	if err := moduleFiles(ctx, packages, kernel, dir, diskModules()); err != nil {
		return err
	}
	records := []cpio.Record{cpio.CharDev("dev/console", 0o600, 5, 1)}
	for _, d := range []string{"bin", "dev", "proc", "sys", "new", "modules"} {
		records = append([]cpio.Record{cpio.Directory(d, 0o755)}, records...)
	}
	busybox, err := os.ReadFile(filepath.Join(packages, "bin/busybox"))
	if err != nil {
		return err
	}
	first, err := tinyFS.ReadFile("tiny/initramfs")
	if err != nil {
		return err
	}
	records = append(records, cpio.StaticFile("bin/busybox", string(busybox), 0o755), cpio.StaticFile("init", string(first), 0o755))
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		content, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			return err
		}
		records = append(records, cpio.StaticFile("modules/"+f.Name(), string(content), 0o644))
	}
	file, err := os.Create(out)
	if err != nil {
		return err
	}
	w := cpio.Newc.Writer(file)
	return errors.Join(cpio.WriteRecords(w, records), cpio.WriteTrailer(w), file.Close(), os.RemoveAll(dir))
}
