package osimage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	mebibyte    = 1 << 20
	biosBlock   = 2048 // first block of the BIOS boot partition
	espStart    = 2    // in MiB
	espSize     = 33   // smallest FAT32 volume with room for the loaders
	rootStart   = espStart + espSize
	efiConfig   = "search --no-floppy --label root --set root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
	biosConfig  = "search.fs_label root root\nset prefix=($root)/boot/grub\nconfigfile $prefix/grub.cfg\n"
	grubModules = "/usr/lib/grub/i386-pc"
)

// produce builds an image from nothing and leaves it, compressed, at out.
func produce(ctx context.Context, o Options, r recipe, out string) (err error) {
	work, err := os.MkdirTemp(o.CacheDir, "build-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(work)) }()
	root := filepath.Join(work, "root")
	o.log().Info("making the image's file system", "image", r.name)
	if err := r.tree(ctx, o, root); err != nil {
		return err
	}
	if err := bootConfig(root, r.cmdline); err != nil {
		return err
	}
	o.log().Info("making the disk image", "image", r.name)
	raw := filepath.Join(work, "disk.img")
	if err := assemble(ctx, o, root, raw, work, r.megabytes); err != nil {
		return err
	}
	packed := filepath.Join(work, "disk.img.zst")
	if err := compress(raw, packed); err != nil {
		return err
	}
	return os.Rename(packed, out)
}

// bootConfig writes the one grub.cfg that BIOS and UEFI share.
func bootConfig(root, cmdline string) error {
	kernels, err := filepath.Glob(filepath.Join(root, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return fmt.Errorf("find the kernel of the image: %d files are boot/vmlinuz-*; want 1", len(kernels))
	}
	release := filepath.Base(kernels[0])[len("vmlinuz-"):]
	config := fmt.Sprintf(`set timeout=0
search --no-floppy --label root --set root
menuentry "Linux %[1]s" {
	linux /boot/vmlinuz-%[1]s %[2]s
	initrd /boot/initrd.img-%[1]s
}
`, release, cmdline)
	if err := os.MkdirAll(filepath.Join(root, "boot/grub"), 0o755); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(root, "boot/grub/grub.cfg"), []byte(config), 0o644)
}

// assemble makes a disk image of a root directory: partition table, ESP, root file system, and GRUB for the BIOS where
// machines may have one.
func assemble(ctx context.Context, o Options, root, raw, work string, megabytes int) error {
	t := targetOf(o.Arch)
	loaders, err := t.loaders(ctx, o.CacheDir, work)
	if err != nil {
		return err
	}
	if err := truncate(raw, megabytes); err != nil {
		return err
	}
	// The last mebibyte is for the table's backup.
	table := fmt.Sprintf(`label: gpt
start=%d, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=bios
start=%d, size=%d, type=U, name=esp
start=%d, size=%d, type=L, name=root
`, biosBlock, espStart*2048, espSize*2048, rootStart*2048, (megabytes-rootStart-1)*2048)
	if _, err := pipe(ctx, "", table, "sfdisk", "-q", raw); err != nil {
		return err
	}
	if err := makeESP(ctx, t, loaders, raw, work); err != nil {
		return err
	}
	// The features that are left out are newer than some GRUBs that may have to read them.
	_, err = output(ctx, "", "mkfs.ext4", "-q", "-F", "-L", "root", "-O", "^metadata_csum_seed,^orphan_file",
		"-E", fmt.Sprintf("offset=%d,lazy_itable_init=1,lazy_journal_init=1,root_owner=0:0", rootStart*mebibyte),
		"-d", root, raw, fmt.Sprintf("%dM", megabytes-rootStart-1))
	if err != nil || t.arch != metal.AMD64 {
		return err
	}
	return makeBIOS(ctx, raw, work)
}

// makeESP fills the EFI system partition: Debian's signed shim and GRUB at the removable path, which is what a
// firmware without boot entries starts. The signed GRUB looks for its config in /EFI/debian. loaders is the root that the
// two are below.
func makeESP(ctx context.Context, t target, loaders, raw, work string) error {
	config := filepath.Join(work, "esp.cfg")
	if err := os.WriteFile(config, []byte(efiConfig), 0o644); err != nil {
		return err
	}
	// Clusters of one sector: mkfs.vfat would choose them by the size of the whole file, too large for FAT32 in 33 MiB.
	if _, err := output(ctx, "", "mkfs.vfat", "-F", "32", "-s", "1", "-n", "ESP", "--offset", fmt.Sprint(espStart*2048), raw, fmt.Sprint(espSize*1024)); err != nil {
		return err
	}
	volume := fmt.Sprintf("%s@@%d", raw, espStart*mebibyte)
	if _, err := output(ctx, "", "mmd", "-i", volume, "::/EFI", "::/EFI/BOOT", "::/EFI/debian"); err != nil {
		return err
	}
	for _, f := range [][2]string{
		{filepath.Join(loaders, t.shim), "::/EFI/BOOT/" + t.loader},
		{filepath.Join(loaders, t.signed), "::/EFI/BOOT/" + t.grub},
		{config, "::/EFI/debian/grub.cfg"},
	} {
		if _, err := output(ctx, "", "mcopy", "-i", volume, f[0], f[1]); err != nil {
			return err
		}
	}
	return nil
}

// makeBIOS puts GRUB's two stages in place.
func makeBIOS(ctx context.Context, raw, work string) error {
	load := filepath.Join(work, "load.cfg")
	if err := os.WriteFile(load, []byte(biosConfig), 0o644); err != nil {
		return err
	}
	core := filepath.Join(work, "core.img")
	if _, err := output(ctx, "", "grub-mkimage", "-O", "i386-pc", "-o", core, "-c", load, "-p", "/boot/grub",
		"biosdisk", "part_gpt", "ext2", "search", "search_label", "configfile", "linux", "normal", "echo", "boot", "minicmd", "serial"); err != nil {
		return err
	}
	bootCode, err := os.ReadFile(filepath.Join(grubModules, "boot.img"))
	if err != nil {
		return err
	}
	coreCode, err := os.ReadFile(core)
	if err != nil {
		return err
	}
	if err := patchGRUB(bootCode, coreCode, biosBlock); err != nil {
		return err
	}
	f, err := os.OpenFile(raw, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err1 := f.WriteAt(bootCode[:bootCodeBytes], 0)
	_, err2 := f.WriteAt(coreCode, biosBlock*512)
	return errors.Join(err1, err2, f.Close())
}

func truncate(path string, megabytes int) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(int64(megabytes)*mebibyte), f.Close())
}

// compress packs a raw image as one zstd stream.
func compress(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	z, err := zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.SpeedDefault))
	if err != nil {
		return errors.Join(err, out.Close())
	}
	_, err = z.ReadFrom(in)
	return errors.Join(err, z.Close(), out.Close())
}
