package bootloader

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Programs runs a program with a folder as its root, and returns what it printed. The error of one that failed has
// the end of what it said.
type Programs interface {
	Run(ctx context.Context, root string, stdin []byte, name string, args ...string) (string, error)
}

// Options say what Install makes bootable.
type Options struct {
	Arch  metal.Arch
	Root  string // where the system's file systems are mounted, all of them
	Tools string // root of the programs; Root is mounted in it at TargetInTools
	// TargetInTools is Root as programs of Tools see it.
	TargetInTools string
	Boot          Place
	Disks         []Disk   // that a BIOS may start; empty where it is UEFI alone
	ESPs          []string // folders where EFI system partitions are mounted; empty where it is a BIOS alone
	Parameters    string   // of the kernel, without root=
	RootParameter string   // root=…, for systems that cannot make their own menu
	Programs      Programs
}

// Install writes GRUB's config, its modules for a BIOS, and the loaders onto every disk and EFI system partition. The
// system's own update-grub makes the menu where there is one, so that its kernel updates keep it right; other systems
// get a menu of the kernels that are in /boot now. What starts the machine is written last.
func Install(ctx context.Context, o Options) error {
	root, err := os.OpenRoot(o.Root)
	if err != nil {
		return fmt.Errorf("open the system to make bootable: %w", err)
	}
	defer root.Close()
	if err := root.MkdirAll("boot/grub", 0o755); err != nil {
		return fmt.Errorf("make /boot/grub: %w", err)
	}
	if len(o.Disks) > 0 {
		if err := copyModules(root, filepath.Join(o.Tools, "usr/lib/grub/i386-pc")); err != nil {
			return err
		}
	}
	if err := writeMenu(ctx, o, root); err != nil {
		return err
	}
	for _, esp := range o.ESPs {
		if err := fillESP(o, root, esp); err != nil {
			return err
		}
	}
	return installBIOS(ctx, o, root)
}

// copyModules puts GRUB's modules where its menu asks for them.
func copyModules(root *os.Root, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("find GRUB's modules among the tools: %w", err)
	}
	if err := root.MkdirAll("boot/grub/i386-pc", 0o755); err != nil {
		return fmt.Errorf("make a folder for GRUB's modules: %w", err)
	}
	for _, e := range entries {
		if end := path.Ext(e.Name()); end != ".mod" && end != ".lst" {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err == nil {
			err = root.WriteFile("boot/grub/i386-pc/"+e.Name(), raw, 0o644)
		}
		if err != nil {
			return fmt.Errorf("copy GRUB's module %s: %w", e.Name(), err)
		}
	}
	return nil
}

// writeMenu writes /boot/grub/grub.cfg.
func writeMenu(ctx context.Context, o Options, root *os.Root) error {
	boot, err := fs.Sub(root.FS(), "boot")
	if err != nil {
		return fmt.Errorf("look into /boot: %w", err)
	}
	kernels, err := findKernels(boot)
	if err != nil {
		return err
	}
	if _, err := root.Stat("usr/sbin/update-grub"); errors.Is(err, fs.ErrNotExist) {
		text := menu(o.Boot, kernels, strings.TrimSpace(o.RootParameter+" ro "+o.Parameters))
		if err := root.WriteFile("boot/grub/grub.cfg", []byte(text), 0o644); err != nil {
			return fmt.Errorf("write GRUB's menu: %w", err)
		}
		return nil
	}
	if err := root.MkdirAll("etc/default/grub.d", 0o755); err != nil {
		return fmt.Errorf("make a folder for GRUB's settings: %w", err)
	}
	if err := root.WriteFile("etc/default/grub.d/90-metal.cfg", []byte(defaults(o.Parameters)), 0o644); err != nil {
		return fmt.Errorf("write GRUB's settings: %w", err)
	}
	if _, err := o.Programs.Run(ctx, o.Root, nil, "update-grub"); err != nil {
		return fmt.Errorf("have the system make GRUB's menu: %w", err)
	}
	return nil
}

