package disk

import (
	"context"
	"encoding/binary"
	"errors"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

func TestZeroLeavesNothing(t *testing.T) {
	const size = 20<<20 + 512
	disks(t, size, func(t *testing.T, path string) {
		fill(t, path, size)
		var last float64
		got, err := Erase(t.Context(), metal.Disk{Name: "sda", Serial: "S1"}, path, metal.EraseZero, func(f float64) {
			if f < last || f > 1 {
				t.Errorf("progress went from %v to %v", last, f)
			}
			last = f
		})
		if err != nil {
			t.Fatal(err)
		}
		if !isZero(peek(t, path, 0, size)) {
			t.Error("the disk is not all zero")
		}
		if got.Bytes != size || got.NonZero != 0 || got.Sampled != samples+2 || got.Serial != "S1" || !strings.Contains(got.Method, "zero") {
			t.Errorf("got %+v; want %d bytes and %d samples that are zero", got, size, samples+2)
		}
		if last != 1 {
			t.Errorf("last progress: got %v; want 1", last)
		}
	})
}

func TestQuickOfAPlainFileOverwritesSignaturesAndSaysWhatIsLeft(t *testing.T) {
	const size = 64 << 20
	path := plainDisk(t, size)
	fill(t, path, size)
	got, err := Erase(t.Context(), metal.Disk{Name: "sda"}, path, metal.EraseQuick, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if !isZero(peek(t, path, 0, endsBytes)) || !isZero(peek(t, path, size-endsBytes, endsBytes)) {
		t.Error("an end of the disk still holds data")
	}
	if got.Method != "signatures" || got.NonZero < 25 || got.NonZero > 40 {
		t.Errorf("got %+v; want about half of the samples reported as not zero", got)
	}
}

func TestQuickOfADeviceThatDiscardsLeavesNothing(t *testing.T) {
	const size = 64 << 20
	path := loopDisk(t, size)
	fill(t, path, size)
	got, err := Erase(t.Context(), metal.Disk{Name: "loop"}, path, metal.EraseQuick, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != "signatures, blkdiscard" || got.NonZero != 0 {
		t.Errorf("got %+v; want a discard that left zeros", got)
	}
}

func TestWaysToEraseThatAreRefused(t *testing.T) {
	path := plainDisk(t, 32<<20)
	for _, c := range []struct {
		name string
		disk metal.Disk
		mode metal.Erase
		want string
	}{
		{"secure on SATA", metal.Disk{Name: "sda", Bus: "sata"}, metal.EraseSecure, "IDENTIFY DEVICE"},
		{"secure on USB", metal.Disk{Name: "sdb", Bus: "usb"}, metal.EraseSecure, "cannot be told to erase itself"},
		{"secure on what is not NVMe after all", metal.Disk{Name: "nvme0n1", Bus: "nvme"}, metal.EraseSecure, "namespace"},
		{"none", metal.Disk{Name: "sda"}, metal.EraseNone, "no way"},
		{"read-only", metal.Disk{Name: "sda", ReadOnly: true}, metal.EraseZero, "read-only"},
	} {
		t.Run(c.name, func(t *testing.T) {
			fill(t, path, 4096)
			_, err := Erase(t.Context(), c.disk, path, c.mode, func(float64) {})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v; want one with %q", err, c.want)
			}
			if isZero(peek(t, path, 0, 4096)) {
				t.Error("the disk was wiped all the same")
			}
		})
	}
	if _, err := Erase(t.Context(), metal.Disk{}, path+"x", metal.EraseZero, nil); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("no such disk: got %v; want not_found", err)
	}
}

func TestEraseIsCalledOff(t *testing.T) {
	disks(t, 32<<20, func(t *testing.T, path string) {
		for _, mode := range []metal.Erase{metal.EraseQuick, metal.EraseZero} {
			if _, err := Erase(cancelled(t), metal.Disk{}, path, mode, func(float64) {}); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: got %v; want it called off", mode, err)
			}
		}
	})
}

func TestSignatureSpansCoverPartitionsAndStayOnTheDisk(t *testing.T) {
	const size = 1 << 30
	parts := []gpt.Span{{Offset: 100 << 20, Bytes: 500 << 20}, {Offset: 900 << 20, Bytes: 500 << 20}}
	spans := signatureSpans(parts, size, 512)
	covered := func(at int64) bool {
		for _, s := range spans {
			if at >= s.Offset && at < s.End() {
				return true
			}
		}
		return false
	}
	for _, c := range []struct {
		name string
		at   int64
		want bool
	}{
		{"partition table", 512, true},
		{"backup table", size - 512, true},
		{"partition's start", 100<<20 + 0x438, true},
		{"partition's end", 600<<20 - 512, true},
		{"copy of a btrfs superblock", 164<<20 + 64, true},
		{"middle of the partition", 300 << 20, false},
		{"partition that goes beyond the disk", 900 << 20, true},
	} {
		if got := covered(c.at); got != c.want {
			t.Errorf("%s: covered is %v; want %v", c.name, got, c.want)
		}
	}
	for _, s := range spans {
		if s.Offset < 0 || s.End() > size || s.Offset%512 != 0 || s.Bytes <= 0 {
			t.Errorf("span %+v is not on the disk", s)
		}
	}
}

