package osimage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// source is an image in memory, in chunks as the server stores them.
type source struct {
	table  chunk.Table
	stored []byte
}

func (s *source) Chunks(context.Context) (chunk.Table, error) { return s.table, nil }

func (s *source) Read(_ context.Context, p []byte, offset int64) error {
	copy(p, s.stored[offset:])
	return nil
}

// openSource packs an image anew, in chunks.
func openSource(t *testing.T, image, digest string) *source {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	plain, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	packer, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest))
	if err != nil {
		t.Fatal(err)
	}
	defer packer.Close()
	var s source
	if _, err := hex.Decode(s.table.Digest[:], []byte(digest)); err != nil {
		t.Fatal(err)
	}
	for raw := make([]byte, chunk.Bytes); ; {
		n, err := io.ReadFull(plain, raw)
		if errors.Is(err, io.EOF) {
			return &s
		}
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatal(err)
		}
		frame := packer.EncodeAll(raw[:n], nil)
		s.table.Add(n, len(frame), sha256.Sum256(frame), false)
		s.stored = append(s.stored, frame...)
	}
}
