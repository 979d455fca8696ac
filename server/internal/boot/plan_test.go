package boot

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	testBase = "http://172.31.0.1:7080"
	testMAC  = metal.MAC("52:54:00:00:00:01")
)

func TestEveryFirmwareIsNamedAFile(t *testing.T) {
	script := Named{File: testBase + "/boot/script/52:54:00:00:00:01?platform=${platform}"}
	cases := []struct {
		name   string
		client Client
		want   Named
		mode   metal.BootMode
	}{
		{"BIOS by PXE", Client{Arch: ArchBIOS, PXE: true}, Named{File: "undionly.kpxe", TFTP: true}, metal.BIOS},
		{"UEFI by PXE", Client{Arch: ArchUEFI64, PXE: true}, Named{File: "snponly.efi", TFTP: true}, metal.UEFI},
		{"UEFI by PXE, as RFC 4578 meant it", Client{Arch: ArchUEFI64Alt, PXE: true}, Named{File: "snponly.efi", TFTP: true}, metal.UEFI},
		{"UEFI by HTTP", Client{Arch: ArchUEFI64HTTP, HTTP: true}, Named{File: testBase + "/boot/files/snponly.efi", HTTP: true}, metal.UEFI},
		{"iPXE on BIOS", Client{Arch: ArchBIOS, PXE: true, IPXE: true}, script, metal.BIOS},
		{"iPXE on UEFI", Client{Arch: ArchUEFI64, PXE: true, IPXE: true}, script, metal.UEFI},
		{"iPXE on UEFI, type 9", Client{Arch: ArchUEFI64Alt, PXE: true, IPXE: true}, script, metal.UEFI},
		{"iPXE after HTTP boot", Client{Arch: ArchUEFI64HTTP, HTTP: true, IPXE: true}, script, metal.UEFI},
		{"UEFI on arm64 by PXE", Client{Arch: ArchUEFIArm64, PXE: true}, Named{File: "grubaa64.efi", TFTP: true}, metal.UEFI},
		{"UEFI on arm64 by HTTP", Client{Arch: ArchUEFIArmHTTP, HTTP: true}, Named{}, metal.UEFI},
		{"an HTTP architecture that says PXE", Client{Arch: ArchUEFI64HTTP, PXE: true}, Named{}, metal.UEFI},
		{"an operating system", Client{}, Named{}, metal.BIOS},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			c.client.MAC = testMAC
			if diff := cmp.Diff(c.want, NameFor(c.client, testBase, false)); diff != "" {
				t.Errorf("got + / want -:\n%s", diff)
			}
			want := c.want
			switch want.File {
			case fileUEFI:
				want.File = fileShim
			case fileGRUBArm64:
				want.File = fileShimArm64
			}
			if diff := cmp.Diff(want, NameFor(c.client, testBase, true)); diff != "" {
				t.Errorf("with Secure Boot: got + / want -:\n%s", diff)
			}
			if got := c.client.Mode(); got != c.mode {
				t.Errorf("got mode %s; want %s", got, c.mode)
			}
		})
	}
}

func TestEveryStateHasAPlan(t *testing.T) {
	for _, state := range metal.States() {
		for _, wants := range []bool{false, true} {
			p := PlanFor(Facts{Name: "node-1", State: state, WantsAgent: wants, KernelParameters: "nomodeset"})
			// Nothing is ever booted from the network but for an operation or a machine that is new.
			if want := wants || state == metal.New; p.RAM != want {
				t.Errorf("%s, agent wanted %v: got RAM environment %v; want %v", state, wants, p.RAM, want)
			}
			if p.Why == "" || p.Arch != metal.AMD64 {
				t.Errorf("%s: got reason %q, architecture %q; want a reason, and amd64 where none is declared", state, p.Why, p.Arch)
			}
			if p.RAM != (p.Parameters == "nomodeset") {
				t.Errorf("%s: got parameters %q; want them with the RAM environment only", state, p.Parameters)
			}
		}
	}
	if p := PlanFor(Facts{}); !p.RAM || p.Why != "unknown machine: enlisting" {
		t.Errorf("unknown: got %+v; want the RAM environment to enlist from", p)
	}
	if p := PlanFor(Facts{Name: "arm", State: metal.New, Arch: metal.ARM64}); p.Arch != metal.ARM64 {
		t.Errorf("got architecture %s; want the declared one", p.Arch)
	}
}

