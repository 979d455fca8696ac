// Package gpt reads, changes and writes partition tables: GUID partition tables (UEFI 2.10, section 5.3) and
// classic master boot records. It works on byte slices and does no I/O.
package gpt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"unicode/utf16"
)

// HeadBytes is how much of a disk's start Parse and ParseMBR need at most.
const HeadBytes = 1 << 20

const (
	signature   = "EFI PART"
	revision    = 0x00010000
	headerBytes = 92
	entryBytes  = 128
	maxEntries  = 1024
	nameUnits   = 36
	// maxArray is the highest first block of entries that is looked at.
	maxArray = HeadBytes / 512
)

// ErrNone says that there is no GUID partition table where one would be.
var ErrNone = errors.New("no GUID partition table")

// GUID is a globally unique identifier in its mixed-endian form on disk.
type GUID [16]byte

// Types of partitions that matter here, as GUID.String writes them.
const (
	LinuxFilesystem = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
	LinuxRootAMD64  = "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709"
	LinuxRootARM64  = "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"
)

// MicrosoftBasic is the type EBD0A0A2-B9E5-4433-87C0-68B6B72699C7, of a partition with a FAT volume.
func MicrosoftBasic() GUID {
	return GUID{0xA2, 0xA0, 0xD0, 0xEB, 0xE5, 0xB9, 0x33, 0x44, 0x87, 0xC0, 0x68, 0xB6, 0xB7, 0x26, 0x99, 0xC7}
}

