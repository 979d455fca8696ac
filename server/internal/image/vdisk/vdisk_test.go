package vdisk

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
)

func opened(open opener, b []byte) (*Disk, error) {
	return open(bytes.NewReader(b), int64(len(b)), 1<<30)
}

func TestTheSmallestImagesAreRead(t *testing.T) {
	fixed := append(bytes.Repeat([]byte("fixed"), 4096), vhdFooter(fixedDisk, 20480, ^uint64(0))...)
	for _, tt := range []struct {
		name  string
		open  opener
		image []byte
		size  int64
		at    int64
		want  string
	}{
		{"a dynamic VHD", OpenVHD, vhdImage(), 3 * minBlock, minBlock, "block"},
		{"a fixed VHD", OpenVHD, fixed, 20480, 5, "fixed"},
		{"a sparse VMDK", OpenVMDK, vmdkImage(false), 1 << 20, 2 * minGrain, "grain"},
		{"a compressed VMDK", OpenVMDK, vmdkImage(true), 1 << 20, 2 * minGrain, "grain"},
		{"a VHDX", OpenVHDX, vhdxImage(), 3 << 20, 1 << 20, "block"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := opened(tt.open, tt.image)
			if err != nil || d.Size != tt.size {
				t.Fatalf("got %+v, %v; want a disk of %d bytes", d, err, tt.size)
			}
			whole, err := contentOf(d)
			if err != nil || string(whole[tt.at:tt.at+5]) != tt.want {
				t.Errorf("got %v, %q at %d; want %q", err, whole[tt.at:tt.at+5], tt.at, tt.want)
			}
			part := make([]byte, 7)
			if n, err := d.ReadAt(part, tt.at-1); n != 7 || err != nil || !bytes.Equal(part, whole[tt.at-1:tt.at+6]) {
				t.Errorf("a part across a border: got %d bytes %q, %v", n, part, err)
			}
			if n, err := d.ReadAt(part, d.Size-3); n != 3 || !errors.Is(err, io.EOF) {
				t.Errorf("a part across the end: got %d bytes, %v; want 3 and EOF", n, err)
			}
			if n, err := d.ReadAt(part, d.Size); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("behind the end: got %d bytes, %v; want EOF", n, err)
			}
			if _, err := d.ReadAt(part, -1); err == nil {
				t.Error("before the start: got no error")
			}
			if _, err := tt.open(bytes.NewReader(tt.image), int64(len(tt.image)), tt.size-1); !errors.Is(err, ErrUnsupported) {
				t.Errorf("above the limit: got %v; want ErrUnsupported", err)
			}
		})
	}
}

// change sets bytes of an image.
func change(b []byte, at int, to ...byte) []byte {
	b = bytes.Clone(b)
	copy(b[at:], to)
	return b
}

func le32(n uint32) []byte { return binary.LittleEndian.AppendUint32(nil, n) }
func le64(n uint64) []byte { return binary.LittleEndian.AppendUint64(nil, n) }
func be32(n uint32) []byte { return binary.BigEndian.AppendUint32(nil, n) }

