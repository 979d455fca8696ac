package image

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// smallDisk mounts a file system of 2 MiB.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=2m"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

func TestAFullDiskSaysHowMuchWasNeededAndIsCleared(t *testing.T) {
	raw := rawDisk(24 << 20) // 2.4 MiB of it do not pack
	dir := t.TempDir()
	rawFile := write(t, filepath.Join(dir, "disk.img"), raw)
	qcow2 := qcow2Of(t, raw)
	qcow2File := write(t, filepath.Join(dir, "disk.qcow2"), qcow2)
	tests := []struct {
		name   string
		source string
		upload io.Reader
		says   string
	}{
		{"while a raw file is packed", rawFile, nil, "needs about"},
		{"while an upload is packed, of unknown size", "", bytes.NewReader(raw), "more than the"},
		{"while a qcow2 file is packed", qcow2File, nil, "needs about"},
		{"while a qcow2 upload is put down", "", bytes.NewReader(qcow2), "more than the"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, err := Open(smallDisk(t), Options{AllowedDirs: []string{dir}})
			if err != nil {
				t.Fatal(err)
			}
			_, err = s.Import(t.Context(), metal.ImageSpec{Source: tt.source}, tt.upload, nil)
			if metal.CodeOf(err) != metal.Exhausted || !strings.Contains(err.Error(), tt.says) || !strings.Contains(err.Error(), "MiB are free") {
				t.Errorf("got %v (%s); want exhausted that says %q", err, metal.CodeOf(err), tt.says)
			}
			if left := files(t, s); len(left) != 0 {
				t.Errorf("got %v left in the store; want nothing", left)
			}
		})
	}
}

func TestAFetchThatCannotFitIsNotBegun(t *testing.T) {
	qcow2 := qcow2Of(t, rawDisk(24<<20))
	s, err := Open(smallDisk(t), Options{})
	if err != nil {
		t.Fatal(err)
	}
	src := &source{r: bytes.NewReader(nil), name: "a download", size: int64(len(qcow2)), close: func() error { return nil }}
	j := &job{store: s, src: src, meter: &meter{}}
	_, err = j.spool(t.Context(), src, true)
	if err = j.fault(t.Context(), err); metal.CodeOf(err) != metal.Exhausted || !strings.Contains(err.Error(), "for its conversion, and 2 MiB are free") {
		t.Errorf("got %v; want exhausted", err)
	}
}
