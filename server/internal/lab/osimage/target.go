package osimage

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bootenv"
)

// A target is what differs between architectures.
type target struct {
	arch    metal.Arch
	triplet string // names the folder of libraries
	linker  string // the dynamic linker, where programs look for it
	console string // the serial port
	loader  string // what firmware looks for at the removable path
	grub    string // what shim looks for beside it
	// shim and signed are the files of the two, below the root of their packages.
	shim, signed string
}

func targetOf(arch metal.Arch) target {
	if arch == metal.ARM64 {
		return target{
			metal.ARM64, "aarch64-linux-gnu", "lib/ld-linux-aarch64.so.1", "ttyAMA0", "BOOTAA64.EFI", "grubaa64.efi",
			"usr/lib/shim/shimaa64.efi.signed", "usr/lib/grub/arm64-efi-signed/grubaa64.efi.signed",
		}
	}
	return target{
		metal.AMD64, "x86_64-linux-gnu", "lib64/ld-linux-x86-64.so.2", "ttyS0", "BOOTX64.EFI", "grubx64.efi",
		"usr/lib/shim/shimx64.efi.signed", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
	}
}

// foreign says that the packages are not the host's: apt is asked apart, and nothing of them can be run.
func (t target) foreign() bool { return t.arch != metal.AMD64 }

// loaders returns the root below which shim and GRUB are: the host's, or one that they are unpacked to.
func (t target) loaders(ctx context.Context, cacheDir, work string) (string, error) {
	if !t.foreign() {
		return "/", nil
	}
	dir := filepath.Join(work, "loaders")
	return dir, t.unpack(ctx, cacheDir, dir, "shim-signed", "grub-efi-"+string(t.arch)+"-signed")
}

// unpack fetches packages and lays their files out below dir, without running their scripts.
func (t target) unpack(ctx context.Context, cacheDir, dir string, packages ...string) error {
	fetch := fetch
	if t.foreign() {
		fetch = func(ctx context.Context, cacheDir string, packages ...string) ([]string, error) {
			return bootenv.FetchPackages(ctx, t.arch, filepath.Join(cacheDir, "packages-"+string(t.arch)), packages...)
		}
	}
	files, err := fetch(ctx, cacheDir, packages...)
	if err != nil {
		return err
	}
	for _, f := range files {
		if _, err := output(ctx, "", "dpkg-deb", "-x", f, dir); err != nil {
			return err
		}
	}
	return nil
}

// unpackKernel lays the kernel out below dir and returns its release.
func (t target) unpackKernel(ctx context.Context, cacheDir, dir string) (release string, err error) {
	if !t.foreign() {
		return hostKernel(ctx, t, cacheDir, dir)
	}
	deb, err := bootenv.FetchKernel(ctx, t.arch, bootenv.Cloud, filepath.Join(cacheDir, "packages-"+string(t.arch)))
	if err != nil {
		return "", err
	}
	if _, err := output(ctx, "", "dpkg-deb", "-x", deb, dir); err != nil {
		return "", err
	}
	kernels, err := filepath.Glob(filepath.Join(dir, "boot/vmlinuz-*"))
	if err != nil || len(kernels) != 1 {
		return "", fmt.Errorf("find the kernel in %s: %d files are boot/vmlinuz-*; want 1", filepath.Base(deb), len(kernels))
	}
	release = strings.TrimPrefix(filepath.Base(kernels[0]), "vmlinuz-")
	_, err = output(ctx, "", "depmod", "-b", dir, release)
	return release, err
}
