package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"math"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

const (
	skipBytes = 64 << 10 // the unit in which zeros are left out
	buffers   = 3        // one being filled, one waiting, one being written
	// maxWindow bounds the memory that a stream can ask the decompressor for: zstd --ultra -22 uses 128 MiB.
	maxWindow = 128 << 20
)

// WriteOptions say what Write puts where.
type WriteOptions struct {
	Path string // of the disk's device file
	// Stream is the image as zstd frames. Its Read must end when the context does, or it must be an io.Closer: then
	// Write closes it when the context ends.
	Stream      io.Reader
	Digest      string // SHA-256 of the raw content, hex
	RawBytes    int64  // size of the raw content
	StoredBytes int64  // size of the stream; 0 when unknown
	// Seed is the content of the FAT volume CIDATA by file name; empty: no such volume is made.
	Seed map[string]string
	// Progress is told the fraction of the raw content that was dealt with; may be nil.
	Progress func(fraction float64)
}

// Write streams an image to a disk, moves the backup of its partition table to the disk's true end, grows its last
// partition when that holds a Linux file system, and adds a partition with the seed. It returns how many bytes were
// zero and did not have to be sent.
//
// The first mebibyte, with boot code and partition table, is cleared at the start and written at the very end, after
// the digest was found right: whatever stops Write leaves a disk that does not boot. When ctx ends, Write stops
// within one chunk.
func Write(ctx context.Context, o WriteOptions) (bytesZero int64, err error) {
	dev, err := openDevice(o.Path)
	if err != nil {
		return 0, err
	}
	defer dev.Close()
	if o.RawBytes <= 0 || o.RawBytes > dev.bytes {
		return 0, metal.Errorf(metal.Invalid, "write image to disk %s: the image needs %s, the disk has %s", o.Path, size(o.RawBytes), size(dev.bytes))
	}
	if err := checkSeed(o.Seed, dev.sector); err != nil {
		return 0, err
	}
	w := &writer{dev: dev, o: o, stream: counter{Reader: o.Stream}}
	if err := w.run(ctx); err != nil {
		if w.touched {
			err = errors.Join(err, w.unboot())
		}
		return w.zeros, err
	}
	return w.zeros, nil
}

// writer is one Write.
type writer struct {
	dev     *device
	o       WriteOptions
	head    []byte // the first mebibyte, held back
	plan    plan
	blank   bool // the target region reads as zeros
	touched bool // something was written
	zeros   int64
	stream  counter
}

// counter counts what is read.
type counter struct {
	io.Reader
	bytes int64
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes += int64(n)
	return n, err
}

// chunk is a piece of raw content.
type chunk struct {
	offset int64
	data   []byte // aligned; goes back to the reader
}

func (w *writer) run(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	empty, full := make(chan []byte, buffers), make(chan chunk, buffers)
	for range buffers {
		empty <- aligned(chunkBytes)
	}
	done := make(chan error, 1)
	stop := context.AfterFunc(inner, func() {
		if c, ok := w.o.Stream.(io.Closer); ok {
			c.Close() // to end a Read that waits; what it returns then does not matter
		}
	})
	go func() {
		defer close(full)
		done <- w.read(inner, empty, full)
	}()
	err := w.consume(ctx, full, empty)
	if err == nil {
		stop()
	}
	cancel()
	for c := range full {
		empty <- c.data
	}
	readErr := <-done
	close(empty)
	for b := range empty {
		free(b)
	}
	switch {
	case ctx.Err() != nil:
		return metal.Errorf(metal.Conflict, "write image to disk %s: called off: %w", w.o.Path, ctx.Err())
	case err != nil:
		return err
	case readErr != nil:
		return readErr
	}
	return w.finish(ctx)
}

