package disk

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"math"
	"runtime"
	"sync"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

const (
	skipBytes = 64 << 10 // the unit in which zeros are left out
	// fewest and most chunks are under way at once: one that waits for the network, one that is unpacked, one that is
	// written. Each takes 8 MiB, and machines with many processors are bound by their network or disk long before.
	fewest, most = 3, 12
)

// A Source gives an image as it is stored. Its methods may be called from several goroutines. They ride out a server
// that is away: an error means that asking again is of no use, or that ctx ended.
type Source interface {
	Chunks(ctx context.Context) (chunk.Table, error)
	// Read fills p with what is stored from an offset on.
	Read(ctx context.Context, p []byte, offset int64) error
}

// WriteOptions say what Write puts where.
type WriteOptions struct {
	Path     string // of the disk's device file
	Image    Source
	Digest   string // SHA-256 of the raw content, hex
	RawBytes int64  // size of the raw content
	// Seed is the content of the FAT volume CIDATA by file name; empty: no such volume is made.
	Seed map[string]string
	// Progress is told the rising fraction of the raw content that was dealt with; may be nil.
	Progress func(fraction float64)
}

// Write streams an image to a disk, moves the backup of its partition table to the disk's true end, grows its last
// partition when that holds a Linux file system, and adds a partition with the seed. It returns how many bytes were
// zero and did not have to be sent. Chunks are read, verified, unpacked and written several at once.
//
// The first mebibyte, with boot code and partition table, is cleared at the start and written at the very end, after
// every chunk was found right: whatever stops Write leaves a disk that does not boot. When ctx ends, Write stops
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
	w := &writer{dev: dev, o: o}
	err = w.run(ctx)
	if ctx.Err() != nil {
		err = metal.Errorf(metal.Conflict, "write image to disk %s: called off: %w", o.Path, ctx.Err())
	}
	if err != nil && w.touched {
		err = errors.Join(err, w.unboot())
	}
	return w.zeros, err
}

// writer is one Write.
type writer struct {
	dev     *device
	o       WriteOptions
	chunks  []chunk.Chunk
	unzstd  *zstd.Decoder
	head    []byte // the first mebibyte, held back
	plan    plan
	blank   bool // the target region reads as zeros
	touched bool // something was written

	mu    sync.Mutex
	next  int   // chunk that nobody took yet
	done  int64 // bytes of the content
	zeros int64 // of these, bytes that did not have to be written
}

func (w *writer) run(ctx context.Context) error {
	table, err := w.o.Image.Chunks(ctx)
	if err != nil {
		return metal.Errorf(metal.Internal, "write image to disk %s: %w", w.o.Path, err)
	}
	if got := hex.EncodeToString(table.Digest[:]); got != w.o.Digest || table.RawBytes() != w.o.RawBytes {
		return metal.Errorf(metal.Invalid, "write image to disk %s: the server has content of %d bytes with digest %s, the image has %d bytes with digest %s; import the image again",
			w.o.Path, table.RawBytes(), got, w.o.RawBytes, w.o.Digest)
	}
	w.chunks = table.Chunks
	// Several goroutines unpack, each at most one chunk.
	w.unzstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(runtime.GOMAXPROCS(0)), zstd.WithDecoderMaxMemory(chunk.Bytes),
		zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true))
	if err != nil {
		return metal.Errorf(metal.Internal, "write image to disk %s: make zstd decoder: %w", w.o.Path, err)
	}
	defer w.unzstd.Close()
	if err := w.first(ctx); err != nil {
		return err
	}
	if err := w.others(ctx); err != nil {
		return err
	}
	return w.finish(ctx)
}

// first writes the first chunk, which decides the layout, but for the head.
func (w *writer) first(ctx context.Context) error {
	b := newBuffers(w.largest())
	defer b.free()
	w.next = 1
	c := w.chunks[0]
	data, err := w.fetch(ctx, 0, b)
	if err != nil {
		return err
	}
	w.head = append([]byte(nil), data[:min(len(data), gpt.HeadBytes)]...)
	if err := w.begin(ctx); err != nil {
		return err
	}
	skipped, err := w.put(w.pad(data[len(w.head):]), c.Offset+int64(len(w.head)))
	w.count(c, skipped)
	return err
}

// others writes all chunks but the first.
func (w *writer) others(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for range min(max(fewest, 2*runtime.GOMAXPROCS(0)), most) {
		g.Go(func() error {
			b := newBuffers(w.largest())
			defer b.free()
			for i := w.take(); i < len(w.chunks); i = w.take() {
				if err := ctx.Err(); err != nil {
					return err
				}
				if err := w.one(ctx, i, b); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return g.Wait()
}

// one writes one chunk.
func (w *writer) one(ctx context.Context, i int, b *buffers) error {
	c := w.chunks[i]
	if c.Zero && w.blank {
		w.count(c, c.Bytes)
		return nil
	}
	data := b.raw[:c.Bytes]
	if c.Zero {
		clear(data)
	} else {
		var err error
		if data, err = w.fetch(ctx, i, b); err != nil {
			return err
		}
	}
	skipped, err := w.put(w.pad(data), c.Offset)
	if err != nil {
		return err
	}
	w.count(c, skipped)
	return nil
}

// take gives out the next chunk, in the order of the disk, which rotating ones need.
func (w *writer) take() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next++
	return w.next - 1
}

// count adds a chunk that is dealt with to the progress.
func (w *writer) count(c chunk.Chunk, skipped int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done += int64(c.Bytes)
	w.zeros += int64(skipped)
	if w.o.Progress != nil {
		w.o.Progress(math.Min(1, float64(w.done)/float64(w.o.RawBytes)))
	}
}

// largest is the size of the largest chunk as stored.
func (w *writer) largest() int {
	n := 0
	for _, c := range w.chunks {
		n = max(n, c.StoredBytes)
	}
	return n
}

// pad fills up the image's last sector: what is left of the buffer is older content.
func (w *writer) pad(data []byte) []byte {
	whole := data[:w.dev.roundUp(len(data))]
	clear(whole[len(data):])
	return whole
}

// put writes whole sectors, without zeros where the disk has them already, and returns how many bytes that were.
func (w *writer) put(data []byte, at int64) (skipped int, err error) {
	for len(data) > 0 {
		n, zero := run(data)
		if zero && w.blank {
			skipped += n
		} else if err := w.dev.writeAt(data[:n], at); err != nil {
			return skipped, err
		}
		data, at = data[n:], at+int64(n)
	}
	return skipped, nil
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
