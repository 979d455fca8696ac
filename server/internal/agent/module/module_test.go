package module

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const dep = `kernel/drivers/net/virtio_net.ko: kernel/drivers/net/net_failover.ko kernel/net/core/failover.ko kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/net/net_failover.ko: kernel/net/core/failover.ko
kernel/net/core/failover.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/arch/x86/crypto/crc32c-intel.ko:
kernel/drivers/ata/ahci.ko:
`

const aliases = `# Aliases extracted from modules themselves.
alias virtio:d00000001v* virtio_net
alias virtio:d00000002v* virtio_blk
alias pci:v00001AF4d*sv*sd*bc*sc*i* virtio_pci
alias pci:v*d*sv*sd*bc01sc06i01* ahci
alias crypto-crc32c crc32c-intel
`

func TestModulesAreLoadedForDevicesInOrder(t *testing.T) {
	l, loaded, plug := newRack(t)
	plug("pci", "0000:00:02.0", "pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00")
	plug("pci", "0000:00:03.0", "pci:v00001AF4d00001001sv00001AF4sd00000002bc01sc00i00")
	plug("pci", "0000:00:04.0", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01")
	l.insert = func(path string) error {
		*loaded = append(*loaded, NameOf(path))
		if NameOf(path) == "virtio_pci" { // the bus driver brings its devices with it
			plug("virtio", "virtio0", "virtio:d00000001v00001AF4")
			plug("virtio", "virtio1", "virtio:d00000002v00001AF4")
		}
		return nil
	}

	if err := l.ForNetwork(); err != nil {
		t.Fatal(err)
	}
	network := []string{"virtio", "virtio_ring", "virtio_pci", "failover", "net_failover", "virtio_net"}
	if diff := cmp.Diff(network, *loaded); diff != "" {
		t.Errorf("for the network (-want +got):\n%s", diff)
	}
	if err := l.ForAll(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(append(network, "ahci", "virtio_blk"), *loaded); diff != "" {
		t.Errorf("for all (-want +got):\n%s", diff)
	}
}

func TestOneModuleThatFailsDoesNotKeepTheOthersOut(t *testing.T) {
	l, loaded, plug := newRack(t)
	plug("pci", "0000:00:04.0", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01")
	plug("virtio", "virtio0", "virtio:d00000001v00001AF4")
	broken := errors.New("exec format error")
	l.insert = func(path string) error {
		if NameOf(path) == "ahci" {
			return broken
		}
		*loaded = append(*loaded, NameOf(path))
		return nil
	}
	if err := l.ForAll(); !errors.Is(err, broken) {
		t.Errorf("got %v; want it to tell of ahci", err)
	}
	if got := strings.Join(*loaded, " "); !strings.HasSuffix(got, "virtio_net") {
		t.Errorf("got %s; want virtio_net to be loaded all the same", got)
	}
}

func TestLoadTakesNamesAndAliases(t *testing.T) {
	l, loaded, _ := newRack(t)
	for _, name := range []string{"crypto-crc32c", "crc32c_intel", "crc32c-intel", "no-such-thing"} {
		if _, err := l.Load(name); err != nil {
			t.Errorf("%s: got %v; want nil", name, err)
		}
	}
	if diff := cmp.Diff([]string{"crc32c_intel"}, *loaded); diff != "" {
		t.Errorf("loaded (-want +got):\n%s", diff)
	}
}

func TestMatch(t *testing.T) {
	tests := []struct {
		pattern, text string
		want          bool
	}{
		{"virtio:d00000001v*", "virtio:d00000001v00001AF4", true},
		{"virtio:d00000001v*", "virtio:d00000002v00001AF4", false},
		{"pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01", true},
		{"pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i02", false},
		{"a*b", "aXbXb", true},
		{"a*b", "aXbX", false},
		{"scsi:t-0x0[0e]*", "scsi:t-0x0e", true},
		{"x[0-9]y", "x5y", true},
		{"x[0-9]y", "xay", false},
		{"x[0-9", "x[0-9", true},
		{"?b", "ab", true},
		{"?", "", false},
		{"", "", true},
		{"*", "", true},
		{"", "a", false},
	}
	for _, tt := range tests {
		if got := match(tt.pattern, tt.text); got != tt.want {
			t.Errorf("match(%q, %q): got %v; want %v", tt.pattern, tt.text, got, tt.want)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("pci:v*d*sv*sd*bc01sc06i01*", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01")
	f.Add("[0-", "-")
	f.Add("**?*[]", "aaaa")
	f.Fuzz(func(t *testing.T, pattern, text string) {
		match(pattern, text)
		if !match("*", text) {
			t.Errorf("a star does not match %q", text)
		}
		if !strings.ContainsAny(text, "*?[") && !match(text, text) {
			t.Errorf("%q does not match itself", text)
		}
	})
}

func TestReadIndexRefusesOtherLines(t *testing.T) {
	if _, err := ReadIndex(strings.NewReader("nonsense\n"), strings.NewReader("")); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("modules.dep: got %v; want an Invalid error", err)
	}
	if _, err := ReadIndex(strings.NewReader(""), strings.NewReader("alias x\n")); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("modules.alias: got %v; want an Invalid error", err)
	}
}

func FuzzReadIndex(f *testing.F) {
	f.Add(dep, aliases)
	f.Add("a: b c\n", "alias a b\n")
	f.Fuzz(func(t *testing.T, dep, aliases string) {
		x, err := ReadIndex(strings.NewReader(dep), strings.NewReader(aliases))
		if err != nil {
			return
		}
		for name := range x.modules {
			if len(x.Paths(name)) == 0 {
				t.Errorf("module %q has no path", name)
			}
		}
	})
}

// newRack returns a loader over an empty machine, the list of what it loaded, and a way to plug devices in.
func newRack(t *testing.T) (l *Loader, loaded *[]string, plug func(bus, name, modalias string)) {
	t.Helper()
	dir, sys := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "modules.dep"), dep)
	write(t, filepath.Join(dir, "modules.alias"), aliases)
	if err := os.MkdirAll(filepath.Join(sys, "bus"), 0o755); err != nil {
		t.Fatal(err)
	}
	l, err := NewLoader(dir, sys)
	if err != nil {
		t.Fatal(err)
	}
	loaded = &[]string{}
	l.insert = func(path string) error { *loaded = append(*loaded, NameOf(path)); return nil }
	return l, loaded, func(bus, name, modalias string) {
		write(t, filepath.Join(sys, "bus", bus, "devices", name, "modalias"), modalias+"\n")
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
