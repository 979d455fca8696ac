package vdisk

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"strings"
	"sync"

	"github.com/klauspost/compress/zlib"
)

// VMDKMagic is how a sparse VMDK extent begins.
const VMDKMagic = "KDMV"

// The header of a sparse extent (VMware Virtual Disk Format 5.0, Hosted Sparse Extents).
const (
	flagZeroGrain  = 1 << 2
	flagCompressed = 1 << 16

	directoryAtEnd = 0xffff_ffff_ffff_ffff // streamOptimized: a second header near the end has it
	footerFromEnd  = 1024                  // that header, then the end marker
	deflate        = 1
	grainHeader    = 12 // of a compressed grain: sector number, size

	minGrain       = 4 << 10
	maxGrain       = 1 << 20
	perTable       = 512     // entries of a grain table
	mostTables     = 1 << 20 // of a disk of 2 TiB with the smallest grains
	mostDescriptor = 64 << 10
	cachedTables   = 4096 // 8 MiB
)

// OpenVMDK reads the metadata of a VMDK of `file` bytes that is one sparse extent with its descriptor inside:
// monolithicSparse or streamOptimized. A disk larger than most bytes is refused.
func OpenVMDK(src io.ReaderAt, file, most int64) (*Disk, error) {
	h := make([]byte, sector)
	if err := readFull(src, h, 0); err != nil {
		return nil, err
	}
	le := binary.LittleEndian
	if err := checkDescriptor(src, le.Uint64(h[28:]), le.Uint64(h[36:]), file); err != nil {
		return nil, err
	}
	if le.Uint64(h[56:]) == directoryAtEnd {
		if file < footerFromEnd {
			return nil, fmt.Errorf("%w: it has no footer", ErrTruncated)
		}
		if err := readFull(src, h, file-footerFromEnd); err != nil {
			return nil, err
		}
		if string(h[:4]) != VMDKMagic {
			return nil, fmt.Errorf("%w: there is no VMDK footer at its end", ErrTruncated)
		}
	}
	v := &vmdk{src: src, file: file, flags: le.Uint32(h[8:]), tables: map[uint32][]uint32{}}
	size, grain := le.Uint64(h[12:])*sector, le.Uint64(h[20:])*sector
	switch version := le.Uint32(h[4:]); {
	case string(h[:4]) != VMDKMagic || version < 1 || version > 3:
		return nil, fmt.Errorf("%w: version %d of a sparse VMDK", ErrUnsupported, version)
	case le.Uint64(h[12:]) > 1<<53:
		return nil, fmt.Errorf("%w: a disk of %d sectors", ErrCorrupt, le.Uint64(h[12:]))
	case grain < minGrain || grain > maxGrain || bits.OnesCount64(grain) != 1:
		return nil, fmt.Errorf("%w: grains of %d bytes", ErrCorrupt, grain)
	case le.Uint32(h[44:]) != perTable:
		return nil, fmt.Errorf("%w: grain tables of %d entries", ErrUnsupported, le.Uint32(h[44:]))
	case v.flags&flagCompressed != 0 && le.Uint16(h[77:]) != deflate:
		return nil, fmt.Errorf("%w: compression %d", ErrUnsupported, le.Uint16(h[77:]))
	}
	if err := checkSize(size, most); err != nil {
		return nil, err
	}
	v.size, v.grain = int64(size), int64(grain)
	if err := v.readDirectory(le.Uint64(h[56:])); err != nil {
		return nil, err
	}
	return &Disk{Size: v.size, block: v.grain, read: v.read}, nil
}

// checkDescriptor reads the text that says what the disk is made of.
func checkDescriptor(src io.ReaderAt, at, length uint64, file int64) error {
	if at == 0 || length == 0 {
		return fmt.Errorf("%w: an extent of a VMDK whose descriptor is in another file; convert the descriptor with qemu-img convert -O qcow2", ErrUnsupported)
	}
	if at > uint64(file)/sector || length > mostDescriptor/sector {
		return fmt.Errorf("%w: a descriptor of %d sectors at sector %d", ErrCorrupt, length, at)
	}
	text := make([]byte, length*sector)
	if err := readFull(src, text, int64(at*sector)); err != nil {
		return err
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	extents := 0
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		key, value, _ := strings.Cut(line, "=")
		switch strings.TrimSpace(key) {
		case "parentCID":
			if !strings.EqualFold(strings.TrimSpace(value), "ffffffff") {
				return fmt.Errorf("%w: the VMDK is a snapshot that needs its parent; consolidate it first", ErrUnsupported)
			}
		case "createType":
			if kind := strings.Trim(strings.TrimSpace(value), `"`); kind != "monolithicSparse" && kind != "streamOptimized" {
				return fmt.Errorf("%w: a VMDK of type %s; monolithicSparse and streamOptimized are read, convert others with qemu-img convert -O qcow2", ErrUnsupported, kind)
			}
		}
		if strings.HasPrefix(line, "RW ") || strings.HasPrefix(line, "RDONLY ") {
			extents++
		}
	}
	if extents > 1 {
		return fmt.Errorf("%w: the VMDK has %d extents in files of their own; convert it with qemu-img convert -O qcow2", ErrUnsupported, extents)
	}
	return nil
}

