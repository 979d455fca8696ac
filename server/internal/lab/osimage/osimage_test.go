package osimage

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestBothOfGRUBsStagesArePatched(t *testing.T) {
	boot, core := make([]byte, 512), make([]byte, 30*512-100)
	binary.LittleEndian.PutUint16(core[blockListCount:], 29)
	if err := patchGRUB(boot, core, 2048); err != nil {
		t.Fatal(err)
	}
	if got := binary.LittleEndian.Uint64(boot[kernelSector:]); got != 2048 {
		t.Errorf("boot.img loads block %d; want 2048", got)
	}
	if got := binary.LittleEndian.Uint64(core[blockListStart:]); got != 2049 {
		t.Errorf("core.img goes on at block %d; want 2049", got)
	}
	if boot[driveCheck] != 0x90 || boot[driveCheck+1] != 0x90 {
		t.Error("the floppy's jump is still there")
	}
}

func TestImagesThatAreNotGRUBAreRefused(t *testing.T) {
	wrong := make([]byte, 4096)
	large := make([]byte, 3000*512)
	binary.LittleEndian.PutUint16(large[blockListCount:], 2999)
	for _, c := range []struct {
		name       string
		boot, core []byte
		want       string
	}{
		{"boot.img of another size", make([]byte, 440), wrong, "boot.img has 440 bytes"},
		{"core.img that is cut off", make([]byte, 512), wrong, "says that 0 sectors follow"},
		{"core.img too large", make([]byte, 512), large, "does not fit"},
		{"no core.img", make([]byte, 512), nil, "core.img 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := patchGRUB(c.boot, c.core, 2048); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want an error with %q", err, c.want)
			}
		})
	}
}

func TestCandidatesAreReadFromAptsPolicy(t *testing.T) {
	policy := "zstd:\n  Installed: (none)\n  Candidate: 1.5.4\n  Version table:\n     1.5.4 500\nadduser:\n  Installed: 3.1\n  Candidate: 3.134\n"
	if diff := cmp.Diff([]string{"adduser 3.134", "zstd 1.5.4"}, candidates(policy)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTheRealKernelIsFound(t *testing.T) {
	depends := "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n  Conflicts: x\n"
	if got, want := realPackage(depends), "linux-image-6.1.0-56-cloud-amd64"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	if got := realPackage("E: No packages found\n"); got != "" {
		t.Errorf("got %q; want nothing", got)
	}
}

func TestAPlacedImageReplacesTheOldOne(t *testing.T) {
	dir := t.TempDir()
	cached, out := filepath.Join(dir, "cached"), filepath.Join(dir, "sub/out")
	for _, content := range []string{"one", "two"} {
		if err := os.RemoveAll(cached); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(cached, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := place(cached, out); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(out)
		if err != nil || string(got) != content {
			t.Errorf("got %q, %v; want %q", got, err, content)
		}
	}
}

func TestOptionsMustSayWhereTo(t *testing.T) {
	if err := BuildTiny(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "Out and CacheDir") {
		t.Errorf("got %v; want an error that names Out and CacheDir", err)
	}
}