// defaults is what update-grub reads, a shell script.
func defaults(parameters string) string {
	quoted := "'" + strings.ReplaceAll(strings.Join(strings.Fields(parameters), " "), "'", `'\''`) + "'"
	// Text on the screen and the first serial port: servers have no one before a screen, and graphics that are not there
	// make GRUB wait.
	return "# Written when the system was installed.\nGRUB_TIMEOUT=1\nGRUB_TERMINAL=\"console serial\"\nGRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\nGRUB_DISABLE_OS_PROBER=true\nGRUB_CMDLINE_LINUX_DEFAULT=\nGRUB_CMDLINE_LINUX=" + quoted + "\n"
}

// loaders names the files of one architecture.
type loaders struct{ first, removable, second, signed string }

func loadersOf(arch metal.Arch) loaders {
	if arch == metal.ARM64 {
		return loaders{"shimaa64.efi.signed", "BOOTAA64.EFI", "grubaa64.efi", "usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed"}
	}
	return loaders{"shimx64.efi.signed", "BOOTX64.EFI", "grubx64.efi", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed"}
}

// fillESP puts shim at the removable path, which a firmware without boot entries starts, with the signed GRUB beside
// it: the system's own where it has both, else those of the tools. GRUB looks for its config in its vendor's folder.
func fillESP(o Options, root *os.Root, esp string) error {
	l := loadersOf(o.Arch)
	shim, err1 := root.ReadFile("usr/lib/shim/" + l.first)
	grub, err2 := root.ReadFile(l.signed)
	if err1 != nil || err2 != nil {
		shim, err1 = os.ReadFile(filepath.Join(o.Tools, "usr/lib/shim", l.first))
		grub, err2 = os.ReadFile(filepath.Join(o.Tools, l.signed))
	}
	if err := errors.Join(err1, err2); err != nil {
		return fmt.Errorf("find the EFI loaders: %w", err)
	}
	files := []struct {
		name    string
		content []byte
	}{
		{"EFI/debian/grub.cfg", []byte(early(o.Boot))}, {"EFI/ubuntu/grub.cfg", []byte(early(o.Boot))}, {"EFI/BOOT/grub.cfg", []byte(early(o.Boot))},
		{"EFI/BOOT/" + l.second, grub}, {"EFI/BOOT/" + l.removable, shim},
	}
	for _, f := range files {
		name := filepath.Join(esp, f.name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o755), os.WriteFile(name, f.content, 0o644)); err != nil {
			return fmt.Errorf("write a loader to the EFI system partition: %w", err)
		}
	}
	return nil
}

// installBIOS makes GRUB's second stage once, and embeds it in every disk.
func installBIOS(ctx context.Context, o Options, root *os.Root) error {
	if len(o.Disks) == 0 {
		return nil
	}
	const config, image = "boot/grub/i386-pc/load.cfg", "boot/grub/i386-pc/core.img"
	if err := root.WriteFile(config, []byte(early(o.Boot)), 0o644); err != nil {
		return fmt.Errorf("write GRUB's first config: %w", err)
	}
	args := append([]string{"-O", "i386-pc", "-o", path.Join(o.TargetInTools, image), "-c", path.Join(o.TargetInTools, config), "-p", path.Join(o.Boot.Dir, "/grub")}, coreModules()...)
	if _, err := o.Programs.Run(ctx, o.Tools, nil, "grub-mkimage", args...); err != nil {
		return fmt.Errorf("make GRUB for the BIOS: %w", err)
	}
	core, err := root.ReadFile(image)
	if err != nil {
		return fmt.Errorf("read GRUB for the BIOS: %w", err)
	}
	boot, err := os.ReadFile(filepath.Join(o.Tools, "usr/lib/grub/i386-pc/boot.img"))
	if err != nil {
		return fmt.Errorf("find GRUB's boot code: %w", err)
	}
	for _, d := range o.Disks {
		if err := embed(d, boot, core); err != nil {
			return err
		}
	}
	return nil
}
