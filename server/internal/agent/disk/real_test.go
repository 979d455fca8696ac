package disk

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"unsafe"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// TestARealDeviceIsErasedInEveryWay destroys what is on the device that METAL_TEST_DEVICE names, as in /dev/nvme0n1. It
// is for a virtual machine, whose devices have commands that loop devices lack.
func TestARealDeviceIsErasedInEveryWay(t *testing.T) {
	path := os.Getenv("METAL_TEST_DEVICE")
	if path == "" {
		t.Skip("METAL_TEST_DEVICE names no device to destroy")
	}
	disks, err := List("/sys", "/dev")
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(disks, func(d metal.Disk) bool { return d.Name == filepath.Base(path) })
	if i < 0 {
		t.Fatalf("List does not know %s: %+v", path, disks)
	}
	t.Logf("%+v", disks[i])
	modes := []metal.Erase{metal.EraseQuick, metal.EraseZero}
	if disks[i].Bus == "nvme" {
		modes = append(modes, metal.EraseSecure)
	}
	for _, mode := range modes {
		fill(t, path, 32<<20)
		got, err := Erase(t.Context(), disks[i], path, mode, nil)
		if err != nil {
			t.Errorf("%s: %v", mode, err)
			continue
		}
		t.Logf("%s: %+v", mode, got)
		if got.NonZero != 0 || !isZero(peek(t, path, 0, 32<<20)) {
			t.Errorf("%s: data is left: %+v", mode, got)
		}
	}
}

func TestTheNVMeCommandHasTheKernelsLayout(t *testing.T) {
	var c nvmeCommand
	if got, want := unsafe.Sizeof(c), uintptr(72); got != want {
		t.Errorf("size: got %d; want %d", got, want)
	}
	if got, want := unsafe.Offsetof(c.cdw10), uintptr(40); got != want {
		t.Errorf("offset of cdw10: got %d; want %d", got, want)
	}
}