// String returns the usual text form, in upper case. The first three fields are little-endian on disk (UEFI 2.10,
// appendix A).
func (g GUID) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(g[:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

// Entry is one partition. First and Last are logical blocks, both included.
type Entry struct {
	Type, ID    GUID
	First, Last uint64
	Attributes  uint64
	name        [nameUnits]uint16
}

// Name returns the partition's label.
func (e *Entry) Name() string {
	n := 0
	for n < nameUnits && e.name[n] != 0 {
		n++
	}
	return string(utf16.Decode(e.name[:n]))
}

// SetName labels the partition; text beyond 36 UTF-16 units is cut off.
func (e *Entry) SetName(text string) {
	e.name = [nameUnits]uint16{}
	copy(e.name[:], utf16.Encode([]rune(text)))
}

// Used says whether the slot holds a partition.
func (e *Entry) Used() bool { return e.Type != GUID{} }

// Table is a GUID partition table.
type Table struct {
	SectorSize  int
	DiskID      GUID
	FirstUsable uint64
	LastUsable  uint64
	Entries     []Entry // every slot, also the unused ones
}

// Parse reads the primary table from the first bytes of a disk with the given sector size. It returns ErrNone when
// there is no header, and another error when there is one that is damaged or reaches beyond head.
func Parse(head []byte, sectorSize int) (*Table, error) {
	if len(head) < 2*sectorSize || string(head[sectorSize:sectorSize+len(signature)]) != signature {
		return nil, ErrNone
	}
	h := head[sectorSize : 2*sectorSize]
	t, array, count, size, err := parseHeader(h, sectorSize)
	if err != nil {
		return nil, err
	}
	first := array * uint64(sectorSize)
	if array > maxArray || first+uint64(count*size) > uint64(len(head)) {
		return nil, fmt.Errorf("partition entries at block %d are beyond the disk's first %d bytes", array, len(head))
	}
	return t, t.parseEntries(head[first:first+uint64(count*size)], size, binary.LittleEndian.Uint32(h[88:]))
}

// parseHeader checks a header (UEFI 2.10, table 5.5) and returns where its entries are: block, count and size.
func parseHeader(h []byte, sectorSize int) (t *Table, array uint64, count, size int, err error) {
	le := binary.LittleEndian
	n := int(le.Uint32(h[12:]))
	if n < headerBytes || n > len(h) {
		return nil, 0, 0, 0, fmt.Errorf("partition table header claims %d bytes", n)
	}
	sum := crc32.NewIEEE()
	sum.Write(h[:16])
	sum.Write([]byte{0, 0, 0, 0})
	sum.Write(h[20:n])
	if sum.Sum32() != le.Uint32(h[16:]) {
		return nil, 0, 0, 0, errors.New("partition table header has a wrong checksum")
	}
	count, size = int(le.Uint32(h[80:])), int(le.Uint32(h[84:]))
	if count < 1 || count > maxEntries || size < entryBytes || size > 4096 || size%8 != 0 {
		return nil, 0, 0, 0, fmt.Errorf("partition table has %d entries of %d bytes", count, size)
	}
	t = &Table{SectorSize: sectorSize, FirstUsable: le.Uint64(h[40:]), LastUsable: le.Uint64(h[48:])}
	copy(t.DiskID[:], h[56:72])
	return t, le.Uint64(h[72:]), count, size, nil
}

func (t *Table) parseEntries(raw []byte, size int, sum uint32) error {
	if crc32.ChecksumIEEE(raw) != sum {
		return errors.New("partition entries have a wrong checksum")
	}
	le := binary.LittleEndian
	for ; len(raw) > 0; raw = raw[size:] {
		var e Entry
		copy(e.Type[:], raw)
		copy(e.ID[:], raw[16:])
		e.First, e.Last, e.Attributes = le.Uint64(raw[32:]), le.Uint64(raw[40:]), le.Uint64(raw[48:])
		for i := range e.name {
			e.name[i] = le.Uint16(raw[56+2*i:])
		}
		if e.Used() && e.Last < e.First {
			return fmt.Errorf("partition %d ends before it begins", len(t.Entries)+1)
		}
		t.Entries = append(t.Entries, e)
	}
	return nil
}

// arrayBytes is the size of the entries on disk, in whole sectors.
func (t *Table) arrayBytes() int {
	n := max(len(t.Entries), 128) * entryBytes
	return (n + t.SectorSize - 1) / t.SectorSize * t.SectorSize
}

// Primary returns blocks 1 and following: the header and the entries, for a disk of that many bytes.
func (t *Table) Primary(diskBytes int64) []byte {
	array := t.array()
	return append(t.header(1, t.lastBlock(diskBytes), 2, array), array...)
}

// Backup returns the copy that ends the disk, entries first, and the offset in bytes where it belongs.
func (t *Table) Backup(diskBytes int64) (raw []byte, offset int64) {
	array, last := t.array(), t.lastBlock(diskBytes)
	first := last - uint64(len(array)/t.SectorSize)
	return append(array, t.header(last, 1, first, array)...), int64(first) * int64(t.SectorSize)
}

func (t *Table) lastBlock(diskBytes int64) uint64 { return uint64(diskBytes)/uint64(t.SectorSize) - 1 }

func (t *Table) array() []byte {
	raw, le := make([]byte, t.arrayBytes()), binary.LittleEndian
	for i := range t.Entries {
		e, b := &t.Entries[i], raw[i*entryBytes:]
		copy(b, e.Type[:])
		copy(b[16:], e.ID[:])
		le.PutUint64(b[32:], e.First)
		le.PutUint64(b[40:], e.Last)
		le.PutUint64(b[48:], e.Attributes)
		for j, u := range e.name {
			le.PutUint16(b[56+2*j:], u)
		}
	}
	return raw
}

func (t *Table) header(here, other, first uint64, array []byte) []byte {
	h, le := make([]byte, t.SectorSize), binary.LittleEndian
	copy(h, signature)
	le.PutUint32(h[8:], revision)
	le.PutUint32(h[12:], headerBytes)
	le.PutUint64(h[24:], here)
	le.PutUint64(h[32:], other)
	le.PutUint64(h[40:], t.FirstUsable)
	le.PutUint64(h[48:], t.LastUsable)
	copy(h[56:], t.DiskID[:])
	le.PutUint64(h[72:], first)
	// Slots that pad the last sector would not be covered by the count: count is what fits the sectors exactly.
	le.PutUint32(h[80:], uint32(len(array)/entryBytes))
	le.PutUint32(h[84:], entryBytes)
	le.PutUint32(h[88:], crc32.ChecksumIEEE(array))
	le.PutUint32(h[16:], crc32.ChecksumIEEE(h[:headerBytes]))
	return h
}
