// Package vdisk reads the disk inside the image formats of other hypervisors: VMDK (VMware's monolithicSparse and
// streamOptimized), VHD (fixed and dynamic) and VHDX. It is pure functions of an io.ReaderAt: it opens nothing, follows
// no name that a file holds, and allocates no more than its limits allow whatever the bytes say. Images that need
// another file (a parent, further extents) are refused.
package vdisk

import (
	"errors"
	"fmt"
	"io"
)

var (
	// ErrUnsupported means that the image is well-formed, but needs what these readers refuse.
	ErrUnsupported = errors.New("unsupported disk image")
	// ErrCorrupt means that a field contradicts the format.
	ErrCorrupt = errors.New("corrupt disk image")
	// ErrTruncated means that the file ends before something that it refers to.
	ErrTruncated = errors.New("truncated disk image")
)

const sector = 512

// Disk is the disk inside an image. ReadAt may be called from several goroutines.
type Disk struct {
	Size int64 // in bytes

	block int64 // bytes in one of the image's units
	// read fills p, which lies within one unit, from byte `within` of unit number index.
	read func(p []byte, index, within int64) error
}

// ReadAt reads the disk, as io.ReaderAt asks. What the image does not hold reads as zeros.
func (d *Disk) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read disk image: negative offset %d", off)
	}
	if off >= d.Size {
		return 0, io.EOF
	}
	var end error
	if int64(len(p)) > d.Size-off {
		p, end = p[:d.Size-off], io.EOF
	}
	done := 0
	for done < len(p) {
		at := off + int64(done)
		within := at % d.block
		part := p[done:min(int64(len(p)), int64(done)+d.block-within)]
		if err := d.read(part, at/d.block, within); err != nil {
			return done, fmt.Errorf("read the disk at %#x: %w", at, err)
		}
		done += len(part)
	}
	return done, end
}

// checkSize refuses a disk that is larger than allowed, or than any is.
func checkSize(size uint64, most int64) error {
	switch {
	case size == 0 || size > 1<<62:
		return fmt.Errorf("%w: a disk of %d bytes", ErrCorrupt, size)
	case size > uint64(most):
		return fmt.Errorf("%w: a disk of %d bytes; at most %d are allowed", ErrUnsupported, size, most)
	}
	return nil
}

// within checks that a span lies in the file.
func within(offset, length uint64, file int64) error {
	if offset > uint64(file) || length > uint64(file)-offset {
		return fmt.Errorf("%w: it ends before byte %d", ErrTruncated, offset+length)
	}
	return nil
}

// distinct checks that no two of the units lie on each other, nor before first. Offsets are of the file; units that are
// not there are not among them.
func distinct(sorted []uint64, length, first uint64) error {
	for i, at := range sorted {
		if at < first || i > 0 && at-sorted[i-1] < length {
			return fmt.Errorf("%w: data at %#x overlap other data", ErrCorrupt, at)
		}
	}
	return nil
}

// readFull reads exactly len(p) bytes at off, and calls a file that ends before that truncated.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: it ends before byte %d", ErrTruncated, off+int64(len(p)))
	}
	return err
}
