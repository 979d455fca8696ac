package boot

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func byTFTP(k *known, f Files) TFTP {
	return TFTP{Known: k, Files: f, Base: testBase, Log: slog.New(slog.DiscardHandler)}
}

// fetch reads a file as a TFTP client would.
func fetch(t *testing.T, s TFTP, name string) string {
	t.Helper()
	content, size, err := s.Open(t.Context(), name, netip.Addr{})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	defer content.Close()
	text, err := io.ReadAll(content)
	if err != nil || int64(len(text)) != size {
		t.Fatalf("%s: got %d bytes, %v; want %d", name, len(text), err, size)
	}
	return string(text)
}

// TestWhatGRUBIsToldCanBeFetched follows a machine with Secure Boot from the name in DHCP to the RAM environment.
func TestWhatGRUBIsToldCanBeFetched(t *testing.T) {
	k := &known{facts: map[metal.MAC]Facts{testMAC: {Name: "n", State: metal.Commissioning, WantsAgent: true, KernelParameters: "nomodeset a='b c'"}}}
	s := byTFTP(k, temporary(t))
	if got := fetch(t, s, NameFor(Client{MAC: testMAC, Arch: ArchUEFI64, PXE: true}, testBase, true).File); got != fileShim {
		t.Errorf("got %q; want shim", got)
	}
	if got := fetch(t, s, fileGRUB); got != fileGRUB {
		t.Errorf("got %q; want GRUB", got)
	}
	if got := fetch(t, s, "grub/grub.cfg"); !strings.Contains(got, "source $prefix/machine/$grub_cpu/$net_default_mac\n") {
		t.Errorf("got %q; want it to go on to the machine's own", got)
	}
	script := fetch(t, s, "grub/machine/x86_64/52:54:00:00:00:01")
	want := "echo 'Metalform: n is commissioning: booting the RAM environment'\n" +
		"linux /env/amd64/kernel 'console=tty0' 'console=ttyS0,115200' 'quiet' 'metal.server=" + testBase + "' 'metal.token=TOKEN' 'metal.mac=52:54:00:00:00:01' 'nomodeset' 'a=_b' 'c_'\n" +
		"initrd /env/amd64/initramfs\nboot\n"
	if script != want {
		t.Errorf("got\n%s\nwant\n%s", script, want)
	}
	if k.tokens != 1 {
		t.Errorf("tokens: got %d; want one for the one boot", k.tokens)
	}
	for _, name := range []string{"env/amd64/kernel", "env/amd64/initramfs"} {
		if got := fetch(t, s, name); !strings.HasSuffix(name, got) {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

// TestTheSignedLoaderGoesFirst has shim as Debian does: signed beside unsigned, which firmware would refuse.
func TestTheSignedLoaderGoesFirst(t *testing.T) {
	f := temporary(t)
	if err := os.WriteFile(filepath.Join(f.Loaders[0], fileShim), []byte("unsigned"), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := fetch(t, byTFTP(&known{}, f), fileShim); got != fileShim {
		t.Errorf("got %q; want the signed one", got)
	}
}

// TestArm64MachinesBootByGRUB follows one from the name in DHCP to the RAM environment, known and unknown.
func TestArm64MachinesBootByGRUB(t *testing.T) {
	f := temporary(t)
	dir := filepath.Join(f.Env, "arm64")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{debianShimArm64, debianGRUBArm64, fileKernel, fileInitramfs} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	wrong := Facts{Name: "n", State: metal.New, Arch: metal.AMD64} // declared by mistake: the firmware knows better
	for _, facts := range []map[metal.MAC]Facts{nil, {testMAC: wrong}} {
		s := byTFTP(&known{facts: facts}, f)
		for secure, want := range map[bool]string{false: debianGRUBArm64, true: debianShimArm64} {
			if got := fetch(t, s, NameFor(Client{MAC: testMAC, Arch: ArchUEFIArm64, PXE: true}, testBase, secure).File); got != want {
				t.Errorf("secure %t: got %q; want %s", secure, got, want)
			}
		}
		script := fetch(t, s, "grub/machine/arm64/52:54:00:00:00:01")
		if !strings.Contains(script, "linux /env/arm64/kernel 'console=tty0' 'console=ttyS0,115200' 'console=ttyAMA0,115200' 'quiet'") {
			t.Errorf("got\n%s\nwant the kernel for arm64", script)
		}
		for _, name := range []string{"env/arm64/kernel", "env/arm64/initramfs"} {
			if got := fetch(t, s, name); !strings.HasSuffix(name, got) {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
}

func TestGRUBGoesToTheDisk(t *testing.T) {
	k := &known{facts: map[metal.MAC]Facts{testMAC: {Name: "n", State: metal.Deployed}}}
	// Without an architecture: a GRUB asks so that was started before the server was updated.
	for from, loader := range map[string]string{"": "BOOTX64", "x86_64/": "BOOTX64", "arm64/": "BOOTAA64"} {
		script := fetch(t, byTFTP(k, temporary(t)), "grub/machine/"+from+"52:54:00:00:00:01")
		for _, part := range []string{"booting its own disk", "--set=root", "chainloader /EFI/BOOT/" + loader + ".EFI", "\nexit\n"} {
			if !strings.Contains(script, part) {
				t.Errorf("%s: got no %q in\n%s", from, part, script)
			}
		}
	}
	if k.tokens != 0 {
		t.Error("a token was made for a machine that boots its disk")
	}
}

func TestOnlyBootFilesAreServedToGRUB(t *testing.T) {
	s := byTFTP(&known{}, temporary(t))
	for _, name := range []string{
		"grub/machine/", "grub/machine/nonsense", "grub/machine/01:00:5e:00:00:01", "grub/x86_64-efi/command.lst", "env/amd64/secret",
		"env/riscv64/kernel", "env/../amd64/kernel", "env/kernel", "env//kernel", "env/arm64/kernel", "secret", "revocations.efi", "",
	} {
		content, _, err := s.Open(t.Context(), name, netip.Addr{})
		if metal.CodeOf(err) != metal.NotFound {
			t.Errorf("%q: got %v; want not_found", name, err)
		}
		if content != nil {
			content.Close()
		}
	}
	broken := errors.New("disk on fire")
	if _, _, err := byTFTP(&known{err: broken}, temporary(t)).Open(context.Background(), "grub/machine/"+string(testMAC), netip.Addr{}); !errors.Is(err, broken) {
		t.Errorf("facts that cannot be read: got %v; want the cause", err)
	}
}

func TestMissingSignedLoadersAreListed(t *testing.T) {
	plain := Files{Loaders: []string{t.TempDir()}, Env: t.TempDir()}
	more := plain.Missing(true)[len(plain.Missing(false))-2:]
	found := 0
	for _, fault := range more {
		if strings.Contains(fault.Error(), "install the packages shim-signed and grub-efi-amd64-signed") {
			found++
		}
	}
	if found != 2 || len(plain.Missing(true)) != len(plain.Missing(false))+2 {
		t.Errorf("got %v; want shim and GRUB named", plain.Missing(true))
	}
}

func TestWhatArm64LacksIsListedWhereItIsServed(t *testing.T) {
	f := temporary(t)
	for secure, want := range map[bool]int{false: 3, true: 4} {
		if got := f.Missing(secure); len(got) != 0 {
			t.Errorf("secure %t, without an environment for arm64: got %v; want nothing", secure, got)
		}
		served := temporary(t)
		if err := os.Mkdir(filepath.Join(served.Env, "arm64"), 0o755); err != nil {
			t.Fatal(err)
		}
		got := served.Missing(secure)
		if len(got) != want {
			t.Errorf("secure %t: got %v; want %d faults", secure, got, want)
		}
		for _, fault := range got {
			if !strings.Contains(fault.Error(), "run metald bootenv build -arch arm64") {
				t.Errorf("secure %t: got %v; want what to do", secure, fault)
			}
		}
	}
}

// FuzzGRUBScript has GRUB's own parser read scripts with whatever a person may write into a name or parameters.
func FuzzGRUBScript(f *testing.F) {
	f.Add("node-1", "console=ttyS1 quiet")
	f.Add("n'; reboot; '", "a='b' || reboot $x ${y} {z} #c")
	f.Add("n\n reboot", "\\ \" ' ; && | > <")
	checker, err := exec.LookPath("grub-script-check")
	if err != nil {
		if os.Getenv("CI") != "" {
			f.Fatal("this test needs grub-script-check of the package grub-common")
		}
		f.Skip("grub-script-check is not installed")
	}
	f.Fuzz(func(t *testing.T, name, parameters string) {
		for _, ram := range []bool{true, false} {
			p := Plan{RAM: ram, Why: name, Arch: metal.AMD64, Parameters: parameters}
			script := p.GRUB(testBase, testMAC, "TOKEN")
			check := exec.Command(checker)
			check.Stdin = strings.NewReader(script)
			if said, err := check.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s in\n%s", err, said, script)
			}
			if got, want := strings.Count(script, "\n"), map[bool]int{true: 4, false: 6}[ram]; got != want {
				t.Errorf("got %d lines; want %d:\n%s", got, want, script)
			}
		}
	})
}
