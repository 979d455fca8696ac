package boot

import (
	"fmt"
	"net/url"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// PathInstall is where installers find what they need, below it the MAC address and the installation's token.
const PathInstall = "/boot/install/"

// InstallPath is where the boot server has everything of one installation.
func InstallPath(mac metal.MAC, token metal.Secret) string {
	return PathInstall + url.PathEscape(string(mac)) + "/" + url.PathEscape(token.Reveal())
}

// Installer is what a boot profile has for a machine.
type Installer struct {
	Profile string
	// Over says that the installer called home, or never will: nothing else of it matters.
	Over bool
	// Path is where the installation is on the boot server: see InstallPath. It holds the token.
	Path string
	// ISO is booted as a disk; otherwise the kernel with initrds.
	ISO bool
	// Initrds are loaded beside the kernel, in order; Loaded are the answer files that it fetches beside them.
	Initrds []Initrd
	Loaded  []string
	// CommandLine is one line of words that iPXE hands over as they are.
	CommandLine string
}

// Initrd is a file that the loader fetches beside the kernel.
type Initrd struct {
	Name string // what the loader calls it
	// Linux says that it is for a Linux kernel, whose EFI stub asks for it by name on the command line.
	Linux bool
}

// Names below an installation's path.
const (
	bootKernel = "kernel"
	bootISO    = "iso"
)

// script is the iPXE script that starts the installer. After a failure it is fetched again: by then the machine may
// be meant to boot something else.
func (i *Installer) script(why, base string, mac metal.MAC, mode metal.BootMode) string {
	start := i.load(base+i.Path, mode)
	return fmt.Sprintf(`#!ipxe
echo Metalform: %s
imgfree
%s ||
echo Metalform: the installer did not start, trying again in 5 seconds
sleep 5
chain --replace %s%s
`, printable(why), start, base, ScriptPath(mac))
}

func (i *Installer) load(at string, mode metal.BootMode) string {
	if i.ISO {
		return "sanboot --no-describe " + at + "/boot/" + bootISO
	}
	words := []string{"kernel", at + "/boot/" + bootKernel}
	if mode == metal.UEFI {
		// The kernel's EFI stub finds its initial file systems by these words, among the images that iPXE loaded.
		for _, f := range i.Initrds {
			if f.Linux {
				words = append(words, "initrd="+f.Name)
			}
		}
	}
	parts := []string{strings.Join(append(words, harmless(i.CommandLine)...), " ")}
	for n, f := range i.Initrds {
		parts = append(parts, fmt.Sprintf("initrd --name %s %s/boot/%d", f.Name, at, n))
	}
	for _, name := range i.Loaded {
		parts = append(parts, fmt.Sprintf("initrd --name %s %s/files/%s", name, at, name))
	}
	return strings.Join(append(parts, "boot"), " && ")
}
