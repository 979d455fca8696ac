// Package chunk is the table by which a stored image is read in pieces: where each chunk of the raw content lies in the
// stored file, what it must hash to, and which ones are all zeros and need not be read. The server writes it when it
// stores an image, the agent reads it before anything else. It is pure: bytes in, values out.
package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// Bytes is how much raw content a chunk holds; only the last one holds less. A Debian system packs 5 % better in
	// chunks of 4 MiB than of 1 MiB; larger ones would cost every worker more memory.
	Bytes = 4 << 20
	// MaxStored bounds a chunk as it is stored: data that do not pack grow by the headers of their blocks.
	MaxStored = Bytes + Bytes/256 + 1<<10
	// MaxTableBytes bounds an encoded table: that of a content of 4 TiB.
	MaxTableBytes = headerBytes + 1<<20*entryBytes + sha256.Size
)

const (
	magic       = "MFCHUNK1"
	headerBytes = len(magic) + sha256.Size + 4 // digest, number of chunks
	entryBytes  = 4 + 4 + sha256.Size          // stored size, raw size and zero flag, sum
	zeroFlag    = 1 << 31
)

// Sum is a SHA-256.
type Sum [sha256.Size]byte

// Chunk is one piece of the content.
type Chunk struct {
	Offset      int64 // in the raw content
	Bytes       int   // of raw content, 1 to the constant of that name
	Stored      int64 // offset in the stored file
	StoredBytes int   // of one zstd frame (RFC 8878) there, 1 to MaxStored
	Sum         Sum   // of that frame, so that a damaged one is refused before it is unpacked
	Zero        bool  // the raw content is zeros: reading it is needless
}

// Table is all chunks of a content, in order and without gaps from the start of the content and of the file.
type Table struct {
	Digest Sum // of the whole raw content
	Chunks []Chunk
}

// Add appends a chunk behind the last one.
func (t *Table) Add(raw, stored int, sum Sum, zero bool) {
	c := Chunk{Bytes: raw, StoredBytes: stored, Sum: sum, Zero: zero}
	if n := len(t.Chunks); n > 0 {
		last := t.Chunks[n-1]
		c.Offset, c.Stored = last.Offset+int64(last.Bytes), last.Stored+int64(last.StoredBytes)
	}
	t.Chunks = append(t.Chunks, c)
}

// RawBytes is the size of the whole content.
func (t *Table) RawBytes() int64 {
	if len(t.Chunks) == 0 {
		return 0
	}
	last := t.Chunks[len(t.Chunks)-1]
	return last.Offset + int64(last.Bytes)
}

// Encode returns the table as it is kept and sent, with a checksum of its own at the end.
func (t *Table) Encode() []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, headerBytes+entryBytes*len(t.Chunks)+sha256.Size)
	b = append(b, magic...)
	b = append(b, t.Digest[:]...)
	b = le.AppendUint32(b, uint32(len(t.Chunks)))
	for _, c := range t.Chunks {
		raw := uint32(c.Bytes)
		if c.Zero {
			raw |= zeroFlag
		}
		b = le.AppendUint32(b, uint32(c.StoredBytes))
		b = le.AppendUint32(b, raw)
		b = append(b, c.Sum[:]...)
	}
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// Parse reads what Encode wrote. Anything else is an Internal error: the table is the server's own.
func Parse(b []byte) (Table, error) {
	le := binary.LittleEndian
	if len(b) < headerBytes+sha256.Size || string(b[:len(magic)]) != magic {
		return Table{}, fault("it does not begin as one")
	}
	body, end := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	if sum := sha256.Sum256(body); !bytes.Equal(sum[:], end) {
		return Table{}, fault("its checksum is wrong")
	}
	entries := body[headerBytes:]
	if n := uint64(le.Uint32(body[headerBytes-4:])); uint64(len(entries)) != n*uint64(entryBytes) || len(b) > MaxTableBytes {
		return Table{}, fault("it has %d bytes for %d chunks", len(entries), n)
	}
	t := Table{Digest: Sum(body[len(magic):]), Chunks: make([]Chunk, 0, len(entries)/entryBytes)}
	for i := 0; len(entries) > 0; i, entries = i+1, entries[entryBytes:] {
		stored, raw := le.Uint32(entries), le.Uint32(entries[4:])
		zero := raw&zeroFlag != 0
		raw &^= zeroFlag
		switch last := len(entries) == entryBytes; {
		case raw == 0 || raw > Bytes || raw < Bytes && !last:
			return Table{}, fault("chunk %d has %d bytes", i, raw)
		case stored == 0 || stored > MaxStored:
			return Table{}, fault("chunk %d has %d bytes as stored", i, stored)
		}
		t.Add(int(raw), int(stored), Sum(entries[8:]), zero)
	}
	return t, nil
}

func fault(format string, args ...any) error {
	return metal.Errorf(metal.Internal, "the image's table of chunks is damaged: %s", fmt.Sprintf(format, args...))
}
