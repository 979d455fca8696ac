package gpt

import (
	"encoding/binary"
	"fmt"
)

const (
	mbrTable     = 446 // offset of the four entries
	mbrEntry     = 16
	systemLinux  = 0x83
	systemGPT    = 0xEE // protective
	systemFAT32  = 0x0C // FAT with LBA addressing
	mbrMaxBlocks = 1<<32 - 1
)

// MBREntry is one of the four primary partitions of a master boot record.
type MBREntry struct {
	System        byte
	First, Blocks uint32
}

func (e MBREntry) end() uint64 { return uint64(e.First) + uint64(e.Blocks) }

// ParseMBR reads the four primary entries of block 0, in order. It returns false when the block holds no table: no
// signature, no used entry, or entries that no partitioning tool writes, as the boot sector of a file system has.
func ParseMBR(block []byte) ([4]MBREntry, bool) {
	var table [4]MBREntry
	if len(block) < 512 || block[510] != 0x55 || block[511] != 0xAA {
		return table, false
	}
	any := false
	for i := range table {
		b := block[mbrTable+i*mbrEntry:]
		if b[0]&0x7F != 0 {
			return table, false
		}
		e := MBREntry{b[4], binary.LittleEndian.Uint32(b[8:]), binary.LittleEndian.Uint32(b[12:])}
		if e.System == 0 {
			continue
		}
		if e.First == 0 || e.Blocks == 0 {
			return table, false
		}
		table[i], any = e, true
	}
	return table, any
}

// PutMBR writes entry number slot (0 to 3) into block 0, and keeps its boot flag.
func PutMBR(block []byte, slot int, e MBREntry) {
	b := block[mbrTable+slot*mbrEntry:]
	// Cylinders, heads and sectors are given as "beyond CHS" (UEFI 2.10, table 5.4): every reader uses the LBA.
	copy(b[1:], []byte{0xFE, 0xFF, 0xFF, e.System, 0xFE, 0xFF, 0xFF})
	binary.LittleEndian.PutUint32(b[8:], e.First)
	binary.LittleEndian.PutUint32(b[12:], e.Blocks)
}

// Protect makes the protective entry of block 0 cover a disk of that many bytes (UEFI 2.10, section 5.2.3). Boot
// code and the other entries of a hybrid record stay.
func Protect(block []byte, diskBytes int64, sectorSize int) {
	blocks := uint32(min(uint64(diskBytes)/uint64(sectorSize)-1, mbrMaxBlocks))
	for i := range 4 {
		if block[mbrTable+i*mbrEntry+4] != systemGPT {
			continue
		}
		PutMBR(block, i, MBREntry{systemGPT, 1, blocks})
		if i == 0 {
			copy(block[mbrTable+1:], []byte{0x00, 0x02, 0x00})
		}
	}
}

// FitMBR changes block 0 as Fit does with a GUID partition table: it grows the last partition, when that is a Linux
// one, and with seed adds a primary partition for it at the end of the disk, within the first 2^32 blocks.
func FitMBR(block []byte, diskBytes int64, sectorSize int, seed bool) (Span, error) {
	table, ok := ParseMBR(block)
	if !ok {
		return Span{}, fmt.Errorf("no partition table")
	}
	sector := uint64(sectorSize)
	end := min(uint64(diskBytes)/sector, mbrMaxBlocks)
	last, free := -1, -1
	for i, e := range table {
		switch {
		case e.System == 0 && free < 0:
			free = i
		case e.System != 0 && (last < 0 || e.end() > table[last].end()):
			last = i
		}
	}
	if table[last].end() > end {
		return Span{}, fmt.Errorf("partition %d ends at block %d, the disk has %d", last+1, table[last].end(), end)
	}
	align := alignBytes / sector
	var span Span
	if seed {
		if free < 0 {
			return Span{}, fmt.Errorf("all four primary partitions of the image's MBR are taken: there is none for the seed")
		}
		size := SeedBytes / sector
		if end < size || (end-size)/align*align < table[last].end() {
			return Span{}, fmt.Errorf("no room for a seed partition of %d bytes behind the image's partitions: %d bytes are free",
				SeedBytes, (end-table[last].end())*sector)
		}
		end = (end - size) / align * align
		PutMBR(block, free, MBREntry{systemFAT32, uint32(end), uint32(size)})
		span = Span{int64(end * sector), SeedBytes}
	}
	if e := table[last]; e.System == systemLinux && end/align*align > e.end() {
		PutMBR(block, last, MBREntry{e.System, e.First, uint32(end/align*align - uint64(e.First))})
	}
	return span, nil
}