func TestScripts(t *testing.T) {
	working := Facts{Name: "node-1", State: metal.Deploying, WantsAgent: true, KernelParameters: "nomodeset  dyndbg=a;b "}
	cases := map[string]struct {
		facts Facts
		mode  metal.BootMode
	}{
		"unknown":    {Facts{}, metal.BIOS},
		"deploying":  {working, metal.UEFI},
		"arm64":      {Facts{Name: "arm", State: metal.New, Arch: metal.ARM64}, metal.UEFI},
		"local-bios": {Facts{Name: "node-1", State: metal.Deployed}, metal.BIOS},
		"local-uefi": {Facts{Name: "node-1", State: metal.Deployed}, metal.UEFI},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := PlanFor(c.facts).Script(testBase, testMAC, c.mode, "TOKEN")
			golden := filepath.Join("testdata", name+".ipxe")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("got + / want -:\n%s", diff)
			}
		})
	}
}

// commands reads a script as iPXE does (exec.c, command_terminator): it returns the first word of every command, and
// fails on a setting that would be expanded, but for ${platform}.
func commands(t *testing.T, script string) (list []string) {
	t.Helper()
	if strings.Contains(strings.ReplaceAll(script, "${platform}", ""), "${") {
		t.Errorf("the script expands a setting:\n%s", script)
	}
	if strings.Contains(script, "\\\n") {
		t.Errorf("a line of the script goes on in the next:\n%s", script)
	}
	for line := range strings.Lines(script) {
		first := true
		for _, word := range strings.Fields(line) {
			switch {
			case strings.HasPrefix(word, "#") && list != nil:
				t.Errorf("a comment swallows the rest of %q", line)
			case word == "||" || word == "&&" || word == ";":
				first = true
			case first:
				list, first = append(list, word), false
			}
		}
	}
	return list
}

// FuzzScript has strangers choose everything that is stored about a machine: the script keeps its commands.
func FuzzScript(f *testing.F) {
	for _, hostile := range []string{"", "x\nshell", "x || shell", "x ; shell", "x && reboot", "${net0/mac}", "# x", "x \\", "a\rb", "ü", "\x00", "a;b", "#", "||", "-n"} {
		f.Add(hostile, hostile, "deployed")
		f.Add("node-1", hostile, "new")
	}
	f.Fuzz(func(t *testing.T, name, parameters, state string) {
		for _, wants := range []bool{false, true} {
			plain := PlanFor(Facts{Name: "n", State: metal.Deployed, WantsAgent: wants})
			p := PlanFor(Facts{Name: "n" + name, State: metal.State(state), WantsAgent: wants, KernelParameters: parameters})
			p.RAM = plain.RAM // a state of "new" would make another script
			for _, mode := range []metal.BootMode{metal.BIOS, metal.UEFI} {
				got := commands(t, p.Script(testBase, testMAC, mode, "TOKEN"))
				want := commands(t, plain.Script(testBase, testMAC, mode, "TOKEN"))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("commands, got + / want -:\n%s\n%s", diff, p.Script(testBase, testMAC, mode, "TOKEN"))
				}
			}
		}
	})
}

func TestParametersThatAreNoneToIPXEAreLeftOut(t *testing.T) {
	for given, want := range map[string]string{
		"nomodeset":             "nomodeset",
		" a  b=c,d;e \"f g\"":   "a b=c,d;e \"f g\"",
		"a || shell":            "a shell",
		"a && b ; c":            "a b c",
		"a #b":                  "a",
		"a=${x} b=$1 c\\d e\\":  "b=$1 c\\d",
		"line\nbreak and\ttab":  "line break and tab",
		"null\x00 umlaut=ü end": "end",
	} {
		if got := strings.Join(harmless(given), " "); got != want {
			t.Errorf("harmless(%q): got %q; want %q", given, got, want)
		}
	}
}
