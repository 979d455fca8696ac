package image

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestCompressionOf(t *testing.T) {
	text := []byte("any text")
	tests := []struct {
		name string
		file []byte
		want compression
	}{
		{"gzip", tool(t, text, "gzip", "-c"), gz},
		{"xz", tool(t, text, "xz", "-c"), xzip},
		{"zstd", tool(t, text, "zstd", "-c"), zst},
		{"bzip2", tool(t, text, "bzip2", "-c"), bz2},
		{"what begins like bzip2", []byte("BZh9 and no block"), plain},
		{"zstd that begins with a skippable frame", seekTable(nil), zst},
		{"nothing", nil, plain},
		{"a boot sector", rawDisk(512), plain},
		{"qcow2", []byte("QFI\xfb"), plain},
		{"lzma of old", tool(t, text, "xz", "--format=lzma", "-c"), plain},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := compressionOf(tt.file); got != tt.want {
				t.Errorf("got %q; want %q", got, tt.want)
			}
		})
	}
}

func TestCheckHead(t *testing.T) {
	at := func(off int, sign string) []byte {
		b := make([]byte, sniffBytes)
		copy(b[off:], sign)
		return b
	}
	tests := []struct {
		name string
		head []byte
		says string // empty: it is a disk
	}{
		{"an MBR", at(510, "\x55\xaa"), ""},
		{"a GPT on sectors of 512 bytes", at(512, "EFI PART"), ""},
		{"a GPT on sectors of 4096 bytes", at(4096, "EFI PART"), ""},
		{"an ISO that boots from a disk too", append(at(510, "\x55\xaa")[:0x8001], "CD001"...), ""},
		{"an ISO that does not", at(0x8001, "CD001"), "ISO 9660"},
		{"zeros", make([]byte, sniffBytes), "no partition table"},
		{"less than a sector", []byte("\x55\xaa"), "no partition table"},
		{"a tar archive", at(257, "ustar"), "tar archive"},
		{"a zip archive", at(0, "PK\x03\x04"), "zip archive"},
		{"a bzip2 file", at(0, "BZh9"), "bzip2"},
		{"a VMDK descriptor", at(0, "# Disk DescriptorFile"), "VMDK"},
		{"a VDI image", at(64, "\x7f\x10\xda\xbe"), "VDI"},
		{"a bare ext4 file system", at(0x438, "\x53\xef"), "bare ext file system"},
		{"a web page", []byte("<HTML><body>404"), "web page"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := checkHead(tt.head)
			if tt.says == "" && err != nil {
				t.Errorf("got %v; want a disk", err)
			}
			if tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
				t.Errorf("got %v; want an error that says %q", err, tt.says)
			}
		})
	}
}

func TestFormatOf(t *testing.T) {
	dir := t.TempDir()
	disk := rawDisk(2 << 20)
	path := write(t, dir+"/raw", disk)
	image := func(format string, options ...string) []byte {
		out := dir + "/" + format
		tool(t, nil, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", format}, options...), path, out)...)
		return tool(t, nil, "cat", out)
	}
	qcow2File, vmdkFile, vhdFile, vhdxFile := image("qcow2"), image("vmdk"), image("vpc"), image("vhdx")
	fixed := image("vpc", "-o", "subformat=fixed")
	ddtar := tarOf(t, entry{"root-dd", disk})
	root := tarOf(t, entry{"etc/", nil}, entry{"etc/hostname", []byte("n1")}, entry{"usr/", nil})
	for _, tt := range []struct {
		name     string
		file     []byte
		declared string
		want     format
		says     string
	}{
		{"a raw disk", disk, "auto", raw, ""},
		{"qcow2", qcow2File, "", qcow, ""},
		{"VMDK", vmdkFile, "", vmdk, ""},
		{"VHD", vhdFile, "auto", vhd, ""},
		{"VHDX", vhdxFile, "", vhdx, ""},
		{"a VHD of fixed size", fixed, "", raw, ""},
		{"a VHD of fixed size that is declared", fixed, "vhd", vhd, ""},
		{"a disk in a tar archive", ddtar, "", tarball, ""},
		{"a root archive that is declared", root, "tar", tarball, ""},
		{"a root archive that is not", root, "", raw, ""}, // and is refused as a disk
		{"a VMDK declared as VHDX", vmdkFile, "vhdx", "", "declared as vhdx, but its content is vmdk"},
		{"a disk declared as a root archive", disk, "tar", "", "declared as tar, but its content is raw"},
		{"a root archive declared as a disk", root, "raw", "", "declared as raw, but its content is tar"},
		{"a format that is not known", disk, "vdi", "", "declared as \"vdi\""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := formatOf(tt.file[:min(len(tt.file), sniffBytes)], tt.declared)
			if tt.says != "" {
				if err == nil || !strings.Contains(err.Error(), tt.says) {
					t.Errorf("got %q, %v; want an error that says %q", got, err, tt.says)
				}
				return
			}
			if got != tt.want || err != nil {
				t.Errorf("got %q, %v; want %q", got, err, tt.want)
			}
		})
	}
}

