package image

import (
	"bytes"
	"context"
	"io"
	"os"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// benchDisk is a disk as IMAGE_BENCH names it (a raw image of a real system), or one of 64 MiB that is made up.
func benchDisk(b *testing.B) []byte {
	b.Helper()
	path := os.Getenv("IMAGE_BENCH")
	if path == "" {
		return rawDisk(64 << 20)
	}
	disk, err := os.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

// BenchmarkImport measures how fast each form of a disk is brought into the store, in bytes of the raw disk.
func BenchmarkImport(b *testing.B) {
	raw := benchDisk(b)
	for _, form := range []struct {
		name string
		file []byte
	}{
		{"raw", raw},
		{"gzip", tool(b, raw, "gzip", "-c")},
		{"xz", tool(b, raw, "xz", "-c", "-0")},
		{"zstd", tool(b, raw, "zstd", "-c")},
		{"qcow2", qcow2Of(b, raw)},
		{"qcow2-packed", qcow2Of(b, raw, "-c")},
	} {
		b.Run(form.name, func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			for b.Loop() {
				s := openStore(b, Options{})
				if _, err := s.Import(context.Background(), metal.ImageSpec{}, bytes.NewReader(form.file), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen measures what every deployment asks before it streams.
func BenchmarkOpen(b *testing.B) {
	s := openStore(b, Options{})
	_, c := stored(b, s, 64<<20)
	for b.Loop() {
		f, _, err := s.Open(c.Digest)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := io.CopyN(io.Discard, f, 1); err != nil {
			b.Fatal(err)
		}
		f.Close()
	}
}
