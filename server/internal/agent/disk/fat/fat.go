// Package fat makes small FAT12 and FAT16 volumes with long file names, in memory (Microsoft FAT specification,
// version 1.03). The files are in the root directory; nothing is read back.
package fat

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
)

const (
	entryBytes  = 32
	rootEntries = 512
	// epoch is the date of every file, 1980-01-01, so that the same files make the same volume.
	epoch        = 0x0021
	attrVolume   = 0x08
	attrArchive  = 0x20
	fat12Limit   = 4085  // fewer clusters than this make it FAT12
	fat16Limit   = 65525 // fewer than this FAT16
	mediaFixed   = 0xF8
	endOfChain   = 0xFFFF
	labelBytes   = 11
	bytesPerFAT2 = 2
)

// Volume says what to make.
type Volume struct {
	Label      string // at most 11 characters, upper case
	SectorSize int    // the disk's logical block: 512, 1024, 2048 or 4096
	Bytes      int    // size of the volume, whole sectors
	Files      map[string]string
}

// geometry is the layout of a volume, in sectors where not said otherwise.
type geometry struct {
	sector, sectors int
	perCluster      int
	fatSectors      int
	root, data      int // first sectors of root directory and of cluster 2
	clusters        int
}

// Build returns the volume's bytes. It fails when a name is not allowed or the files do not fit.
func Build(v Volume) ([]byte, error) {
	g, err := layout(v.SectorSize, v.Bytes/max(v.SectorSize, 1))
	if err != nil {
		return nil, err
	}
	if len(v.Label) == 0 || len(v.Label) > labelBytes || strings.ToUpper(v.Label) != v.Label {
		return nil, fmt.Errorf("volume label %q is not 1 to 11 upper-case characters", v.Label)
	}
	img := make([]byte, g.sectors*g.sector)
	serial := crc32.NewIEEE()
	table := []uint16{0xFF00 | mediaFixed, endOfChain}
	dir := append([]byte{}, record(padded(v.Label), attrVolume, 0, 0)...)
	aliases := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(v.Files)) {
		content := v.Files[name]
		fmt.Fprintf(serial, "%d %s %d %s", len(name), name, len(content), content)
		records, err := nameRecords(name, aliases)
		if err != nil {
			return nil, err
		}
		first := 0
		if len(content) > 0 {
			first = len(table)
		}
		cluster := g.perCluster * g.sector
		n := (len(content) + cluster - 1) / cluster
		if len(table)+n > g.clusters+2 {
			return nil, fmt.Errorf("file %s: the volume of %d bytes is full", name, v.Bytes)
		}
		copy(img[(g.data+(len(table)-2)*g.perCluster)*g.sector:], content)
		for i := range n {
			next := uint16(len(table) + 1)
			if i == n-1 {
				next = endOfChain
			}
			table = append(table, next)
		}
		dir = append(dir, records.long...)
		dir = append(dir, record(records.short, attrArchive, first, len(content))...)
		if len(dir) > rootEntries*entryBytes {
			return nil, fmt.Errorf("file %s: the root directory is full", name)
		}
	}
	copy(img, bootSector(g, v.Label, serial.Sum32()))
	raw := g.encode(table)
	copy(img[g.sector:], raw)
	copy(img[(1+g.fatSectors)*g.sector:], raw)
	copy(img[g.root*g.sector:], dir)
	return img, nil
}

// layout finds the smallest cluster that keeps a volume below FAT16's limit.
func layout(sector, sectors int) (geometry, error) {
	if !slices.Contains([]int{512, 1024, 2048, 4096}, sector) {
		return geometry{}, fmt.Errorf("sectors of %d bytes are not possible in FAT", sector)
	}
	for per := 1; per <= 64; per *= 2 {
		g := geometry{sector: sector, sectors: sectors, perCluster: per}
		rootSectors := rootEntries * entryBytes / sector
		// One pass from above: a table for all sectors is never too small, and at most a few sectors too large.
		all := sectors/per + 2
		size := all * bytesPerFAT2
		if all < fat12Limit {
			size = (all*3 + 1) / 2
		}
		g.fatSectors = (size + sector - 1) / sector
		g.root = 1 + 2*g.fatSectors
		g.data = g.root + rootSectors
		g.clusters = (sectors - g.data) / per
		if g.clusters < 16 {
			return geometry{}, fmt.Errorf("%d bytes are too few for a FAT volume", sectors*sector)
		}
		// Cluster counts next to a limit are read differently by different systems (specification, page 15); a table
		// sized for one kind must also not end up as the other.
		nearLimit := g.clusters >= fat12Limit-16 && all >= fat12Limit && g.clusters < fat12Limit+16
		if g.clusters < fat16Limit-16 && !nearLimit {
			return g, nil
		}
	}
	return geometry{}, fmt.Errorf("%d bytes are too many for a FAT16 volume", sectors*sector)
}

func (g geometry) fat12() bool { return g.clusters < fat12Limit }

// encode returns the allocation table.
func (g geometry) encode(table []uint16) []byte {
	raw := make([]byte, g.fatSectors*g.sector)
	for i, next := range table {
		if !g.fat12() {
			binary.LittleEndian.PutUint16(raw[2*i:], next)
			continue
		}
		// Two entries of 12 bits share three bytes.
		next &= 0xFFF
		if at := i * 3 / 2; i%2 == 0 {
			raw[at], raw[at+1] = byte(next), raw[at+1]&0xF0|byte(next>>8)
		} else {
			raw[at], raw[at+1] = raw[at]&0x0F|byte(next<<4), byte(next>>4)
		}
	}
	return raw
}

func bootSector(g geometry, label string, serial uint32) []byte {
	b, le := make([]byte, g.sector), binary.LittleEndian
	copy(b, []byte{0xEB, 0x3C, 0x90})
	copy(b[3:], "MSWIN4.1") // what the specification recommends: some readers look at it
	le.PutUint16(b[11:], uint16(g.sector))
	b[13] = byte(g.perCluster)
	le.PutUint16(b[14:], 1) // reserved
	b[16] = 2               // tables
	le.PutUint16(b[17:], rootEntries)
	if g.sectors < 1<<16 {
		le.PutUint16(b[19:], uint16(g.sectors))
	} else {
		le.PutUint32(b[32:], uint32(g.sectors))
	}
	b[21] = mediaFixed
	le.PutUint16(b[22:], uint16(g.fatSectors))
	le.PutUint16(b[24:], 32) // sectors of a track and heads: unused with LBA, but mtools wants them
	le.PutUint16(b[26:], 64)
	b[36], b[38] = 0x80, 0x29
	le.PutUint32(b[39:], serial)
	copy(b[43:], padded(label))
	copy(b[54:], "FAT16   ")
	if g.fat12() {
		copy(b[54:], "FAT12   ")
	}
	b[510], b[511] = 0x55, 0xAA
	return b
}

// record is one directory entry of the short kind.
func record(short string, attr byte, first, size int) []byte {
	b, le := make([]byte, entryBytes), binary.LittleEndian
	copy(b, short)
	b[11] = attr
	le.PutUint16(b[16:], epoch)
	le.PutUint16(b[18:], epoch)
	le.PutUint16(b[24:], epoch)
	le.PutUint16(b[26:], uint16(first))
	le.PutUint32(b[28:], uint32(size))
	return b
}

func padded(s string) string { return fmt.Sprintf("%-*s", labelBytes, s) }
