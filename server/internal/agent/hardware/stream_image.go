package hardware

import (
	"context"
	"fmt"
	"io"

	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// Image is an image of the server's, read in any order and several parts at once. A server that breaks off or is away is
// asked again until it is back: an error means that it has no such image, or that the context ended.
type Image struct {
	machine *Machine
	digest  string
}

// Chunks reads the table of the image's chunks. It may take long where the server has to make it.
func (i *Image) Chunks(ctx context.Context) (chunk.Table, error) {
	gap := patience(firstGap)
	for {
		table, err := i.machine.ImageChunks(ctx, i.digest)
		if err == nil {
			return table, nil
		}
		if final(err) {
			return chunk.Table{}, fmt.Errorf("get the image's chunks: %w", err)
		}
		i.machine.Log.Warn("get the image's chunks", "error", err)
		if !gap.wait(ctx) {
			return chunk.Table{}, ctx.Err()
		}
	}
}

// Read fills p with what is stored from an offset on.
func (i *Image) Read(ctx context.Context, p []byte, offset int64) error {
	length := int64(len(p))
	s := newStream(ctx, i.machine.Log, length, func(ctx context.Context, from int64) (io.ReadCloser, error) {
		return i.machine.ImagePart(ctx, i.digest, offset+from, length-from)
	})
	defer s.Close()
	if _, err := io.ReadFull(s, p); err != nil {
		return err
	}
	return nil
}
