package bootenv

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestKernelPackageIsReadFromWhatAptSays(t *testing.T) {
	said := "linux-image-cloud-arm64\n  Depends: linux-base\n  Depends: linux-image-6.1.0-56-cloud-arm64\n"
	if got := imagePackage(said); got != "linux-image-6.1.0-56-cloud-arm64" {
		t.Errorf("got %q; want linux-image-6.1.0-56-cloud-arm64", got)
	}
	if got := imagePackage("linux-image-cloud-arm64\n"); got != "" {
		t.Errorf("got %q; want nothing", got)
	}
	shown := "Package: k\nVersion: 1:6.1-2\nArchitecture: arm64\n"
	if got := debName("k", shown, metal.ARM64); got != "k_1%3a6.1-2_arm64.deb" {
		t.Errorf("got %q; want k_1%%3a6.1-2_arm64.deb", got)
	}
}

func TestMetaPackage(t *testing.T) {
	tests := []struct {
		arch    metal.Arch
		flavour Flavour
		want    string
		code    metal.Code
	}{
		{metal.AMD64, Cloud, "linux-image-cloud-amd64", ""},
		{metal.ARM64, Generic, "linux-image-arm64", ""},
		{"s390x", Cloud, "", metal.Invalid},
		{metal.AMD64, "rt", "", metal.Invalid},
	}
	for _, tt := range tests {
		got, err := metaPackage(tt.arch, tt.flavour)
		if got != tt.want || metal.CodeOf(err) != tt.code {
			t.Errorf("%s %s: got %q, %v; want %q, code %q", tt.arch, tt.flavour, got, err, tt.want, tt.code)
		}
	}
}

func TestModinfo(t *testing.T) {
	got, err := readModinfo(moduleFile("license=GPL\x00depends=a,b\x00alias=x:*\x00softdep=pre: c d post: e\x00softdep=post: f\x00"))
	want := modinfo{depends: []string{"a", "b"}, aliases: []string{"x:*"}, softPre: []string{"c", "d"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(modinfo{})); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func FuzzReadModinfo(f *testing.F) {
	f.Add(moduleFile("depends=a,b\x00alias=x:*\x00softdep=pre: c\x00"))
	f.Add([]byte("\x7fELF"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := readModinfo(raw)
		if err == nil && slices.Contains(m.depends, "") {
			t.Error("a module depends on a module without a name")
		}
	})
}

func FuzzUnpackTar(f *testing.F) {
	for _, name := range []string{"./boot/vmlinuz-6", "../../boot/vmlinuz-6", "usr/lib/modules/6/a.ko", "/lib/modules/../../x.ko"} {
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		if err := w.WriteHeader(&tar.Header{Name: name, Size: 1, Mode: 0o644, Typeflag: tar.TypeReg}); err != nil {
			f.Fatal(err)
		}
		w.Write([]byte("x"))
		w.Close()
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		outer := t.TempDir()
		dir := filepath.Join(outer, "inner")
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		unpackTar(t.Context(), bytes.NewReader(raw), dir) // whatever it returns, it must stay inside
		if left, err := os.ReadDir(outer); err != nil || len(left) != 1 {
			t.Errorf("got %v, %v beside the folder; want nothing", left, err)
		}
	})
}
