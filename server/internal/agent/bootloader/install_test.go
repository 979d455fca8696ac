package bootloader

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// programs notes what is run, and plays grub-mkimage.
type programs struct {
	ran  []string
	core []byte
	fail string
}

func (p *programs) Run(_ context.Context, root string, _ []byte, name string, args ...string) (string, error) {
	p.ran = append(p.ran, name)
	if name == p.fail {
		return "", errors.New("exit status 1")
	}
	if name == "grub-mkimage" {
		return "", os.WriteFile(filepath.Join(root, args[3]), p.core, 0o600)
	}
	return "", nil
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// core is a second stage of so many sectors.
func core(sectors int) []byte {
	raw := make([]byte, sectors*sectorBytes)
	copy(raw, "CORE")
	binary.LittleEndian.PutUint16(raw[blockListCount:], uint16(sectors-1))
	return raw
}

func fixture(t *testing.T) Options {
	t.Helper()
	tools := t.TempDir()
	root := filepath.Join(tools, "target")
	write(t, tools, map[string]string{
		"usr/lib/grub/i386-pc/boot.img": strings.Repeat("B", sectorBytes), "usr/lib/grub/i386-pc/normal.mod": "M", "usr/lib/grub/i386-pc/README": "R",
		"usr/lib/shim/shimx64.efi.signed": "tools' shim", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "tools' grub",
	})
	write(t, root, map[string]string{"boot/vmlinuz-1": "K", "boot/initrd.img-1": "I"})
	return Options{
		Arch: metal.AMD64, Root: root, Tools: tools, TargetInTools: "/target", Boot: Place{"U", "/boot"},
		RootParameter: "root=UUID=U", Parameters: "quiet", Programs: &programs{core: core(4)},
	}
}

func TestADiskGetsBothStagesInTheirPlaces(t *testing.T) {
	o := fixture(t)
	device := filepath.Join(t.TempDir(), "disk")
	table := strings.Repeat("T", 2<<20)
	write(t, filepath.Dir(device), map[string]string{"disk": table})
	o.Disks = []Disk{{Device: device, Offset: 1 << 20, Bytes: 1 << 19}}
	if err := Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	got := read(t, device)
	le := binary.LittleEndian
	if first := le.Uint64([]byte(got)[kernelSector:]); first != 2048 {
		t.Errorf("boot code: got block %d for the second stage; want 2048", first)
	}
	if got[bootCodeBytes:sectorBytes] != table[:sectorBytes-bootCodeBytes] {
		t.Error("the partition table in block 0 was overwritten")
	}
	stage := got[1<<20:]
	if stage[:4] != "CORE" || le.Uint64([]byte(stage)[blockListStart:]) != 2049 || stage[4*sectorBytes] != 'T' {
		t.Errorf("second stage: got %q; want the core, its rest from block 2049, and nothing behind it", stage[:16])
	}
	if got := read(t, filepath.Join(o.Root, "boot/grub/grub.cfg")); !strings.Contains(got, "linux /boot/vmlinuz-1 root=UUID=U ro quiet\n") {
		t.Errorf("menu: got %s", got)
	}
	if read(t, filepath.Join(o.Root, "boot/grub/i386-pc/normal.mod")) != "M" {
		t.Error("GRUB's modules are missing")
	}
	if _, err := os.Stat(filepath.Join(o.Root, "boot/grub/i386-pc/README")); err == nil {
		t.Error("more than GRUB's modules was copied")
	}
}

func TestEveryESPGetsTheSignedLoaders(t *testing.T) {
	tests := []struct {
		name       string
		own        map[string]string
		shim, grub string
	}{
		{"the tools' where the system has none", nil, "tools' shim", "tools' grub"},
		{"the system's own", map[string]string{"usr/lib/shim/shimx64.efi.signed": "own shim", "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed": "own grub"}, "own shim", "own grub"},
		{"both of the tools where the system has one of them", map[string]string{"usr/lib/shim/shimx64.efi.signed": "own shim"}, "tools' shim", "tools' grub"},
	}
	for _, tt := range tests {
		o := fixture(t)
		write(t, o.Root, tt.own)
		o.ESPs = []string{t.TempDir(), t.TempDir()}
		if err := Install(t.Context(), o); err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		for _, esp := range o.ESPs {
			if got := read(t, filepath.Join(esp, "EFI/BOOT/BOOTX64.EFI")); got != tt.shim {
				t.Errorf("%s: first loader: got %q; want %q", tt.name, got, tt.shim)
			}
			if got := read(t, filepath.Join(esp, "EFI/BOOT/grubx64.efi")); got != tt.grub {
				t.Errorf("%s: second loader: got %q; want %q", tt.name, got, tt.grub)
			}
			if got := read(t, filepath.Join(esp, "EFI/debian/grub.cfg")); got != early(o.Boot) {
				t.Errorf("%s: config: got %q", tt.name, got)
			}
		}
	}
}

func TestTheSystemsOwnToolMakesItsMenu(t *testing.T) {
	o := fixture(t)
	write(t, o.Root, map[string]string{"usr/sbin/update-grub": "#!/bin/sh"})
	if err := Install(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	if ran := o.Programs.(*programs).ran; len(ran) != 1 || ran[0] != "update-grub" {
		t.Errorf("got %v; want update-grub alone", ran)
	}
	if got := read(t, filepath.Join(o.Root, "etc/default/grub.d/90-metal.cfg")); !strings.Contains(got, "GRUB_CMDLINE_LINUX='quiet'") {
		t.Errorf("settings: got %s", got)
	}
}

func TestADiskStaysUnbootableWhenAnythingBeforeFails(t *testing.T) {
	for _, fail := range []string{"update-grub", "grub-mkimage"} {
		o := fixture(t)
		write(t, o.Root, map[string]string{"usr/sbin/update-grub": "#!/bin/sh"})
		o.Programs.(*programs).fail = fail
		device := filepath.Join(t.TempDir(), "disk")
		write(t, filepath.Dir(device), map[string]string{"disk": "untouched"})
		o.Disks = []Disk{{Device: device, Offset: 1 << 20, Bytes: 1 << 20}}
		if err := Install(t.Context(), o); err == nil {
			t.Errorf("%s: got no error", fail)
		}
		if got := read(t, device); got != "untouched" {
			t.Errorf("%s: the disk was written to", fail)
		}
	}
}

func TestPatchRefusesWhatIsNotGRUB(t *testing.T) {
	boot := make([]byte, sectorBytes)
	good := Disk{Offset: 1 << 20, Bytes: 1 << 20}
	tests := []struct {
		name string
		boot []byte
		core []byte
		disk Disk
	}{
		{"a short boot.img", boot[:100], core(4), good},
		{"a short core.img", boot, core(4)[:512], good},
		{"a core.img of another length than it says", boot, core(4)[:1024], good},
		{"a partition too small", boot, core(4), Disk{Offset: 1 << 20, Bytes: 1024}},
		{"a partition at the disk's start", boot, core(4), Disk{Bytes: 1 << 20}},
	}
	for _, tt := range tests {
		if _, _, err := patch(tt.boot, tt.core, tt.disk); err == nil {
			t.Errorf("%s: got no error", tt.name)
		}
	}
}

func FuzzPatch(f *testing.F) {
	f.Add(make([]byte, sectorBytes), core(3), int64(1<<20), int64(1<<20))
	f.Fuzz(func(t *testing.T, boot, core []byte, offset, bytes int64) {
		code, image, err := patch(boot, core, Disk{Offset: offset, Bytes: bytes})
		if err == nil && (len(code) != bootCodeBytes || len(image)%sectorBytes != 0 || len(image) < len(core)) {
			t.Errorf("got %d and %d bytes", len(code), len(image))
		}
	})
}
