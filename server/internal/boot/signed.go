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

// The loaders of machines with Secure Boot, and of every arm64 machine, and the names by which Debian has them.
// Microsoft's key, which firmware comes with, vouches for shim; Debian's key in shim vouches for GRUB and the kernel.
const (
	fileShim = "shimx64.efi"
	fileGRUB = "grubx64.efi" // shim asks for this name, beside its own

	debianShim = "shimx64.efi.signed"
	debianGRUB = "grubnetx64.efi.signed"

	fileShimArm64 = "shimaa64.efi"
	fileGRUBArm64 = "grubaa64.efi"

	debianShimArm64 = "shimaa64.efi.signed"
	debianGRUBArm64 = "grubnetaa64.efi.signed"
)

// signedLoaders are those, by the names that machines ask for.
func signedLoaders() map[string]string {
	return map[string]string{fileShim: debianShim, fileGRUB: debianGRUB, fileShimArm64: debianShimArm64, fileGRUBArm64: debianGRUBArm64}
}

// What GRUB asks for by TFTP, which is all that Debian's signed GRUB speaks. It has its configuration looked for below
// /grub; the rest are our names.
const (
	grubConfig  = "grub/grub.cfg"
	grubMachine = "grub/machine/"
	grubEnv     = "env/"
)

// loop is GRUB's configuration, the same for every machine: its own is asked for by its architecture and its MAC
// address, until something boots. By then the machine may be meant to boot something else.
const loop = `set timeout=0
while true; do
  source $prefix/machine/$grub_cpu/$net_default_mac
  echo "Metalform: nothing was booted, trying again in 5 seconds"
  sleep 5
done
`

// GRUB returns the script of a plan for GRUB, as Script does for iPXE.
func (p Plan) GRUB(base string, mac metal.MAC, token string) string {
	said := "echo " + quoted("Metalform: "+printable(p.Why)) + "\n"
	if !p.RAM {
		loader := "/EFI/BOOT/BOOTX64.EFI"
		if p.Arch == metal.ARM64 {
			loader = "/EFI/BOOT/BOOTAA64.EFI"
		}
		// Shim on the disk is vouched for by Microsoft's key as well. It looks for its GRUB on the device that is GRUB's
		// root. Without a loader on any disk the firmware goes on to what is next.
		return said + fmt.Sprintf(`if search --no-floppy --file --set=root %[1]s; then
  chainloader %[1]s
  boot
fi
exit
`, loader)
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
		cpu, address := path.Split(text)
		mac, err := metal.ParseMAC(address)
		if err != nil {
			return nil, 0, metal.Errorf(metal.NotFound, "there is no boot script of %q: %w", text, err)
		}
		return t.script(ctx, archOf(strings.TrimSuffix(cpu, "/")), mac, from)
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

// archOf translates GRUB's name of a processor. Empty: GRUB did not say, or what it says is none that we serve.
func archOf(cpu string) metal.Arch {
	return map[string]metal.Arch{"x86_64": metal.AMD64, "arm64": metal.ARM64}[cpu]
}

// script decides what a machine boots. What GRUB runs on goes before what was declared: another kernel would not start.
func (t TFTP) script(ctx context.Context, arch metal.Arch, mac metal.MAC, from netip.Addr) (io.ReadCloser, int64, error) {
	facts, err := t.Known.BootFacts(ctx, mac)
	if err != nil {
		return nil, 0, fmt.Errorf("decide what machine %s boots: %w", mac, err)
	}
	if arch != "" {
		facts.Arch = arch
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
	if debian, ok := signedLoaders()[name]; ok {
		file, err := f.loader(name, debian)
		return file, true, err
	}
	arch, file := path.Split(strings.TrimPrefix(name, grubEnv))
	if !strings.HasPrefix(name, grubEnv) || !slices.Contains([]string{fileKernel, fileInitramfs}, file) {
		return nil, false, nil
	}
	opened, err := f.env(metal.Arch(strings.TrimSuffix(arch, "/")), file)
	return opened, true, err
}