// vmdk is an extent that is read.
type vmdk struct {
	src         io.ReaderAt
	file        int64
	flags       uint32
	size, grain int64
	directory   []uint32 // sectors of grain tables; 0: none

	mu     sync.Mutex
	tables map[uint32][]uint32
	order  []uint32 // of the tables, oldest first

	inflaters sync.Pool // *inflater
}

func (v *vmdk) readDirectory(at uint64) error {
	span := v.grain * perTable
	tables := (v.size + span - 1) / span
	if tables > mostTables || at > uint64(v.file)/sector {
		return fmt.Errorf("%w: a directory of %d grain tables at sector %d", ErrCorrupt, tables, at)
	}
	var err error
	if v.directory, err = readNumbers(v.src, int64(at*sector), int(tables)); err != nil {
		return err
	}
	var used []uint64
	for _, t := range v.directory {
		if t != 0 {
			used = append(used, uint64(t)*sector)
		}
	}
	slices.Sort(used)
	return distinct(used, 4*perTable, sector)
}

// lookup returns the sector of a grain; 0 where there is none.
func (v *vmdk) lookup(index int64) (uint32, error) {
	table := v.directory[index/perTable]
	if table == 0 {
		return 0, nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	grains, ok := v.tables[table]
	if !ok {
		var err error
		if grains, err = readNumbers(v.src, int64(table)*sector, perTable); err != nil {
			return 0, fmt.Errorf("read grain table at %#x: %w", int64(table)*sector, err)
		}
		if len(v.order) >= cachedTables {
			delete(v.tables, v.order[0])
			v.order = v.order[1:]
		}
		v.tables[table] = grains
		v.order = append(v.order, table)
	}
	n := grains[index%perTable]
	if n == 1 && v.flags&flagZeroGrain != 0 {
		return 0, nil
	}
	return n, nil
}

func (v *vmdk) read(p []byte, index, at int64) error {
	n, err := v.lookup(index)
	if err != nil {
		return err
	}
	if n == 0 {
		clear(p)
		return nil
	}
	if v.flags&flagCompressed == 0 {
		return readFull(v.src, p, int64(n)*sector+at)
	}
	return v.inflate(p, index, int64(n)*sector, at)
}

// inflater holds what unpacking a grain needs, so that it is made once and not per grain.
type inflater struct {
	packed, grain []byte
	r             io.ReadCloser
}

// inflate fills p from a compressed grain. The last grain of a disk may hold no more than the disk does.
func (v *vmdk) inflate(p []byte, index, offset, at int64) error {
	var h [grainHeader]byte
	if err := readFull(v.src, h[:], offset); err != nil {
		return err
	}
	le := binary.LittleEndian
	length := int64(le.Uint32(h[8:]))
	if int64(le.Uint64(h[:]))*sector != index*v.grain || length == 0 || length > 2*v.grain {
		return fmt.Errorf("%w: at %#x is the grain of sector %d with %d bytes, not that of sector %d", ErrCorrupt, offset, le.Uint64(h[:]), length, index*v.grain/sector)
	}
	z, _ := v.inflaters.Get().(*inflater)
	if z == nil {
		z = &inflater{packed: make([]byte, 2*v.grain), grain: make([]byte, v.grain)}
	}
	defer v.inflaters.Put(z)
	packed := z.packed[:length]
	if err := readFull(v.src, packed, offset+grainHeader); err != nil {
		return err
	}
	var err error
	if z.r == nil {
		z.r, err = zlib.NewReader(bytes.NewReader(packed))
	} else {
		err = z.r.(zlib.Resetter).Reset(bytes.NewReader(packed), nil)
	}
	if err != nil {
		z.r = nil
		return fmt.Errorf("%w: a compressed grain at %#x: %w", ErrCorrupt, offset, err)
	}
	whole := z.grain[:min(v.grain, v.size-index*v.grain)]
	if _, err := io.ReadFull(z.r, whole); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: a compressed grain at %#x ends early", ErrTruncated, offset)
	} else if err != nil {
		return fmt.Errorf("%w: a compressed grain at %#x: %w", ErrCorrupt, offset, err)
	}
	copy(p, whole[at:])
	return nil
}

// readNumbers reads n little-endian 32-bit numbers.
func readNumbers(src io.ReaderAt, off int64, n int) ([]uint32, error) {
	raw := make([]byte, 4*n)
	if err := readFull(src, raw, off); err != nil {
		return nil, err
	}
	numbers := make([]uint32, n)
	for i := range numbers {
		numbers[i] = binary.LittleEndian.Uint32(raw[4*i:])
	}
	return numbers, nil
}
