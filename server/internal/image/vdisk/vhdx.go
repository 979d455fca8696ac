package vdisk

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"math/bits"
	"slices"
)

// VHDXMagic is how every VHDX begins.
const VHDXMagic = "vhdxfile"

// The structures of [MS-VHDX] 2.2: two headers, two copies of the region table, then what that points to.
const (
	vhdxHeader   = 64 << 10 // the first of two, as far apart
	headerSize   = 4 << 10
	vhdxRegions  = 192 << 10
	regionsSize  = 64 << 10
	metadataSize = 64 << 10
	mostRegions  = 2047
	vhdxMinBlock = 1 << 20
	vhdxMaxBlock = 256 << 20

	hasParent    = 1 << 1
	fullyPresent = 6 // state of a block
	partly       = 7
	stateMask    = 7
	offsetMask   = ^uint64(1<<20 - 1)
)

// Identifiers, as they lie in the file.
var (
	regionBAT       = guid{0x66, 0x77, 0xc2, 0x2d, 0x23, 0xf6, 0x00, 0x42, 0x9d, 0x64, 0x11, 0x5e, 0x9b, 0xfd, 0x4a, 0x08}
	regionMetadata  = guid{0x06, 0xa2, 0x7c, 0x8b, 0x90, 0x47, 0x9a, 0x4b, 0xb8, 0xfe, 0x57, 0x5f, 0x05, 0x0f, 0x88, 0x6e}
	itemParameters  = guid{0x37, 0x67, 0xa1, 0xca, 0x36, 0xfa, 0x43, 0x4d, 0xb3, 0xb6, 0x33, 0xf0, 0xaa, 0x44, 0xe7, 0x6b}
	itemDiskSize    = guid{0x24, 0x42, 0xa5, 0x2f, 0x1b, 0xcd, 0x76, 0x48, 0xb2, 0x11, 0x5d, 0xbe, 0xd8, 0x3b, 0xf4, 0xb8}
	itemSectorBytes = guid{0x1d, 0xbf, 0x41, 0x81, 0x6f, 0xa9, 0x09, 0x47, 0xba, 0x47, 0xf2, 0x33, 0xa8, 0xfa, 0xab, 0x5f}
)

type guid [16]byte

// OpenVHDX reads the metadata of a VHDX of `file` bytes. A disk larger than most bytes is refused. A differencing disk,
// and one whose log was not replayed, are ErrUnsupported.
func OpenVHDX(src io.ReaderAt, file, most int64) (*Disk, error) {
	if err := checkHeader(src); err != nil {
		return nil, err
	}
	regions, err := readRegions(src)
	if err != nil {
		return nil, err
	}
	meta, bat := regions[regionMetadata], regions[regionBAT]
	if err := within(meta.offset, metadataSize, file); err != nil || meta.length < metadataSize {
		return nil, fmt.Errorf("%w: metadata of %d bytes at %#x", ErrCorrupt, meta.length, meta.offset)
	}
	p, err := readParameters(src, meta)
	if err != nil {
		return nil, err
	}
	if err := checkSize(p.size, most); err != nil {
		return nil, err
	}
	switch {
	case p.flags&hasParent != 0:
		return nil, fmt.Errorf("%w: a differencing VHDX needs its parent: merge it with its parent first", ErrUnsupported)
	case p.block < vhdxMinBlock || p.block > vhdxMaxBlock || bits.OnesCount64(p.block) != 1:
		return nil, fmt.Errorf("%w: blocks of %d bytes", ErrCorrupt, p.block)
	case p.sector != 512 && p.sector != 4096:
		return nil, fmt.Errorf("%w: sectors of %d bytes", ErrCorrupt, p.sector)
	}
	starts, err := readBlocks(src, file, bat, p)
	if err != nil {
		return nil, err
	}
	return &Disk{Size: int64(p.size), block: int64(p.block), read: func(b []byte, index, at int64) error {
		if starts[index] == 0 {
			clear(b)
			return nil
		}
		return readFull(src, b, int64(starts[index])+at)
	}}, nil
}

// checkHeader looks whether the newer header has a log that must be replayed.
func checkHeader(src io.ReaderAt) error {
	var newest []byte
	for i := range int64(2) {
		h := make([]byte, headerSize)
		if err := readFull(src, h, vhdxHeader*(1+i)); err != nil {
			return err
		}
		if string(h[:4]) != "head" || !checksummed(h) {
			continue // of two, one may be in the middle of a change
		}
		if newest == nil || binary.LittleEndian.Uint64(h[8:]) > binary.LittleEndian.Uint64(newest[8:]) {
			newest = h
		}
	}
	switch {
	case newest == nil:
		return fmt.Errorf("%w: neither header of the VHDX is whole", ErrCorrupt)
	case !bytes.Equal(newest[48:64], make([]byte, 16)):
		return fmt.Errorf("%w: the VHDX was not closed cleanly; repair it with qemu-img check -r all", ErrUnsupported)
	}
	return nil
}

