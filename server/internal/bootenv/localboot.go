package bootenv

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// The loader that takes a UEFI machine from the network to its own disk. It is GRUB with three lines: the rescue
// parser that reads an embedded configuration knows no "if" and no "for".
const localBoot = `search.file /EFI/BOOT/BOOTX64.EFI root
chainloader ($root)/EFI/BOOT/BOOTX64.EFI
boot
`

// BuildLocalBoot writes that loader to path, by GRUB's own grub-mkimage (Debian package grub-efi-amd64-bin).
func BuildLocalBoot(ctx context.Context, path string) error {
	tool, err := exec.LookPath("grub-mkimage")
	if err != nil {
		return metal.Errorf(metal.Invalid, "cannot make %s: grub-mkimage is not installed; apt-get install grub-efi-amd64-bin grub-common", filepath.Base(path))
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	config, err := os.CreateTemp("", "localboot-*.cfg")
	if err != nil {
		return err
	}
	defer os.Remove(config.Name())
	_, err = config.WriteString(localBoot)
	if err := errors.Join(err, config.Close()); err != nil {
		return err
	}
	fresh := path + ".new"
	command := exec.CommandContext(ctx, tool, "-O", "x86_64-efi", "-o", fresh, "-c", config.Name(), "-p", "/EFI/BOOT",
		"part_gpt", "part_msdos", "fat", "search_fs_file", "chain", "boot")
	if out, err := command.CombinedOutput(); err != nil {
		_ = os.Remove(fresh)
		return metal.Errorf(metal.Internal, "grub-mkimage did not make %s: %s: %w", filepath.Base(path), strings.TrimSpace(string(out)), err)
	}
	if err := os.Chmod(fresh, 0o644); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(fresh, path)
}
