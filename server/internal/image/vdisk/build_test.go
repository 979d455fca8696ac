package vdisk

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"

	"github.com/klauspost/compress/zlib"
)

// The smallest images of each format, as their specifications have them: built here, so that each field can be broken.

// vhdFooter is that of a disk.
func vhdFooter(kind uint32, size, header uint64) []byte {
	be := binary.BigEndian
	f := make([]byte, footerBytes)
	copy(f, VHDMagic)
	be.PutUint64(f[16:], header)
	be.PutUint64(f[48:], size)
	be.PutUint32(f[60:], kind)
	return summed(f, 64)
}

// summed puts the right checksum in a VHD structure.
func summed(b []byte, at int) []byte {
	clear(b[at : at+4])
	sum := uint32(0)
	for _, v := range b {
		sum += uint32(v)
	}
	binary.BigEndian.PutUint32(b[at:], ^sum)
	return b
}

// vhdImage is a dynamic disk of three blocks of 64 KiB, of which the second holds "block", and the others nothing.
func vhdImage() []byte {
	be := binary.BigEndian
	footer := vhdFooter(dynamicDisk, 3*minBlock, 512)
	h := make([]byte, dynamicBytes)
	copy(h, dynamicMagic)
	be.PutUint64(h[16:], 1536)
	be.PutUint32(h[28:], 3)
	be.PutUint32(h[32:], minBlock)
	table := bytes.Repeat([]byte{0xff}, 512)
	be.PutUint32(table[4:], 4)
	block := make([]byte, 512+minBlock)
	copy(block[512:], "block")
	return bytes.Join([][]byte{footer, summed(h, 36), table, block, footer}, nil)
}

// vmdkImage is a disk of 1 MiB in grains of 4 KiB, of which the third holds "grain".
func vmdkImage(compressed bool) []byte {
	le := binary.LittleEndian
	b := make([]byte, 8*sector+minGrain)
	copy(b, VMDKMagic)
	le.PutUint32(b[4:], 1)
	le.PutUint64(b[12:], 1<<20/sector)
	le.PutUint64(b[20:], minGrain/sector)
	le.PutUint64(b[28:], 1)
	le.PutUint64(b[36:], 1)
	le.PutUint32(b[44:], perTable)
	le.PutUint64(b[56:], 2)
	copy(b[sector:], "# Disk DescriptorFile\nparentCID=ffffffff\ncreateType=\"monolithicSparse\"\nRW 2048 SPARSE \"disk.vmdk\"\n")
	le.PutUint32(b[2*sector:], 3)   // directory: one table, at sector 3 to 6
	le.PutUint32(b[3*sector+8:], 8) // table: the third grain is at sector 8
	grain := make([]byte, minGrain)
	copy(grain, "grain")
	if compressed {
		le.PutUint32(b[8:], flagCompressed)
		le.PutUint16(b[77:], deflate)
		var packed bytes.Buffer
		z := zlib.NewWriter(&packed)
		z.Write(grain)
		z.Close()
		grain = le.AppendUint32(le.AppendUint64(nil, 2*minGrain/sector), uint32(packed.Len()))
		grain = append(grain, packed.Bytes()...)
	}
	copy(b[8*sector:], grain)
	return b
}

// vhdxImage is a disk of 3 MiB in blocks of 1 MiB, of which the second holds "block".
func vhdxImage() []byte {
	le := binary.LittleEndian
	b := make([]byte, 4<<20)
	copy(b, VHDXMagic)
	copy(b[vhdxHeader:], "head")
	le.PutUint64(b[vhdxHeader+8:], 1)
	checked(b[vhdxHeader:][:headerSize])
	r := b[vhdxRegions:]
	copy(r, "regi")
	le.PutUint32(r[8:], 2)
	for i, e := range []struct {
		id guid
		at uint64
	}{{regionBAT, 1 << 20}, {regionMetadata, 2 << 20}} {
		copy(r[16+32*i:], e.id[:])
		le.PutUint64(r[32+32*i:], e.at)
		le.PutUint32(r[40+32*i:], 1<<20)
		le.PutUint32(r[44+32*i:], 1)
	}
	checked(r[:regionsSize])
	le.PutUint64(b[1<<20+8:], 3<<20|fullyPresent)
	m := b[2<<20:]
	copy(m, "metadata")
	le.PutUint16(m[10:], 3)
	for i, e := range []struct {
		id     guid
		length uint32
		value  uint64
	}{{itemParameters, 8, 1 << 20}, {itemDiskSize, 8, 3 << 20}, {itemSectorBytes, 4, 512}} {
		copy(m[32+32*i:], e.id[:])
		le.PutUint32(m[48+32*i:], uint32(64<<10+8*i))
		le.PutUint32(m[52+32*i:], e.length)
		le.PutUint64(m[64<<10+8*i:], e.value)
	}
	copy(b[3<<20:], "block")
	return b
}

// checked puts the right checksum in a VHDX structure.
func checked(b []byte) {
	clear(b[4:8])
	binary.LittleEndian.PutUint32(b[4:], crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
}