func TestHostileVHDsAreRefused(t *testing.T) {
	good := vhdImage()
	head := func(at int, to ...byte) []byte {
		b := change(good, 512+at, to...)
		summed(b[512:][:dynamicBytes], 36)
		return b
	}
	foot := func(at int, to ...byte) []byte {
		b := change(good, len(good)-footerBytes+at, to...)
		summed(b[len(b)-footerBytes:], 64)
		return b
	}
	for _, tt := range []struct {
		name  string
		image []byte
		want  error
	}{
		{"nothing", nil, ErrTruncated},
		{"cut off", good[:len(good)-1], ErrTruncated},
		{"without its end", good[:len(good)-footerBytes], ErrTruncated},
		{"a footer with a wrong checksum", change(good, len(good)-footerBytes+20, 9), ErrCorrupt},
		{"a header with a wrong checksum", change(good, 600, 9), ErrCorrupt},
		{"a differencing disk", foot(60, be32(4)...), ErrUnsupported},
		{"a disk of no size", foot(48, make([]byte, 8)...), ErrCorrupt},
		{"a disk of more than any size", foot(48, 0xff), ErrCorrupt},
		{"a header outside the file", foot(16, 1), ErrTruncated},
		{"a header elsewhere", foot(22, 8), ErrCorrupt},
		{"blocks of nothing", head(32, be32(0)...), ErrCorrupt},
		{"blocks of no power of two", head(32, be32(3*minBlock)...), ErrCorrupt},
		{"blocks too large", head(32, be32(1<<31)...), ErrCorrupt},
		{"a table too short for the disk", head(28, be32(2)...), ErrCorrupt},
		{"a table outside the file", head(16, 1), ErrTruncated},
		{"a block outside the file", change(good, 1536, be32(0xfffffffe)...), ErrTruncated},
		{"a block on another one", change(good, 1536, be32(5)...), ErrCorrupt},
		{"two blocks in one place", change(good, 1536, be32(4)...), ErrCorrupt},
		{"a block on the footer's copy", change(good, 1540, be32(0)...), ErrCorrupt},
		{"a fixed disk larger than the file", vhdFooter(fixedDisk, 4096, 0), ErrTruncated},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := opened(OpenVHD, tt.image); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

func TestHostileVMDKsAreRefused(t *testing.T) {
	good, packed := vmdkImage(false), vmdkImage(true)
	text := func(s string) []byte {
		b := change(good, sector, make([]byte, sector)...)
		copy(b[sector:], s)
		return b
	}
	two := change(good, 12, le64(4<<20/sector)...)
	for _, tt := range []struct {
		name  string
		image []byte
		want  error
	}{
		{"nothing", nil, ErrTruncated},
		{"a header alone", good[:sector], ErrTruncated},
		{"an extent without a descriptor", change(good, 28, le64(0)...), ErrUnsupported},
		{"a descriptor outside the file", change(good, 28, le64(1<<60)...), ErrCorrupt},
		{"a descriptor without end", change(good, 36, le64(1<<50)...), ErrCorrupt},
		{"a snapshot", text("parentCID=12345678\n"), ErrUnsupported},
		{"a disk in several files", text("createType=\"twoGbMaxExtentSparse\"\n"), ErrUnsupported},
		{"two extents", text("RW 1 SPARSE \"a\"\nRW 1 SPARSE \"/etc/shadow\"\n"), ErrUnsupported},
		{"a later version", change(good, 4, 9), ErrUnsupported},
		{"more sectors than any disk", change(good, 12, le64(1<<60)...), ErrCorrupt},
		{"no sectors", change(good, 12, le64(0)...), ErrCorrupt},
		{"grains of nothing", change(good, 20, le64(0)...), ErrCorrupt},
		{"grains of 24 sectors", change(good, 20, le64(24)...), ErrCorrupt},
		{"grains that overflow", change(good, 20, le64(1<<60)...), ErrCorrupt},
		{"grain tables of another length", change(good, 44, le32(1)...), ErrUnsupported},
		{"another compression", change(packed, 77, 2), ErrUnsupported},
		{"a directory outside the file", change(good, 56, le64(1<<50)...), ErrCorrupt},
		{"a directory at the end, without a footer", change(good, 56, le64(directoryAtEnd)...), ErrTruncated},
		{"a grain table outside the file", change(good, 2*sector, le32(1<<30)...), ErrTruncated},
		{"two grain tables in one place", change(two, 2*sector+4, le32(3)...), ErrCorrupt},
		{"a grain outside the file", change(good, 3*sector, le32(0xffffffff)...), ErrTruncated},
		{"a compressed grain of another place", change(packed, 3*sector, le32(8)...), ErrCorrupt},
		{"a compressed grain of nothing", change(packed, 8*sector+8, le32(0)...), ErrCorrupt},
		{"a compressed grain too long", change(packed, 8*sector+8, le32(0xffffffff)...), ErrCorrupt},
		{"a compressed grain that ends early", change(packed, 8*sector+8, le32(9)...), ErrTruncated},
		{"a compressed grain of something else", change(packed, 8*sector+12, 0xee, 0xee, 0xee), ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, err := opened(OpenVMDK, tt.image)
			if err == nil {
				_, err = contentOf(d)
			}
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

func TestHostileVHDXsAreRefused(t *testing.T) {
	good := vhdxImage()
	regions := func(at int, to ...byte) []byte {
		b := change(good, vhdxRegions+at, to...)
		checked(b[vhdxRegions:][:regionsSize])
		return b
	}
	const item = 2<<20 + 64<<10
	for _, tt := range []struct {
		name  string
		image []byte
		want  error
	}{
		{"nothing", nil, ErrTruncated},
		{"its first bytes", good[:1000], ErrTruncated},
		{"no whole header", change(good, vhdxHeader+9, 1), ErrCorrupt},
		{"a region table with a wrong checksum", change(good, vhdxRegions+100, 1), ErrCorrupt},
		{"more regions than there is room for", regions(8, le32(1<<30)...), ErrCorrupt},
		{"a required region that is not known", regions(16, 0xee), ErrUnsupported},
		{"metadata outside the file", regions(16+32+16, le64(1<<62)...), ErrCorrupt},
		{"metadata too short", regions(16+32+24, le32(5)...), ErrCorrupt},
		{"no metadata", change(good, 2<<20, 'x'), ErrCorrupt},
		{"items without end", change(good, 2<<20+10, 0xff, 0xff), ErrCorrupt},
		{"an item outside the metadata", change(good, 2<<20+48, le32(0xffffffff)...), ErrCorrupt},
		{"an item without end", change(good, 2<<20+52, le32(0xffffffff)...), ErrCorrupt},
		{"a differencing disk", change(good, item+4, hasParent), ErrUnsupported},
		{"blocks of nothing", change(good, item, le32(0)...), ErrCorrupt},
		{"a disk of no size", change(good, item+8, le64(0)...), ErrCorrupt},
		{"sectors of 7 bytes", change(good, item+16, 7, 0), ErrCorrupt},
		{"a table too short for the disk", change(good, item+8, le64(1<<40)...), ErrUnsupported},
		{"a table outside the file", regions(16+16, le64(1<<40)...), ErrTruncated},
		{"a block outside the file", change(good, 1<<20, le64(1<<40|fullyPresent)...), ErrTruncated},
		{"a block on the headers", change(good, 1<<20, le64(fullyPresent)...), ErrCorrupt},
		{"two blocks in one place", change(good, 1<<20, le64(3<<20|fullyPresent)...), ErrCorrupt},
		{"a block that is partly in a parent", change(good, 1<<20, le64(3<<20|partly)...), ErrCorrupt},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := opened(OpenVHDX, tt.image); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
	dirty := change(good, vhdxHeader+48, 1)
	checked(dirty[vhdxHeader:][:headerSize])
	if _, err := opened(OpenVHDX, dirty); !errors.Is(err, ErrUnsupported) || !strings.Contains(err.Error(), "not closed cleanly") {
		t.Errorf("a log to be replayed: got %v; want ErrUnsupported", err)
	}
}

// fuzz opens what is mutated and reads all of it: it may be refused in the known ways only.
func fuzz(f *testing.F, open opener, seeds ...[]byte) {
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 8 << 20
		d, err := open(bytes.NewReader(b), int64(len(b)), most)
		if err == nil {
			if d.Size <= 0 || d.Size > most {
				t.Fatalf("got a disk of %d bytes", d.Size)
			}
			_, err = contentOf(d)
		}
		if err != nil && !errors.Is(err, ErrUnsupported) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTruncated) {
			t.Errorf("got an error of another kind: %v", err)
		}
	})
}

func FuzzOpenVHD(f *testing.F) { fuzz(f, OpenVHD, vhdImage(), vhdFooter(fixedDisk, 4096, 0)) }

func FuzzOpenVMDK(f *testing.F) { fuzz(f, OpenVMDK, vmdkImage(false), vmdkImage(true)) }

func FuzzOpenVHDX(f *testing.F) { fuzz(f, OpenVHDX, vhdxImage()[:3<<20+4096]) }
