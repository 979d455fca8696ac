// Package qcow2 reads QEMU's copy-on-write disk images, versions 2 and 3, as QEMU's docs/interop/qcow2.rst defines
// them. It is a pure function of an io.ReaderAt: it opens nothing, follows no name that a header holds, and allocates
// no more than its limits allow whatever the bytes say. Images that need another file (backing file, external data
// file) or a key are refused.
package qcow2

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Magic is how every qcow2 file begins.
const Magic = "QFI\xfb"

// HeaderSize is how many bytes of a file Parse needs at most.
const HeaderSize = 112

const (
	headerV2 = 72  // length of a version 2 header
	headerV3 = 104 // shortest version 3 header

	minClusterBits = 9
	maxClusterBits = 21       // 2 MiB, QEMU's own limit
	maxL1Bytes     = 32 << 20 // QEMU's own limit (QCOW_MAX_L1_SIZE)
)

// Incompatible feature bits: a reader that does not know one must refuse the image.
const (
	featureDirty       = 1 << 0
	featureCorrupt     = 1 << 1
	featureDataFile    = 1 << 2
	featureCompression = 1 << 3 // the compression type field holds something other than zlib
	featureExtendedL2  = 1 << 4
)

// Compression is how compressed clusters are packed.
type Compression uint8

const (
	Zlib Compression = 0 // raw deflate, RFC 1951
	Zstd Compression = 1 // RFC 8878
)

var (
	// ErrNotQcow2 means that the file does not begin with Magic.
	ErrNotQcow2 = errors.New("no qcow2 magic")
	// ErrUnsupported means that the image is well-formed, but needs what this reader refuses.
	ErrUnsupported = errors.New("unsupported qcow2 image")
	// ErrCorrupt means that a field contradicts the format.
	ErrCorrupt = errors.New("corrupt qcow2 image")
	// ErrTruncated means that the file ends before something that it refers to.
	ErrTruncated = errors.New("truncated qcow2 image")
)

// Header is what reading needs of an image's header.
type Header struct {
	Version     uint32
	ClusterBits uint32 // log2 of the cluster size, 9 to 21
	Size        int64  // of the disk that the image holds, in bytes
	L1Entries   int
	L1Offset    int64
	Compression Compression
}

// Parse reads and checks the first bytes of an image: HeaderSize of them, or the whole file when it is shorter.
func Parse(b []byte) (Header, error) {
	if len(b) < len(Magic) || string(b[:len(Magic)]) != Magic {
		return Header{}, ErrNotQcow2
	}
	if len(b) < headerV2 {
		return Header{}, fmt.Errorf("%w: the header has %d of %d bytes", ErrTruncated, len(b), headerV2)
	}
	be := binary.BigEndian
	h := Header{
		Version:     be.Uint32(b[4:]),
		ClusterBits: be.Uint32(b[20:]),
	}
	if h.Version != 2 && h.Version != 3 {
		return Header{}, fmt.Errorf("%w: version %d; 2 and 3 are read", ErrUnsupported, h.Version)
	}
	if be.Uint64(b[8:]) != 0 {
		return Header{}, fmt.Errorf("%w: it has a backing file; flatten it with qemu-img convert", ErrUnsupported)
	}
	if m := be.Uint32(b[32:]); m != 0 {
		return Header{}, fmt.Errorf("%w: it is encrypted (method %d)", ErrUnsupported, m)
	}
	if h.Version == 3 {
		if err := h.parseV3(b); err != nil {
			return Header{}, err
		}
	}
	if h.ClusterBits < minClusterBits || h.ClusterBits > maxClusterBits {
		return Header{}, fmt.Errorf("%w: %d cluster bits; %d to %d are allowed", ErrCorrupt, h.ClusterBits, minClusterBits, maxClusterBits)
	}
	return h, h.parseTable(be.Uint64(b[24:]), be.Uint32(b[36:]), be.Uint64(b[40:]))
}

// parseV3 reads the fields that version 3 added.
func (h *Header) parseV3(b []byte) error {
	if len(b) < headerV3 {
		return fmt.Errorf("%w: the header has %d of %d bytes", ErrTruncated, len(b), headerV3)
	}
	length := binary.BigEndian.Uint32(b[100:])
	if length < headerV3 || length%8 != 0 {
		return fmt.Errorf("%w: header length %d", ErrCorrupt, length)
	}
	switch f := binary.BigEndian.Uint64(b[72:]); {
	case f&featureCorrupt != 0:
		return fmt.Errorf("%w: it is marked corrupt; repair it with qemu-img check -r all", ErrUnsupported)
	case f&featureDirty != 0:
		return fmt.Errorf("%w: it is marked dirty (not closed cleanly); repair it with qemu-img check -r all", ErrUnsupported)
	case f&featureDataFile != 0:
		return fmt.Errorf("%w: its data is in another file; flatten it with qemu-img convert", ErrUnsupported)
	case f&featureExtendedL2 != 0:
		return fmt.Errorf("%w: it has extended L2 entries; rewrite it with qemu-img convert -o extended_l2=off", ErrUnsupported)
	case f&^featureCompression != 0:
		return fmt.Errorf("%w: unknown incompatible features %#x", ErrUnsupported, f)
	}
	if length > headerV3 && len(b) > headerV3 {
		h.Compression = Compression(b[headerV3])
	}
	if h.Compression > Zstd {
		return fmt.Errorf("%w: compression type %d", ErrUnsupported, h.Compression)
	}
	return nil
}

// parseTable checks the disk size against the L1 table that must map it.
func (h *Header) parseTable(size uint64, entries uint32, offset uint64) error {
	// One L1 entry maps one L2 table, a cluster of 8-byte entries for a cluster each.
	span := 2*h.ClusterBits - 3
	need := size >> span
	if size&(1<<span-1) != 0 {
		need++
	}
	switch {
	case size > 1<<62:
		return fmt.Errorf("%w: a disk of %d bytes", ErrCorrupt, size)
	case uint64(entries)*8 > maxL1Bytes:
		return fmt.Errorf("%w: an L1 table of %d entries", ErrCorrupt, entries)
	case need > uint64(entries):
		return fmt.Errorf("%w: an L1 table of %d entries for a disk that needs %d", ErrCorrupt, entries, need)
	case offset%(1<<h.ClusterBits) != 0 || offset > 1<<62:
		return fmt.Errorf("%w: L1 table at %#x, not on a cluster border", ErrCorrupt, offset)
	}
	h.Size, h.L1Entries, h.L1Offset = int64(size), int(need), int64(offset)
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
