package vdisk

import (
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"
)

// VHDMagic is how a dynamic VHD begins, and every VHD's footer.
const VHDMagic = "conectix"

const (
	footerBytes = 512
	fixedDisk   = 2
	dynamicDisk = 3

	dynamicMagic = "cxsparse"
	dynamicBytes = 1024
	unusedBlock  = 0xffff_ffff
	minBlock     = 64 << 10 // the specification's default is 2 MiB; less would make the table large
	maxBlock     = 256 << 20
)

// OpenVHD reads the metadata of a VHD of `file` bytes (Virtual Hard Disk Image Format Specification 1.0). A disk larger
// than most bytes is refused. A differencing disk is ErrUnsupported.
func OpenVHD(src io.ReaderAt, file, most int64) (*Disk, error) {
	if file < footerBytes {
		return nil, fmt.Errorf("%w: it has no footer", ErrTruncated)
	}
	footer := make([]byte, footerBytes)
	if err := readFull(src, footer, file-footerBytes); err != nil {
		return nil, err
	}
	be := binary.BigEndian
	if string(footer[:8]) != VHDMagic {
		return nil, fmt.Errorf("%w: there is no VHD footer at its end", ErrTruncated)
	}
	if err := checkSum(footer, 64, "footer"); err != nil {
		return nil, err
	}
	size := be.Uint64(footer[48:])
	if err := checkSize(size, most); err != nil {
		return nil, err
	}
	switch kind := be.Uint32(footer[60:]); kind {
	case fixedDisk:
		if err := within(0, size, file-footerBytes); err != nil {
			return nil, err
		}
		return &Disk{Size: int64(size), block: int64(size), read: func(p []byte, _, at int64) error { return readFull(src, p, at) }}, nil
	case dynamicDisk:
		return openDynamic(src, file, size, be.Uint64(footer[16:]))
	default:
		return nil, fmt.Errorf("%w: a VHD of type %d (differencing disks need their parent): merge it with its parent first", ErrUnsupported, kind)
	}
}

func openDynamic(src io.ReaderAt, file int64, size, at uint64) (*Disk, error) {
	be := binary.BigEndian
	if err := within(at, dynamicBytes, file); err != nil {
		return nil, err
	}
	h := make([]byte, dynamicBytes)
	if err := readFull(src, h, int64(at)); err != nil {
		return nil, err
	}
	if string(h[:8]) != dynamicMagic {
		return nil, fmt.Errorf("%w: no header of a dynamic disk at %#x", ErrCorrupt, at)
	}
	if err := checkSum(h, 36, "header"); err != nil {
		return nil, err
	}
	table, entries, block := be.Uint64(h[16:]), uint64(be.Uint32(h[28:])), uint64(be.Uint32(h[32:]))
	if block < minBlock || block > maxBlock || bits.OnesCount64(block) != 1 {
		return nil, fmt.Errorf("%w: blocks of %d bytes", ErrCorrupt, block)
	}
	need := (size + block - 1) / block
	if entries < need {
		return nil, fmt.Errorf("%w: a table of %d blocks for a disk that needs %d", ErrCorrupt, entries, need)
	}
	if err := within(table, 4*need, file); err != nil {
		return nil, err
	}
	raw := make([]byte, 4*need)
	if err := readFull(src, raw, int64(table)); err != nil {
		return nil, err
	}
	// A block begins with a bitmap of its sectors. What is not set there was never written, and is zero in the file too.
	bitmap := (block/sector/8 + sector - 1) / sector * sector
	starts, used := make([]uint64, need), []uint64(nil)
	for i := range starts {
		if n := be.Uint32(raw[4*i:]); n != unusedBlock {
			starts[i] = uint64(n)*sector + bitmap
			used = append(used, starts[i]-bitmap)
			rest := min(block, size-uint64(i)*block)
			if err := within(starts[i], rest, file); err != nil {
				return nil, err
			}
		}
	}
	slices.Sort(used)
	if err := distinct(used, bitmap+block, footerBytes); err != nil {
		return nil, err
	}
	return &Disk{Size: int64(size), block: int64(block), read: func(p []byte, index, at int64) error {
		if starts[index] == 0 {
			clear(p)
			return nil
		}
		return readFull(src, p, int64(starts[index])+at)
	}}, nil
}

// checkSum checks the one's complement of the sum of all bytes but the sum itself.
func checkSum(b []byte, at int, what string) error {
	sum := uint32(0)
	for i, v := range b {
		if i < at || i >= at+4 {
			sum += uint32(v)
		}
	}
	if stated := binary.BigEndian.Uint32(b[at:]); stated != ^sum {
		return fmt.Errorf("%w: the VHD %s has a wrong checksum", ErrCorrupt, what)
	}
	return nil
}