// checksummed checks the CRC-32C in bytes 4 to 8, which is made while they are zero.
func checksummed(b []byte) bool {
	stated := binary.LittleEndian.Uint32(b[4:])
	copied := bytes.Clone(b)
	clear(copied[4:8])
	return crc32.Checksum(copied, crc32.MakeTable(crc32.Castagnoli)) == stated
}

type region struct {
	offset uint64
	length uint64
}

func readRegions(src io.ReaderAt) (map[guid]region, error) {
	t := make([]byte, regionsSize)
	if err := readFull(src, t, vhdxRegions); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	count := le.Uint32(t[8:])
	if string(t[:4]) != "regi" || !checksummed(t) || count > mostRegions {
		return nil, fmt.Errorf("%w: the VHDX's region table", ErrCorrupt)
	}
	regions := map[guid]region{}
	for i := range count {
		e := t[16+32*i:]
		id := guid(e[:16])
		if id != regionBAT && id != regionMetadata && le.Uint32(e[28:])&1 != 0 {
			return nil, fmt.Errorf("%w: the VHDX has a region %x that a reader must know", ErrUnsupported, id)
		}
		regions[id] = region{le.Uint64(e[16:]), uint64(le.Uint32(e[24:]))}
	}
	return regions, nil
}

// parameters are what reading needs of the metadata.
type parameters struct {
	block, size, sector uint64
	flags               uint32
}

func readParameters(src io.ReaderAt, r region) (parameters, error) {
	t := make([]byte, metadataSize)
	if err := readFull(src, t, int64(r.offset)); err != nil {
		return parameters{}, err
	}
	le := binary.LittleEndian
	count := uint64(le.Uint16(t[10:]))
	if string(t[:8]) != "metadata" || count > mostRegions {
		return parameters{}, fmt.Errorf("%w: the VHDX's metadata", ErrCorrupt)
	}
	var p parameters
	for i := range count {
		e := t[32+32*i:]
		item := make([]byte, 8)
		id, at, length := guid(e[:16]), uint64(le.Uint32(e[16:])), uint64(le.Uint32(e[20:]))
		if id != itemParameters && id != itemDiskSize && id != itemSectorBytes {
			continue
		}
		if length < 4 || length > 8 || at > r.length-8 {
			return p, fmt.Errorf("%w: an item of the VHDX's metadata at %#x", ErrCorrupt, at)
		}
		if err := readFull(src, item[:length], int64(r.offset+at)); err != nil {
			return p, err
		}
		switch id {
		case itemParameters:
			p.block, p.flags = uint64(le.Uint32(item)), le.Uint32(item[4:])
		case itemDiskSize:
			p.size = le.Uint64(item)
		case itemSectorBytes:
			p.sector = uint64(le.Uint32(item))
		}
	}
	return p, nil
}

// readBlocks returns where each block lies; 0: nowhere, it is zeros. After each stretch of blocks whose sectors one
// bitmap could describe there is an entry for that bitmap, which only differencing disks use.
func readBlocks(src io.ReaderAt, file int64, bat region, p parameters) ([]uint64, error) {
	stretch := (1 << 23) * p.sector / p.block
	blocks := (p.size + p.block - 1) / p.block
	entries := blocks + (blocks-1)/stretch
	if 8*entries > bat.length {
		return nil, fmt.Errorf("%w: a table of %d bytes for a disk of %d blocks", ErrCorrupt, bat.length, blocks)
	}
	if err := within(bat.offset, 8*entries, file); err != nil {
		return nil, err
	}
	raw := make([]byte, 8*entries)
	if err := readFull(src, raw, int64(bat.offset)); err != nil {
		return nil, err
	}
	starts, used := make([]uint64, blocks), []uint64(nil)
	for i := range starts {
		e := binary.LittleEndian.Uint64(raw[8*(uint64(i)+uint64(i)/stretch):])
		switch e & stateMask {
		case fullyPresent:
			starts[i] = e & offsetMask
			if err := within(starts[i], min(p.block, p.size-uint64(i)*p.block), file); err != nil {
				return nil, err
			}
			used = append(used, starts[i])
		case partly, 4, 5:
			return nil, fmt.Errorf("%w: block %d is in state %d", ErrCorrupt, i, e&stateMask)
		}
	}
	slices.Sort(used)
	return starts, distinct(used, p.block, vhdxMinBlock)
}
