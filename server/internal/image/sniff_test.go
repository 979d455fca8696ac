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
		{"a VMDK image", at(0, "KDMV"), "VMDK"},
		{"a VHDX image", at(0, "vhdxfile"), "VHDX"},
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

func TestFormatsOfOtherVendorsAreNamed(t *testing.T) {
	dir := t.TempDir()
	raw := write(t, dir+"/raw", rawDisk(1<<20))
	for format, says := range map[string]string{"vmdk": "VMDK", "vdi": "VDI", "vhdx": "VHDX", "vpc": "VHD"} {
		tool(t, nil, "qemu-img", "convert", "-f", "raw", "-O", format, raw, dir+"/"+format)
		if err := checkHead(tool(t, nil, "cat", dir+"/"+format)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: got %v; want its name", format, err)
		}
	}
}

func FuzzCheckHead(f *testing.F) {
	f.Add(rawDisk(512))
	f.Add([]byte("<html>"))
	f.Add([]byte("QFI\xfb"))
	f.Fuzz(func(t *testing.T, head []byte) {
		if err := checkHead(head); err == nil && len(head) < 512 {
			t.Error("less than a sector is taken for a disk")
		}
		compressionOf(head)
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
