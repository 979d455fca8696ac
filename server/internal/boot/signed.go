package boot

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// The loaders of machines with Secure Boot, and the names by which Debian has them. Microsoft's key, which firmware
// comes with, vouches for shim; Debian's key in shim vouches for GRUB and the kernel.
const (
	fileShim = "shimx64.efi"
	fileGRUB = "grubx64.efi" // shim asks for this name, beside its own

	debianShim = "shimx64.efi.signed"
	debianGRUB = "grubnetx64.efi.signed"
)

// What GRUB asks for by TFTP, which is all that Debian's signed GRUB speaks. It has its configuration looked for below
// /grub; the rest are our names.
const (
	grubConfig  = "grub/grub.cfg"
	grubMachine = "grub/machine/"
	grubEnv     = "env/"
)

// loop is GRUB's configuration, the same for every machine: its own is asked for by its MAC address, until something
// boots. By then the machine may be meant to boot something else.
const loop = `set timeout=0
while true; do
  source $prefix/machine/$net_default_mac
  echo "Metalform: nothing was booted, trying again in 5 seconds"
  sleep 5
done
`

// GRUB returns the script of a plan for GRUB, as Script does for iPXE.
func (p Plan) GRUB(base string, mac metal.MAC, token string) string {
	said := "echo " + quoted("Metalform: "+printable(p.Why)) + "\n"
	if !p.RAM {
		// Shim on the disk is vouched for by Microsoft's key as well. It looks for its GRUB on the device that is GRUB's
		// root. Without a loader on any disk the firmware goes on to what is next.
		return said + `if search --no-floppy --file --set=root /EFI/BOOT/BOOTX64.EFI; then
  chainloader /EFI/BOOT/BOOTX64.EFI
  boot
fi
exit
`
	}
	env := "/" + grubEnv + string(p.Arch) + "/"
	words := []string{"linux", env + fileKernel}
	for _, word := range p.parameters(base, mac, token) {
		words = append(words, quoted(word))
	}
	return said + strings.Join(words, " ") + "\ninitrd " + env + fileInitramfs + "\nboot\n"
}

// quoted makes one word of GRUB's shell, in which nothing within single quotes means anything but the quote itself.
func quoted(word string) string { return "'" + strings.ReplaceAll(word, "'", "_") + "'" }

// TFTP serves boot files to firmware, and scripts to GRUB.
type TFTP struct {
	Known Known
	Files Files
	// Base is the boot server's URL as the machines that ask here reach it.
	Base string
	Log  *slog.Logger
}

// Open returns the content of a file and its size; metal.NotFound for what there is not.
func (t TFTP) Open(ctx context.Context, name string, from netip.Addr) (io.ReadCloser, int64, error) {
	if name == grubConfig {
		return whole(loop)
	}
	if text, ok := strings.CutPrefix(name, grubMachine); ok {
		mac, err := metal.ParseMAC(text)
		if err != nil {
			return nil, 0, metal.Errorf(metal.NotFound, "there is no boot script of %q: %w", text, err)
		}
		return t.script(ctx, mac, from)
	}
	file, err := t.Files.OpenTFTP(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

func (t TFTP) script(ctx context.Context, mac metal.MAC, from netip.Addr) (io.ReadCloser, int64, error) {
	facts, err := t.Known.BootFacts(ctx, mac)
	if err != nil {
		return nil, 0, fmt.Errorf("decide what machine %s boots: %w", mac, err)
	}
	plan, token := PlanFor(facts), ""
	if plan.RAM {
		token = t.Known.BootToken(mac)
	}
	t.Log.Info("boot", "mac", mac, "mode", metal.UEFI, "by", "GRUB", "from", from, "plan", plan.Why)
	return whole(plan.GRUB(t.Base, mac, token))
}

func whole(text string) (io.ReadCloser, int64, error) {
	return io.NopCloser(strings.NewReader(text)), int64(len(text)), nil
}

// signedTFTP opens what GRUB and shim ask for besides scripts; false when name is none of that.
func (f Files) signedTFTP(name string) (*os.File, bool, error) {
	switch name {
	case fileShim:
		file, err := f.loader(fileShim, debianShim)
		return file, true, err
	case fileGRUB:
		file, err := f.loader(fileGRUB, debianGRUB)
		return file, true, err
	}
	arch, file := path.Split(strings.TrimPrefix(name, grubEnv))
	if !strings.HasPrefix(name, grubEnv) || !slices.Contains([]string{fileKernel, fileInitramfs}, file) {
		return nil, false, nil
	}
	opened, err := f.env(metal.Arch(strings.TrimSuffix(arch, "/")), file)
	return opened, true, err
}