func FuzzPartitions(f *testing.F) {
	f.Add([]byte{}, int64(1<<30))
	f.Add(append(make([]byte, 510), 0x55, 0xAA), int64(0))
	f.Fuzz(func(t *testing.T, head []byte, size int64) {
		if size < 0 {
			return
		}
		size = size / 512 * 512
		for _, s := range signatureSpans(partitions(head, 512), size, 512) {
			if s.Offset < 0 || s.Bytes <= 0 || s.End() > size {
				t.Fatalf("span %+v is not on a disk of %d bytes", s, size)
			}
		}
	})
}

func TestSamplePoints(t *testing.T) {
	for _, c := range []struct {
		name        string
		size        int64
		count       int
		first, last int64
	}{
		{"large disk", 1 << 40, samples + 2, 0, 1<<40 - sampleBytes},
		{"odd size", 1<<30 + 512, samples + 2, 0, 1<<30 + 512 - sampleBytes},
		{"one block", sampleBytes, 1, 0, 0},
		{"less than a block", 512, 1, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := samplePoints(c.size, 512)
			if len(p) != c.count || p[0] != c.first || p[len(p)-1] != c.last {
				t.Errorf("got %d points from %d to %d; want %d from %d to %d", len(p), p[0], p[len(p)-1], c.count, c.first, c.last)
			}
		})
	}
}

// controller makes identify data with these capabilities.
func controller(format bool, sanitize, namespaces uint32, fna byte) []byte {
	b := make([]byte, 4096)
	if format {
		b[256] = 1 << 1
	}
	binary.LittleEndian.PutUint32(b[328:], sanitize)
	binary.LittleEndian.PutUint32(b[516:], namespaces)
	b[524] = fna
	return b
}

func TestWhichNVMeCommandWipes(t *testing.T) {
	space := make([]byte, 4096)
	space[26] = 0x11 // LBA format 1, metadata in the data
	space[29] = 0x0A // protection type 2, first bytes
	const kept = 1 | 1<<4 | 2<<5 | 1<<8
	for _, c := range []struct {
		name       string
		controller []byte
		want       wipePlan
		refused    string
	}{
		{"format by key", controller(true, 7, 4, 1<<2), wipePlan{"nvme-format-crypto", false, kept | 2<<9}, ""},
		{"format", controller(true, 0, 1, 0), wipePlan{"nvme-format", false, kept | 1<<9}, ""},
		{"a format that takes other namespaces with it", controller(true, 0, 2, 1<<1), wipePlan{}, "all of its 2 namespaces"},
		{"a format of the only namespace", controller(true, 0, 1, 1<<1), wipePlan{"nvme-format", false, kept | 1<<9}, ""},
		{"sanitize by key", controller(false, 7, 1, 0), wipePlan{"nvme-sanitize-crypto", true, 4}, ""},
		{"sanitize blocks", controller(false, 6, 1, 0), wipePlan{"nvme-sanitize-block", true, 2}, ""},
		{"sanitize by overwriting", controller(false, 4, 1, 0), wipePlan{"nvme-sanitize-overwrite", true, 3 | 1<<4}, ""},
		{"a sanitize that takes other namespaces with it", controller(false, 7, 3, 0), wipePlan{}, "all of its 3 namespaces"},
		{"neither", controller(false, 0, 1, 0), wipePlan{}, "neither Format NVM nor Sanitize"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := planNVMe("nvme0n1", c.controller, space)
			if c.refused != "" {
				if err == nil || !strings.Contains(err.Error(), c.refused) {
					t.Errorf("got error %v; want one with %q", err, c.refused)
				}
				return
			}
			if err != nil || got != c.want {
				t.Errorf("got %+v, %v; want %+v", got, err, c.want)
			}
		})
	}
}

func TestSanitizeStatus(t *testing.T) {
	for _, c := range []struct {
		name          string
		progress      uint16
		status        byte
		fraction      float64
		ended, failed bool
	}{
		{"at work", 0x8000, 2, 0.5, false, false},
		{"done", 0xFFFF, 1, 1, true, false},
		{"done without deallocation", 0xFFFF, 4, 1, true, false},
		{"failed", 0, 3, 0, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := make([]byte, 512)
			binary.LittleEndian.PutUint16(page, c.progress)
			page[2] = c.status
			if f, e, bad := sanitizeState(page); f != c.fraction || e != c.ended || bad != c.failed {
				t.Errorf("got %v, %v, %v; want %v, %v, %v", f, e, bad, c.fraction, c.ended, c.failed)
			}
		})
	}
}
