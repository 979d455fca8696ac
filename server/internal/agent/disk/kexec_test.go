package disk

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestPartitionsAreOrderedAndTheDiskIsLast(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"sda", "sda1", "sda10", "sda2", "sdaa1", "nvme0n1", "nvme0n1p1", "nvme0n1p15", "nvme0n1p2", "nvme0n10"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for disk, want := range map[string]string{"sda": "sda1 sda2 sda10 sda", "nvme0n1": "nvme0n1p1 nvme0n1p2 nvme0n1p15 nvme0n1"} {
		var got []string
		for _, p := range partitionPaths(filepath.Join(dir, disk)) {
			got = append(got, filepath.Base(p))
		}
		if diff := cmp.Diff(strings.Fields(want), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", disk, diff)
		}
	}
}

func TestKexecOfADiskWithoutASystemSaysSo(t *testing.T) {
	path := loopDisk(t, 32<<20)
	tools(t, "mkfs.ext4")
	if out, err := exec.Command("mkfs.ext4", "-q", path).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v: %s", err, out)
	}
	err := KexecFromDisk(t.Context(), path, "")
	if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "none of its 1 partitions has a kernel") {
		t.Errorf("got %v; want an error that says there is no kernel", err)
	}
	if err := KexecFromDisk(cancelled(t), path, ""); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("called off: got %v; want a conflict", err)
	}
}

func TestSeveralInitramfsBecomeOneAndAPackedKernelIsUnpacked(t *testing.T) {
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write([]byte("kernel")); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	fsys := fstest.MapFS{"vmlinuz-a": {Data: []byte("plain")}, "vmlinuz-z": {Data: packed.Bytes()}, "i1": {Data: []byte("one")}, "i2": {Data: []byte("two")}}
	for _, c := range []struct {
		names []string
		want  string
	}{
		{[]string{"i1", "i2"}, "onetwo"},
		{[]string{"vmlinuz-a"}, "plain"},
		{[]string{"vmlinuz-z"}, "kernel"},
	} {
		f, err := inMemory(fsys, c.names...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(io.NewSectionReader(f, 0, 100))
		f.Close()
		if err != nil || string(got) != c.want {
			t.Errorf("%v: got %q, %v; want %q", c.names, got, err, c.want)
		}
	}
	if _, err := inMemory(fsys, "gone"); err == nil {
		t.Error("a file that is not there was copied")
	}
}
