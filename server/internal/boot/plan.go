package boot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// Facts are what is stored about a machine that asks what to boot.
type Facts struct {
	Name  string // empty: nobody knows this machine
	State metal.State
	// WantsAgent says that an operation waits for the machine's RAM environment.
	WantsAgent       bool
	Arch             metal.Arch
	KernelParameters string
	// Memory says that the machine's system runs from memory: when it starts again, it has none.
	Memory bool
	// Installer is what a boot profile has for this machine; nil: no profile is for it.
	Installer *Installer
}

// Plan is what a machine boots.
type Plan struct {
	// RAM says that it boots the RAM environment; otherwise its own disk.
	RAM bool
	// Why is one line for the console and the log.
	Why  string
	Arch metal.Arch
	// Parameters go on the kernel command line.
	Parameters string
	// Installer is booted where it is not nil.
	Installer *Installer
}

// PlanFor decides what a machine boots. A known one boots the RAM environment when an operation waits for it there.
// One that a boot profile is for boots the installer, and its own disk when that is over. Of the others, an unknown
// one boots the RAM environment, where it can only enlist, and so does one that is new. All others boot their own
// disks.
func PlanFor(f Facts) Plan {
	arch := f.Arch
	if arch == "" {
		arch = metal.AMD64
	}
	ram := Plan{RAM: true, Arch: arch, Parameters: f.KernelParameters}
	switch {
	case f.WantsAgent:
		ram.Why = fmt.Sprintf("%s is %s: booting the RAM environment", f.Name, f.State)
	case f.Installer != nil && f.Installer.Over:
		return Plan{Arch: arch, Why: "boot profile " + f.Installer.Profile + " is through with this machine: booting its own disk"}
	case f.Installer != nil:
		return Plan{Arch: arch, Installer: f.Installer, Why: "installing by boot profile " + f.Installer.Profile}
	case f.Name == "":
		ram.Why = "unknown machine: enlisting"
	case f.Memory:
		ram.Why = fmt.Sprintf("%s is %s, and its system runs from memory: putting it there anew", f.Name, f.State)
	case f.State == metal.New:
		ram.Why = f.Name + " is new: booting the RAM environment"
	default:
		return Plan{Arch: arch, Why: fmt.Sprintf("%s is %s: booting its own disk", f.Name, f.State)}
	}
	return ram
}

// defaultParameters are those that every RAM environment has. The console is both the screen and the first serial port:
// what is not there costs nothing. Most arm64 machines have a PL011 (SBSA, B), others what PCs have.
func defaultParameters(arch metal.Arch) []string {
	words := []string{"console=tty0", "console=ttyS0,115200", "quiet"}
	if arch == metal.ARM64 {
		words = slices.Insert(words, 2, "console=ttyAMA0,115200")
	}
	return words
}

// Script returns the iPXE script of a plan. base is our boot server's URL; token is for the agent of this boot.
func (p Plan) Script(base string, mac metal.MAC, mode metal.BootMode, token string) string {
	switch {
	case p.RAM:
		return p.ramScript(base, mac, token)
	case p.Installer != nil:
		return p.Installer.script(p.Why, base, mac, mode)
	}
	return p.localScript(base, mode)
}

func (p Plan) ramScript(base string, mac metal.MAC, token string) string {
	env := base + PathEnv + string(p.Arch) + "/"
	// The kernel's EFI stub finds the image of this name among those that iPXE loaded.
	parameters := strings.Join(append([]string{"initrd=" + fileInitramfs}, p.parameters(base, mac, token)...), " ")
	// After a failure the script itself is fetched again: by then the machine may be meant to boot something else.
	return fmt.Sprintf(`#!ipxe
echo Metalform: %s
imgfree
kernel %s%s %s && initrd %s%s && boot ||
echo Metalform: the RAM environment did not start, trying again in 5 seconds
sleep 5
chain --replace %s%s
`, printable(p.Why), env, fileKernel, parameters, env, fileInitramfs, base, ScriptPath(mac))
}

// parameters are the words of the RAM environment's command line.
func (p Plan) parameters(base string, mac metal.MAC, token string) []string {
	words := append(defaultParameters(p.Arch),
		agentapi.ParamServer+"="+base, agentapi.ParamToken+"="+token, agentapi.ParamMAC+"="+string(mac))
	return append(words, harmless(p.Parameters)...)
}

// The way to the disk. iPXE's exit makes OVMF stop at its menu, or go through every other network boot first, so
// UEFI goes on by a loader of ours that starts the one on the disk; a BIOS has drive 0x80.
func (p Plan) localScript(base string, mode metal.BootMode) string {
	way := "sanboot --no-describe --drive 0x80 || exit"
	if mode == metal.UEFI {
		way = "chain --replace " + base + PathFiles + fileLocal + " || exit 1"
	}
	return fmt.Sprintf("#!ipxe\necho Metalform: %s\n%s\n", printable(p.Why), way)
}

// printable keeps a line of text from becoming commands of the script: iPXE expands ${...} anywhere, and takes the
// words ||, && and ; for the end of a command, and a word that begins with # for that of the line.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune("$|&;#\\", r) {
			return '_'
		}
		return r
	}, s)
}

// harmless leaves those words out of kernel parameters that would be no parameters to iPXE, but commands of the
// script. Within a word, separators mean nothing to it: options=a;b stays.
func harmless(parameters string) []string {
	return slices.DeleteFunc(strings.Fields(parameters), func(w string) bool {
		odd := strings.ContainsFunc(w, func(r rune) bool { return r < ' ' || r > '~' })
		return odd || w == "||" || w == "&&" || w == ";" || w[0] == '#' || strings.Contains(w, "${") || strings.HasSuffix(w, "\\")
	})
}
