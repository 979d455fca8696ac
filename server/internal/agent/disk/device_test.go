package disk

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tools skips a test where a real tool is missing, and fails it where CI promises them all.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: %v", n, err)
			}
			t.Skipf("%s is missing", n)
		}
	}
}

// plainDisk makes a sparse file that stands in for a disk; every ioctl on it fails with ENOTTY.
func plainDisk(t *testing.T, bytes int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, bytes); err != nil {
		t.Fatal(err)
	}
	return path
}

// loopDisk makes a real block device over a sparse file: one that discards and writes zeros by itself.
func loopDisk(t *testing.T, bytes int64) string {
	t.Helper()
	tools(t, "losetup")
	if os.Getuid() != 0 {
		if os.Getenv("CI") != "" {
			t.Fatal("loop devices need root")
		}
		t.Skip("loop devices need root")
	}
	out, err := exec.Command("losetup", "--find", "--show", plainDisk(t, bytes)).CombinedOutput()
	if err != nil {
		t.Skipf("there is no loop device: %s", out)
	}
	path := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "-d", path).CombinedOutput(); err != nil {
			t.Errorf("losetup -d: %v: %s", err, out)
		}
	})
	return path
}

// disks runs a test on both kinds.
func disks(t *testing.T, bytes int64, test func(t *testing.T, path string)) {
	t.Run("plain file", func(t *testing.T) { test(t, plainDisk(t, bytes)) })
	t.Run("loop device", func(t *testing.T) { test(t, loopDisk(t, bytes)) })
}

// fill writes something that is not zero everywhere.
func fill(t *testing.T, path string, n int) {
	t.Helper()
	patch(t, path, noise(n), 0)
}

func noise(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	if _, err := r.Read(b); err != nil {
		panic(err)
	}
	return b
}

func patch(t *testing.T, path string, b []byte, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		t.Fatal(err)
	}
}

func peek(t *testing.T, path string, at int64, n int) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, n)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestADiskInUseIsRefused(t *testing.T) {
	path := loopDisk(t, 32<<20)
	first, err := openDevice(path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	if _, err := openDevice(path); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("got error %v; want one that says the disk is in use", err)
	}
}

func TestBytesOfAnyLengthAreWrittenAndReadBack(t *testing.T) {
	disks(t, 16<<20, func(t *testing.T, path string) {
		d, err := openDevice(path)
		if err != nil {
			t.Fatal(err)
		}
		defer d.Close()
		want := noise(chunkBytes + 700)
		if err := d.writeBytes(want, 512); err != nil {
			t.Fatal(err)
		}
		got, err := d.readBytes(512, len(want))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("read back: %v, or the content differs", err)
		}
		if _, err := d.readBytes(1<<40, 512); err != nil {
			t.Errorf("read beyond the end: got %v; want no bytes and no error", err)
		}
	})
}

func TestAWriteErrorTellsItsOffset(t *testing.T) {
	d, err := openDevice(loopDisk(t, 16<<20))
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	err = d.writeBytes(make([]byte, 4096), 16<<20)
	if err == nil || !strings.Contains(err.Error(), "offset 16777216") {
		t.Errorf("got error %v; want one with the offset", err)
	}
}

// cancelled is a context that has ended.
func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}
