package qcow2

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// qemu runs one of QEMU's tools. A missing one skips the test on a laptop and fails it in CI.
func qemu(t *testing.T, tool string, args ...string) {
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
func sample(t *testing.T, size int) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	random := rand.New(rand.NewChaCha8([32]byte{1}))
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

func readImage(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r, err := NewReader(f, 1<<30)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(r, 0, r.Size))
}

func TestDisksThatQemuConvertedReadBackTheSame(t *testing.T) {
	raw, want := sample(t, 5<<20+512)
	for _, args := range [][]string{
		{"-o", "compat=0.10"},
		{"-o", "compat=1.1"},
		{"-c", "-o", "compat=0.10"},
		{"-c"},
		{"-c", "-o", "compression_type=zstd"},
		{"-o", "cluster_size=512"},
		{"-c", "-o", "cluster_size=512"},
		{"-o", "cluster_size=2M"},
		{"-c", "-o", "cluster_size=2M"},
		{"-c", "-o", "cluster_size=2M,compression_type=zstd"},
		{"-o", "preallocation=metadata"},
		{"-o", "lazy_refcounts=on"},
		{"-o", "refcount_bits=1"},
	} {
		t.Run(fmt.Sprint(args), func(t *testing.T) {
			image := filepath.Join(t.TempDir(), "disk.qcow2")
			qemu(t, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), raw, image)...)
			got, err := readImage(image)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("got a disk of %d bytes that differs; want the %d bytes that went in", len(got), len(want))
			}
		})
	}
}

func TestDisksThatQemuWroteToReadAsQemuReadsThem(t *testing.T) {
	dir := t.TempDir()
	image, raw := filepath.Join(dir, "disk.qcow2"), filepath.Join(dir, "disk.raw")
	qemu(t, "qemu-img", "create", "-q", "-f", "qcow2", image, "3000K")
	qemu(t, "qemu-io", "-c", "write -P 1 0 512", "-c", "write -P 2 100k 200k", "-c", "write -z 128k 64k",
		"-c", "write -P 3 2999k 1k", "-c", "discard 200k 64k", image)
	qemu(t, "qemu-img", "snapshot", "-c", "before", image)
	qemu(t, "qemu-io", "-c", "write -P 4 1M 70k", "-c", "write -P 5 0 1k", image)
	qemu(t, "qemu-img", "resize", "-q", image, "4000K")
	qemu(t, "qemu-img", "convert", "-O", "raw", image, raw)
	want, err := os.ReadFile(raw)
	if err != nil {
		t.Fatal(err)
	}
	got, err := readImage(image)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("got a disk that differs from qemu-img's raw one; want the same")
	}
}

func TestImagesThatNeedMoreThanTheFileAreRefused(t *testing.T) {
	tests := []struct {
		name    string
		options []string
	}{
		{"a backing file", []string{"-F", "raw", "-b", "/etc/hostname"}},
		{"encryption", []string{"--object", "secret,id=k,data=secret123", "-o", "encrypt.format=aes,encrypt.key-secret=k"}},
		{"an external data file", []string{"-o", "data_file=DIR/data.raw"}},
		{"extended L2 entries", []string{"-o", "extended_l2=on"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			args := []string{"create", "-q", "-f", "qcow2"}
			for _, o := range tt.options {
				args = append(args, string(bytes.ReplaceAll([]byte(o), []byte("DIR"), []byte(dir))))
			}
			image := filepath.Join(dir, "disk.qcow2")
			qemu(t, "qemu-img", append(args, image, "1M")...)
			if _, err := readImage(image); !errors.Is(err, ErrUnsupported) {
				t.Errorf("got %v; want ErrUnsupported", err)
			}
		})
	}
}

func TestATruncatedImageIsNeverReadAsIfItWereWhole(t *testing.T) {
	raw, want := sample(t, 1<<20)
	for _, mode := range [][]string{nil, {"-c"}} {
		image := filepath.Join(t.TempDir(), "disk.qcow2")
		qemu(t, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, mode...), raw, image)...)
		whole, err := os.ReadFile(image)
		if err != nil {
			t.Fatal(err)
		}
		for cut := 0; cut < len(whole); cut += len(whole)/37 + 1 {
			r, err := NewReader(bytes.NewReader(whole[:cut]), 1<<30)
			var got []byte
			if err == nil {
				got, err = io.ReadAll(io.NewSectionReader(r, 0, r.Size))
			}
			if err == nil && !bytes.Equal(got, want) {
				t.Errorf("mode %q cut at %d of %d: read without an error; want one", mode, cut, len(whole))
			}
			if err != nil && !errors.Is(err, ErrTruncated) && !errors.Is(err, ErrNotQcow2) {
				t.Errorf("mode %q cut at %d of %d: got %v; want ErrTruncated", mode, cut, len(whole), err)
			}
		}
	}
}
