package install

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/rootfs"
)

// maxWindow bounds the memory that a stream can ask the decompressor for: zstd --ultra -22 uses 128 MiB.
const maxWindow = 128 << 20

// squashfsMagic begins a squashfs 4 (little-endian, as all are since 2009).
const squashfsMagic = "hsqs"

// packed is where a squashfs lies while it is unpacked: on the disk, for it may be larger than the memory.
const packed = ".root.squashfs"

// newPlain unpacks zstd frames.
func newPlain(r io.Reader) (io.ReadCloser, error) {
	d, err := zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
	if err != nil {
		return nil, fmt.Errorf("make a zstd decoder: %w", err)
	}
	return d.IOReadCloser(), nil
}

// unpack lays the archive out, and checks that it was the one that is meant.
func unpack(ctx context.Context, o Options) error {
	plain, err := newPlain(o.Archive)
	if err != nil {
		return err
	}
	defer plain.Close()
	in := o.Install
	sum := sha256.New()
	// One byte more than there should be, so that a longer stream is noticed.
	counted := &counter{r: io.TeeReader(io.LimitReader(plain, in.RawBytes+1), sum), of: in.RawBytes, tell: func(f float64) {
		o.Progress(afterStorage + f*(afterUnpack-afterStorage))
	}}
	dir := filepath.Join(o.Dir, target)
	o.Log.Info("unpacking the root archive", "digest", in.Digest, "raw_bytes", in.RawBytes)
	peeked := bufio.NewReaderSize(counted, 64<<10)
	start, err := peeked.Peek(len(squashfsMagic))
	if err != nil {
		return fmt.Errorf("read the root archive: %w", err)
	}
	squashed := string(start) == squashfsMagic
	if squashed {
		if err := keep(peeked, filepath.Join(dir, packed)); err != nil {
			return fmt.Errorf("fetch the root archive: %w", err)
		}
	} else {
		if err := rootfs.Unpack(ctx, peeked, dir); err != nil {
			return err
		}
		// What is behind the end of a tar belongs to the digest.
		if _, err := io.Copy(io.Discard, peeked); err != nil {
			return fmt.Errorf("read the end of the root archive: %w", err)
		}
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != in.Digest || counted.n != in.RawBytes {
		return metal.Errorf(metal.Invalid, "unpack the root archive: %d bytes with digest %s came, the image has %d with digest %s; import the image again", counted.n, got, in.RawBytes, in.Digest)
	}
	if !squashed {
		return nil
	}
	// Only once it is known to be the right one is it given to a program to read.
	if _, err := o.Programs.Run(ctx, o.Dir, nil, "unsquashfs", "-quiet", "-no-progress", "-force", "-dest", target, filepath.Join(target, packed)); err != nil {
		return fmt.Errorf("unpack the root archive: %w", err)
	}
	if err := os.Remove(filepath.Join(dir, packed)); err != nil {
		return fmt.Errorf("remove the unpacked archive: %w", err)
	}
	return nil
}

// keep writes a stream to a new file.
func keep(r io.Reader, name string) error {
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// counter counts what is read, and tells which part of the whole that is.
type counter struct {
	r     io.Reader
	n, of int64
	tell  func(float64)
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.tell(float64(c.n) / float64(max(c.of, 1)))
	return n, err
}