func FuzzCheckHead(f *testing.F) {
	f.Add(rawDisk(512))
	f.Add([]byte("<html>"))
	f.Add([]byte("QFI\xfb"))
	f.Add(append(make([]byte, 257), "ustar\x00"...))
	f.Fuzz(func(t *testing.T, head []byte) {
		if err := checkHead(head); err == nil && len(head) < 512 {
			t.Error("less than a sector is taken for a disk")
		}
		compressionOf(head)
		if f, err := formatOf(head, ""); err != nil || f == squashfs {
			t.Errorf("got %q, %v; want a format that needs no declaration", f, err)
		}
	})
}

func TestTheEndOfXZDataIsSeenHoweverItIsCutUp(t *testing.T) {
	file := tool(t, rawDisk(64<<10), "xz", "-c", "-0", "--block-size=16KiB")
	padded := slices.Concat(file, make([]byte, 64))
	two := slices.Concat(padded, file)
	for _, tt := range []struct {
		name string
		data []byte
		want bool
	}{
		{"a stream", file, true},
		{"a stream and its padding", padded, true},
		{"two streams with padding between", two, true},
		{"a stream without its last byte", file[:len(file)-1], false},
		{"a stream without its footer", file[:len(file)-12], false},
		{"two streams, the second cut", two[:len(two)-20], false},
		{"nothing", nil, false},
		{"eleven bytes", file[len(file)-11:], false},
	} {
		for _, size := range []int{1, 3, 7, 11, 12, 13, 100, 1 << 20} {
			var e xzEnd
			for part := range slices.Chunk(tt.data, size) {
				e.Write(part)
			}
			if got := e.whole(); got != tt.want {
				t.Errorf("%s in parts of %d: got %v; want %v", tt.name, size, got, tt.want)
			}
			if len(e.tail) > 2*xzFooter {
				t.Errorf("%s in parts of %d: got %d bytes kept; want at most %d", tt.name, size, len(e.tail), 2*xzFooter)
			}
		}
	}
}

func TestXZCutAnywhereIsTruncated(t *testing.T) {
	s := openStore(t, Options{})
	file := tool(t, bytes.Repeat(rawDisk(512), 200), "xz", "-c", "-0", "--block-size=16KiB")
	for cut := 100; cut < len(file); cut += 13 {
		_, err := s.Import(t.Context(), metal.ImageSpec{}, bytes.NewReader(file[:cut]), nil)
		if err == nil || !strings.Contains(err.Error(), "truncated: its xz") {
			t.Fatalf("cut at %d of %d: got %v; want truncated", cut, len(file), err)
		}
	}
}

func TestProgressRisesAndIsNotTooOften(t *testing.T) {
	now := time.Unix(1000, 0)
	var got []float64
	m := meter{report: func(f float64) { got = append(got, f) }, now: func() time.Time { return now }}
	step := func(d time.Duration, done, total int64) {
		now = now.Add(d)
		m.at(done, total)
	}
	m.part(0, 0.5)
	step(0, 10, 100)
	step(100*time.Millisecond, 20, 100) // too soon
	step(200*time.Millisecond, 50, 100)
	step(time.Second, 60, -1) // an unknown total
	step(time.Second, 300, 100)
	m.part(0.5, 1)
	step(time.Second, 50, 100)
	if diff := cmp.Diff([]float64{0.05, 0.25, 0.5, 0.75}, got); diff != "" {
		t.Errorf("reports (-want +got):\n%s", diff)
	}
}
