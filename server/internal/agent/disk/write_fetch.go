package disk

import (
	"context"
	"crypto/sha256"
	"errors"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// tries is how often a chunk that comes damaged is asked for: a bad cable or memory stick hurts one now and then, a
// damaged file on the server every time.
const tries = 4

var errUnpacked = errors.New("it unpacks to another size")

// buffers are the memory of one chunk under way.
type buffers struct {
	stored []byte
	raw    []byte // aligned
}

func newBuffers(stored int) *buffers {
	return &buffers{stored: make([]byte, stored), raw: aligned(chunk.Bytes)}
}

func (b *buffers) free() { free(b.raw) }

// fetch reads, verifies and unpacks a chunk into the buffers.
func (w *writer) fetch(ctx context.Context, i int, b *buffers) ([]byte, error) {
	c := w.chunks[i]
	stored := b.stored[:c.StoredBytes]
	for range tries {
		if err := w.o.Image.Read(ctx, stored, c.Stored); err != nil {
			return nil, metal.Errorf(metal.Internal, "write image to disk %s: read chunk %d of %d: %w", w.o.Path, i+1, len(w.chunks), err)
		}
		if sha256.Sum256(stored) != c.Sum {
			continue
		}
		raw, err := w.unzstd.DecodeAll(stored, b.raw[:0:chunk.Bytes])
		if err == nil && len(raw) != c.Bytes {
			err = errUnpacked
		}
		if err != nil { // what came is what was stored: asking again would change nothing
			return nil, metal.Errorf(metal.Internal, "write image to disk %s: unpack chunk %d of %d: %w; import the image again", w.o.Path, i+1, len(w.chunks), err)
		}
		return raw, nil
	}
	return nil, metal.Errorf(metal.Internal, "write image to disk %s: chunk %d of %d (bytes %d to %d of the image) came damaged %d times; import the image again, or look at the network between server and machine",
		w.o.Path, i+1, len(w.chunks), c.Offset, c.Offset+int64(c.Bytes)-1, tries)
}
