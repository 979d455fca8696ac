package hardware

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// fakeInstaller reads the archive and notes what it was given.
type fakeInstaller struct {
	disks   []metal.Disk
	archive string
	fail    error
}

func (f *fakeInstaller) Install(_ context.Context, _ agentapi.Install, disks []metal.Disk, archive io.Reader, progress func(float64)) error {
	raw, err := io.ReadAll(archive)
	f.disks, f.archive = disks, string(raw)
	progress(1)
	return errors.Join(err, f.fail)
}

func TestAnInstallationGetsTheDisksAndTheArchive(t *testing.T) {
	m := newMachine(&fakeDisks{all: []metal.Disk{{Name: "sda"}, {Name: "sdb"}}}, nil)
	var f fakeInstaller
	m.Installer = &f
	m.ImagePart = func(_ context.Context, digest string, offset, length int64) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader(("archive " + digest)[offset : offset+length])), nil
	}
	in := agentapi.Install{Digest: "abc", StoredBytes: 11, Plan: metal.StoragePlan{Disks: []metal.PlannedDisk{{Name: "disk1", Kernel: "sda", Serial: "S", Bytes: 7}}}}
	got, err := m.Install(t.Context(), in, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(metal.Disk{Name: "sda", Serial: "S", Bytes: 7}, got.Disk); diff != "" {
		t.Errorf("disk (-want +got):\n%s", diff)
	}
	if f.archive != "archive abc" || len(f.disks) != 2 {
		t.Errorf("got archive %q and disks %v", f.archive, f.disks)
	}
	f.fail = errors.New("no room")
	if _, err := m.Install(t.Context(), in, func(float64) {}); !errors.Is(err, f.fail) {
		t.Errorf("got %v; want the installer's error", err)
	}
}
