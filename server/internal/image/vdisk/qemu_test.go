package vdisk

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// qemu runs one of QEMU's tools. A missing one skips the test on a laptop and fails it in CI.
func qemu(t testing.TB, tool string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", tool)
		}
		t.Skipf("%s is not installed", tool)
	}
	if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s %q: %v\n%s", tool, args, err, out)
	}
}

// sample writes a raw disk of size bytes with data, text and holes.
func sample(t testing.TB, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	random := rand.New(rand.NewChaCha8([32]byte{2}))
	for off := 0; off < size; off += 100_000 {
		part := content[off:min(size, off+40_000)]
		switch random.IntN(3) {
		case 0:
			for i := range part {
				part[i] = byte(random.Uint32())
			}
		case 1:
			copy(part, bytes.Repeat([]byte("what qemu-img packs well, "), len(part)/26+1))
		}
	}
	path = filepath.Join(t.TempDir(), "disk.raw")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// opener opens one of the formats.
type opener func(src io.ReaderAt, file, most int64) (*Disk, error)

// forms are the formats as qemu-img makes them.
var forms = []struct {
	name    string
	open    opener
	convert []string
}{
	{"VMDK monolithicSparse", OpenVMDK, []string{"-O", "vmdk"}},
	{"VMDK monolithicSparse with zero grains", OpenVMDK, []string{"-O", "vmdk", "-o", "zeroed_grain=on", "-S", "0"}},
	{"VMDK streamOptimized", OpenVMDK, []string{"-O", "vmdk", "-o", "subformat=streamOptimized"}},
	{"VHD dynamic", OpenVHD, []string{"-O", "vpc", "-o", "force_size=on"}},
	{"VHD dynamic with a size of cylinders", OpenVHD, []string{"-O", "vpc"}},
	{"VHD fixed", OpenVHD, []string{"-O", "vpc", "-o", "subformat=fixed,force_size=on"}},
	{"VHDX", OpenVHDX, []string{"-O", "vhdx"}},
	{"VHDX in blocks of 1 MiB", OpenVHDX, []string{"-O", "vhdx", "-o", "block_size=1M"}},
	{"VHDX fixed", OpenVHDX, []string{"-O", "vhdx", "-o", "subformat=fixed"}},
}

// converted makes an image of a raw disk.
func converted(t testing.TB, raw string, args []string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "disk.image")
	qemu(t, "qemu-img", append(append([]string{"convert", "-f", "raw"}, args...), raw, image)...)
	return image
}

func open(t testing.TB, path string, by opener) (*Disk, error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	return by(f, info.Size(), 1<<30)
}

func contentOf(d *Disk) ([]byte, error) { return io.ReadAll(io.NewSectionReader(d, 0, d.Size)) }

func TestDisksThatQemuConvertedReadBackTheSame(t *testing.T) {
	for _, size := range []int{5<<20 + 512, 37 << 20, 64 << 10} {
		raw, want := sample(t, size)
		for _, form := range forms {
			t.Run(fmt.Sprint(form.name, " of ", size), func(t *testing.T) {
				d, err := open(t, converted(t, raw, form.convert), form.open)
				if err != nil {
					t.Fatal(err)
				}
				got, err := contentOf(d)
				if err != nil {
					t.Fatal(err)
				}
				// A VHD whose size is told in cylinders, and a VMDK, which ends with a whole grain, may be longer.
				if len(got) < len(want) || !bytes.Equal(got[:len(want)], want) || len(bytes.Trim(got[len(want):], "\x00")) > 0 {
					t.Errorf("got a disk of %d bytes that differs; want the %d bytes that went in", len(got), len(want))
				}
			})
		}
	}
}

func TestDisksThatQemuWroteToReadAsQemuReadsThem(t *testing.T) {
	for _, format := range []struct {
		name string
		open opener
	}{{"vmdk", OpenVMDK}, {"vpc", OpenVHD}, {"vhdx", OpenVHDX}} {
		t.Run(format.name, func(t *testing.T) {
			dir := t.TempDir()
			image, raw := filepath.Join(dir, "disk.image"), filepath.Join(dir, "disk.raw")
			qemu(t, "qemu-img", "create", "-q", "-f", format.name, image, "20M")
			qemu(t, "qemu-io", "-f", format.name, "-c", "write -P 1 0 512", "-c", "write -P 2 100k 200k", "-c", "write -P 3 9999k 1k", image)
			qemu(t, "qemu-img", "convert", "-f", format.name, "-O", "raw", image, raw)
			want, err := os.ReadFile(raw)
			if err != nil {
				t.Fatal(err)
			}
			d, err := open(t, image, format.open)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := contentOf(d); err != nil || !bytes.Equal(got, want) {
				t.Errorf("got %v and a disk of %d bytes that differs from qemu-img's of %d", err, len(got), len(want))
			}
		})
	}
}
