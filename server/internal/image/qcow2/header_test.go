package qcow2

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

func TestParseRefusesWhatItCannotRead(t *testing.T) {
	put32 := func(off int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint32(b[off:], v); return b }
	}
	put64 := func(off int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[off:], v); return b }
	}
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:n] } }
	tests := []struct {
		name   string
		change func([]byte) []byte
		want   error
		says   string
	}{
		{"an empty file is not qcow2", cut(0), ErrNotQcow2, ""},
		{"another magic is not qcow2", put32(0, 0x7f454c46), ErrNotQcow2, ""},
		{"a file cut within the version 2 header is truncated", cut(40), ErrTruncated, "40 of 72"},
		{"a file cut within the version 3 header is truncated", cut(90), ErrTruncated, "90 of 104"},
		{"version 1 is another format", put32(4, 1), ErrUnsupported, "version 1"},
		{"version 4 does not exist", put32(4, 4), ErrUnsupported, "version 4"},
		{"a backing file would let the image name any file of the server", put64(8, 1024), ErrUnsupported, "backing file"},
		{"an encrypted image is refused", put32(32, 2), ErrUnsupported, "encrypted"},
		{"the dirty bit asks for a repair", put64(72, featureDirty), ErrUnsupported, "qemu-img check"},
		{"the corrupt bit asks for a repair", put64(72, featureCorrupt), ErrUnsupported, "marked corrupt"},
		{"an external data file is refused", put64(72, featureDataFile), ErrUnsupported, "another file"},
		{"extended L2 entries are refused", put64(72, featureExtendedL2), ErrUnsupported, "extended_l2=off"},
		{"an unknown incompatible feature is refused", put64(72, 1<<40), ErrUnsupported, "0x10000000000"},
		{"an unknown compression is refused", func(b []byte) []byte { b[104] = 2; return b }, ErrUnsupported, "compression type 2"},
		{"a header length below the minimum is corrupt", put32(100, 96), ErrCorrupt, "header length"},
		{"clusters below 512 bytes are corrupt", put32(20, 8), ErrCorrupt, "8 cluster bits"},
		{"clusters above 2 MiB are corrupt", put32(20, 22), ErrCorrupt, "22 cluster bits"},
		{"a shift count beyond the word is corrupt", put32(20, 0xffffffff), ErrCorrupt, "cluster bits"},
		{"a disk that needs a larger L1 table is corrupt", put64(24, 1<<30), ErrCorrupt, "needs"},
		{"a disk beyond 63 bits is corrupt", put64(24, 1<<63), ErrCorrupt, "disk of"},
		{"an L1 table above QEMU's limit is corrupt", put32(36, 1<<23), ErrCorrupt, "L1 table of"},
		{"an L1 table off the cluster border is corrupt", put64(40, 513), ErrCorrupt, "cluster border"},
		{"an L1 table at a negative offset is corrupt", put64(40, 1<<63), ErrCorrupt, "cluster border"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.change(build(t, 3, Zlib, plain)))
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want %v that says %q", err, tt.want, tt.says)
			}
		})
	}
}

func TestParseReadsTheFieldsThatReadingNeeds(t *testing.T) {
	tests := []struct {
		name  string
		image []byte
		want  Header
	}{
		{"version 2", build(t, 2, Zlib, plain, plain), Header{2, 9, 1024, 1, 512, Zlib}},
		{"version 3", build(t, 3, Zlib, plain), Header{3, 9, 512, 1, 512, Zlib}},
		{"version 3 with zstd", build(t, 3, Zstd, plain), Header{3, 9, 512, 1, 512, Zstd}},
		{"an empty disk", build(t, 3, Zlib), Header{3, 9, 0, 0, 512, Zlib}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Parse(tt.image)
			if err != nil || got != tt.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			}
		})
	}
}

func TestNewReaderRefusesADiskAboveTheLimit(t *testing.T) {
	image := build(t, 3, Zlib, plain, plain)
	if _, err := NewReader(strings.NewReader(string(image)), 1023); !errors.Is(err, ErrUnsupported) {
		t.Errorf("got %v; want ErrUnsupported", err)
	}
}