// read decompresses and hashes the stream into buffers, and checks length and digest at the end.
func (w *writer) read(ctx context.Context, empty <-chan []byte, full chan<- chunk) error {
	// One decoder without goroutines: reading is already apart from writing, and small machines have one processor.
	z, err := zstd.NewReader(&w.stream, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return metal.Errorf(metal.Internal, "read image stream: %w", err)
	}
	defer z.Close()
	sum := sha256.New()
	for at := int64(0); ; {
		var b []byte
		select {
		case b = <-empty:
		case <-ctx.Done():
			return ctx.Err()
		}
		n, err := io.ReadFull(z, b[:min(chunkBytes, w.o.RawBytes-at)])
		if err != nil && at+int64(n) < w.o.RawBytes || ctx.Err() != nil {
			full <- chunk{at, b[:0]} // only to give the buffer back
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return w.streamError(at+int64(n), err)
		}
		sum.Write(b[:n])
		full <- chunk{at, b[:n]}
		if at += int64(n); at == w.o.RawBytes {
			break
		}
	}
	if n, err := z.Read(make([]byte, 1)); n > 0 {
		return metal.Errorf(metal.Invalid, "write image to disk %s: the stream goes on beyond the %d bytes the image has; import the image again", w.o.Path, w.o.RawBytes)
	} else if err != nil && !errors.Is(err, io.EOF) {
		return w.streamError(w.o.RawBytes, err)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != w.o.Digest {
		return metal.Errorf(metal.Invalid, "write image to disk %s: the content has digest %s, the image has %s; import the image again", w.o.Path, got, w.o.Digest)
	}
	return nil
}

func (w *writer) streamError(at int64, err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		// The stored size tells a connection that was cut from an image that is stored short.
		return metal.Errorf(metal.Internal, "write image to disk %s: the stream ended after %d of %d bytes (%d of %d as stored): %w",
			w.o.Path, at, w.o.RawBytes, w.stream.bytes, w.o.StoredBytes, err)
	}
	return metal.Errorf(metal.Internal, "write image to disk %s: read the stream after %d of %d bytes: %w", w.o.Path, at, w.o.RawBytes, err)
}

// consume writes chunks until there are no more.
func (w *writer) consume(ctx context.Context, full <-chan chunk, empty chan<- []byte) error {
	for c := range full {
		err := ctx.Err()
		if err == nil && len(c.data) > 0 {
			err = w.put(ctx, c)
		}
		empty <- c.data[:cap(c.data)]
		if err != nil {
			return err
		}
		if w.o.Progress != nil {
			w.o.Progress(math.Min(1, float64(c.offset+int64(len(c.data)))/float64(w.o.RawBytes)))
		}
	}
	return nil
}

// put writes one chunk, without its zeros where the disk has them already. The first one decides the layout.
func (w *writer) put(ctx context.Context, c chunk) error {
	data, at := c.data, c.offset
	if at == 0 {
		w.head = append([]byte(nil), data[:min(len(data), gpt.HeadBytes)]...)
		if err := w.begin(ctx); err != nil {
			return err
		}
		data, at = data[len(w.head):], int64(len(w.head))
	}
	if pad := w.dev.roundUp(len(data)); pad > len(data) {
		clear(data[len(data):pad]) // the image's last sector: the rest of the buffer is older content
		data = data[:pad]
	}
	for len(data) > 0 {
		n, zero := run(data)
		if zero && w.blank {
			w.zeros += int64(n)
		} else if err := w.dev.writeAt(data[:n], at); err != nil {
			return err
		}
		data, at = data[n:], at+int64(n)
	}
	return nil
}

// begin decides the layout, then clears the disk: nothing was written before.
func (w *writer) begin(ctx context.Context) error {
	var err error
	if w.plan, err = planLayout(w.head, w.dev.bytes, w.dev.sector, w.o); err != nil {
		return err
	}
	w.touched = true
	if err := w.unboot(); err != nil {
		return err
	}
	// BLKDISCARD may leave anything behind; BLKZEROOUT does not. It is only asked of devices that need no data for it.
	if w.dev.zeroes {
		sector := int64(w.dev.sector)
		err := w.dev.ranges(ctx, blkZeroOut, (w.o.RawBytes+sector-1)/sector*sector, func(float64) {})
		if err != nil && !unsupported(err) {
			return err
		}
		w.blank = err == nil
	}
	return nil
}

// unboot clears both ends of the disk, so that neither partition table is found.
func (w *writer) unboot() error {
	ends := make([]byte, min(gpt.HeadBytes, w.dev.bytes))
	return errors.Join(w.dev.writeBytes(ends, 0), w.dev.writeBytes(ends, w.dev.bytes-int64(len(ends))), w.dev.sync())
}

// run returns the length of the longest prefix that is all zero, or all not zero, in units of skipBytes.
func run(data []byte) (n int, zero bool) {
	for n < len(data) {
		unit := data[n:min(n+skipBytes, len(data))]
		z := isZero(unit)
		if n == 0 {
			zero = z
		}
		if z != zero {
			break
		}
		n += len(unit)
	}
	return n, zero
}

// isZero says whether there is nothing but zeros.
func isZero(b []byte) bool { return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }
