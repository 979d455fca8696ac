package bootenv

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestPackagesAreReadFromASimulatedInstallation(t *testing.T) {
	said := `NOTE: This is only a simulation!
Inst gcc-12-base (12.2.0-14+deb12u1 Debian:12.12/oldstable [amd64]) [libc6:amd64 ]
Inst libc6 (2.36-9+deb12u14 Debian:12.12/oldstable, Debian-Security:12/oldstable-security [amd64])
Inst lsb-base (11.6 Debian:12.12/oldstable [all])
Inst lvm2:amd64 (2.03.16-2 Debian:12.12/oldstable [amd64]) []
Inst squashfs-tools (1:4.5.1-1 Debian:12.12/oldstable [amd64])
Conf libc6 (2.36-9+deb12u14 Debian:12.12/oldstable [amd64])
`
	want := []string{
		"gcc-12-base_12.2.0-14+deb12u1_amd64.deb", "libc6_2.36-9+deb12u14_amd64.deb", "lsb-base_11.6_all.deb", "lvm2_2.03.16-2_amd64.deb",
		"squashfs-tools_1%3a4.5.1-1_amd64.deb",
	}
	if diff := cmp.Diff(want, installed(said)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestToolsAreLaidOutOverOneTreeWithoutWhatNobodyReads(t *testing.T) {
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, h := range []tar.Header{
		{Name: "./", Typeflag: tar.TypeDir}, {Name: "./sbin/mdadm", Typeflag: tar.TypeReg, Mode: 0o755, Size: 1},
		{Name: "./usr/sbin/other", Typeflag: tar.TypeLink, Linkname: "./usr/sbin/mdadm"}, {Name: "./lib/libx.so.1", Typeflag: tar.TypeSymlink, Linkname: "libx.so.1.2"},
		{Name: "./usr/share/doc/mdadm/copyright", Typeflag: tar.TypeReg}, {Name: "./var/lib/mdadm", Typeflag: tar.TypeDir}, {Name: "../../escape", Typeflag: tar.TypeReg},
	} {
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := w.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	if err := unpackTools(t.Context(), &raw, root); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{
		"usr/sbin/mdadm": true, "usr/sbin/other": true, "usr/lib/libx.so.1": true, "sbin": false, "usr/share/doc": false, "var": false, "escape": true,
	} {
		if _, err := os.Lstat(filepath.Join(dir, name)); (err == nil) != there {
			t.Errorf("%s: got %v; want it there: %v", name, err, there)
		}
	}
	names := packed(t, root)
	for _, name := range []string{"bin", "lib64", "target/", "usr/sbin/mdadm"} {
		if !names[name] {
			t.Errorf("the archive lacks %s", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := packTools(ctx, io.Discard, root); !errors.Is(err, context.Canceled) {
		t.Errorf("called off: got %v", err)
	}
}

// packed packs a tree and returns the names in the archive.
func packed(t *testing.T, root *os.Root) map[string]bool {
	t.Helper()
	var out bytes.Buffer
	if err := packTools(t.Context(), &out, root); err != nil {
		t.Fatal(err)
	}
	z, err := zstd.NewReader(&out)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	names := map[string]bool{}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		names[h.Name] = true
	}
}

func TestToolsOfAnUnknownArchitectureAreRefused(t *testing.T) {
	if err := BuildTools(t.Context(), ToolsOptions{Arch: "riscv64", OutDir: t.TempDir(), CacheDir: t.TempDir()}); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("got %v; want Invalid", err)
	}
}

func FuzzInstalled(f *testing.F) {
	f.Add("Inst libc6 (2.36-9 Debian:12/stable [amd64]) [x]\n")
	f.Fuzz(func(t *testing.T, said string) {
		for _, name := range installed(said) {
			if filepath.Ext(name) != ".deb" {
				t.Errorf("got %q; want a package", name)
			}
		}
	})
}
