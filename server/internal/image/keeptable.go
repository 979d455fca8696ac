package image

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// tableSuffix ends the name of the file with the table of a content's chunks.
const tableSuffix = ".chunks"

func (s *Store) tablePath(digest string) string { return filepath.Join(s.dir, digest+tableSuffix) }

// keepTable stores the table of a content. It comes before the content: a table alone means nothing.
func (s *Store) keepTable(t *chunk.Table) error {
	temp, err := s.temp()
	if err != nil {
		return err
	}
	defer discard(temp)
	if _, err := temp.Write(t.Encode()); err != nil {
		return err
	}
	return s.publish(temp, s.tablePath(hex.EncodeToString(t.Digest[:])))
}

// openTable opens the table of a content. One that is missing, as with contents that an older version stored, or that
// is damaged, is made anew; for that the content is read and compared with its digest, about 2 seconds for a GiB. An
// unknown digest is a NotFound error.
func (s *Store) openTable(ctx context.Context, digest string) (*os.File, error) {
	content, err := s.openFile(digest)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	s.making.Lock()
	defer s.making.Unlock()
	f, err := s.readTable(digest)
	if err == nil {
		return f, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("making the table of an image's chunks anew", "digest", digest, "why", err)
	}
	start := time.Now()
	table, err := tabulate(ctx, content, digest)
	if err != nil {
		return nil, fmt.Errorf("make the table of chunks of image content %s: %w", digest, err)
	}
	if err := s.keepTable(&table); err != nil {
		return nil, err
	}
	s.log.Info("made the table of an image's chunks", "digest", digest, "chunks", len(table.Chunks), "seconds", time.Since(start).Seconds())
	return s.readTable(digest)
}

// readTable opens a stored table that is whole.
func (s *Store) readTable(digest string) (*os.File, error) {
	f, err := os.Open(s.tablePath(digest))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(chunk.MaxTableBytes)+1))
	if err == nil {
		_, err = chunk.Parse(b)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// tabulate makes the table of a stored file, and checks that the file holds what its name says.
func tabulate(ctx context.Context, f *os.File, digest string) (chunk.Table, error) {
	frames, _, err := readFrames(f)
	if err != nil {
		return chunk.Table{}, err
	}
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(frameBytes))
	if err != nil {
		return chunk.Table{}, fmt.Errorf("make zstd decoder: %w", err)
	}
	defer d.Close()
	var t chunk.Table
	var stored, raw []byte
	at, whole := int64(0), sha256.New()
	for i, frame := range frames {
		if err := ctx.Err(); err != nil {
			return chunk.Table{}, err
		}
		if frame.stored > chunk.MaxStored || frame.raw == 0 || frame.raw > frameBytes || frame.raw < frameBytes && i < len(frames)-1 {
			return chunk.Table{}, errLayout
		}
		stored = append(stored[:0], make([]byte, frame.stored)...)
		if _, err := f.ReadAt(stored, at); err != nil {
			return chunk.Table{}, err
		}
		at += int64(frame.stored)
		if raw, err = d.DecodeAll(stored, raw[:0]); err != nil || len(raw) != int(frame.raw) {
			return chunk.Table{}, errors.Join(errLayout, err)
		}
		whole.Write(raw)
		t.Add(len(raw), len(stored), sha256.Sum256(stored), bytes.Equal(raw, zeros[:len(raw)]))
	}
	whole.Sum(t.Digest[:0])
	if hex.EncodeToString(t.Digest[:]) != digest {
		return chunk.Table{}, errLayout
	}
	return t, nil
}
