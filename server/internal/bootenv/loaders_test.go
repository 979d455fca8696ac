package bootenv

import (
	"archive/tar"
	"bytes"
	"debug/pe"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestOneFileIsCopiedOutOfAPackage(t *testing.T) {
	entry := func(kind byte, name, content string) func(*tar.Writer) error {
		return func(w *tar.Writer) error {
			h := &tar.Header{Typeflag: kind, Name: name, Mode: 0o644}
			if kind == tar.TypeReg {
				h.Size = int64(len(content))
			} else {
				h.Linkname = content
			}
			if err := w.WriteHeader(h); err != nil || kind != tar.TypeReg {
				return err
			}
			_, err := w.Write([]byte(content))
			return err
		}
	}
	for _, c := range []struct {
		name    string
		entries []func(*tar.Writer) error
		cut     int    // bytes that are lost at the end
		want    string // what the file holds
		err     string // else, in the error
	}{
		{"in any folder, beside others of longer names", []func(*tar.Writer) error{
			entry(tar.TypeReg, "./usr/lib/grub/grub.efi.signed.old", "old"), entry(tar.TypeReg, "./usr/lib/grub/grub.efi.signed", "wanted"),
		}, 0, "wanted", ""},
		{"behind a link of that name", []func(*tar.Writer) error{
			entry(tar.TypeSymlink, "./usr/share/grub.efi.signed", "../lib/grub.efi.signed"), entry(tar.TypeReg, "./usr/lib/grub.efi.signed", "wanted"),
		}, 0, "wanted", ""},
		{"that has none", []func(*tar.Writer) error{entry(tar.TypeReg, "./usr/share/doc/copyright", "text")}, 0, "", "has no grub.efi.signed"},
		{"that is cut off", []func(*tar.Writer) error{entry(tar.TypeReg, "grub.efi.signed", "wanted")}, 3*512 - 3, "", "unexpected EOF"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			w := tar.NewWriter(&b)
			for _, write := range c.entries {
				if err := write(w); err != nil {
					t.Fatal(err)
				}
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			out := t.TempDir()
			err := copyFile(bytes.NewReader(b.Bytes()[:b.Len()-c.cut]), "grub.efi.signed", out)
			got, readErr := os.ReadFile(filepath.Join(out, "grub.efi.signed"))
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) || readErr == nil {
					t.Errorf("got %v, and %q in the folder; want %q and nothing", err, got, c.err)
				}
				return
			}
			if err != nil || string(got) != c.want {
				t.Errorf("got %q, %v; want %q", got, err, c.want)
			}
		})
	}
}

// TestTheLoadersAreForArm64 fetches them by the host's apt.
func TestTheLoadersAreForArm64(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	needTool(t, "apt-get")
	cache := filepath.Join("..", "..", "..", ".cache", "kernel-"+string(metal.ARM64))
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := FetchLoaders(t.Context(), out, cache); err != nil {
		t.Fatal(err)
	}
	for _, l := range arm64Loaders() {
		f, err := pe.Open(filepath.Join(out, l.file))
		if err != nil {
			t.Fatal(err)
		}
		if f.Machine != pe.IMAGE_FILE_MACHINE_ARM64 {
			t.Errorf("%s: got machine %#x; want arm64", l.file, f.Machine)
		}
		f.Close()
	}
}
