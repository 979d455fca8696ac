// Package disk is what metal-agent does to disks: it lists them, picks one, wipes them, writes an image with a
// machine's seed to one, and starts the system that is on it.
package disk

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	chunkBytes = 4 << 20 // one write: large enough for a rotating disk's full speed
	zeroBytes  = 1 << 30 // one BLKZEROOUT or BLKDISCARD: ends soon enough to be cancelled between two
	// blkDiscard and blkZeroOut are _IO(0x12, 119) and _IO(0x12, 127) of linux/fs.h.
	blkDiscard = 0x1277
	blkZeroOut = 0x127F
)

// device is an open disk, or in tests a plain file that stands in for one.
type device struct {
	file   *os.File
	path   string
	bytes  int64
	sector int
	// discards and zeroes say what the device offloads: it does these without being sent every block.
	discards, zeroes bool
	block            bool // a real block device
}

// openDevice opens a disk for reading and writing, for itself alone: a disk that is mounted or part of an array
// is refused by the kernel.
func openDevice(path string) (*device, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, metal.Errorf(metal.NotFound, "open disk %s: %w", path, err)
	}
	flags := os.O_RDWR
	if info.Mode()&os.ModeDevice != 0 {
		flags |= unix.O_EXCL
	}
	// Direct I/O tells of errors at the block where they are, and reads back what the disk holds and not what
	// memory remembers. Some file systems of stand-in files do not have it.
	file, err := os.OpenFile(path, flags|unix.O_DIRECT, 0)
	if errors.Is(err, unix.EINVAL) {
		file, err = os.OpenFile(path, flags, 0)
	}
	if errors.Is(err, unix.EBUSY) {
		return nil, metal.Errorf(metal.Conflict, "open disk %s: it is in use (mounted, or part of an array or volume group): %w", path, err)
	}
	if err != nil {
		return nil, metal.Errorf(metal.Internal, "open disk %s: %w", path, err)
	}
	d := &device{file: file, path: path, sector: 512}
	if err := d.measure(info); err != nil {
		file.Close()
		return nil, metal.Errorf(metal.Internal, "measure disk %s: %w", path, err)
	}
	return d, nil
}

func (d *device) measure(info os.FileInfo) error {
	size, err := d.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	d.bytes = size
	if info.Mode()&os.ModeDevice == 0 {
		d.bytes = size / 512 * 512
		return nil
	}
	d.block = true
	if d.sector, err = unix.IoctlGetInt(int(d.file.Fd()), unix.BLKSSZGET); err != nil {
		return fmt.Errorf("read its block size: %w", err)
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(d.file.Fd()), &st); err != nil {
		return err
	}
	queue := fmt.Sprintf("/sys/dev/block/%d:%d/queue", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	d.discards = readInt(filepath.Join(queue, "discard_max_bytes")) > 0
	d.zeroes = readInt(filepath.Join(queue, "write_zeroes_max_bytes")) > 0
	return nil
}

func (d *device) Close() error { return d.file.Close() }

// rangeIoctl passes a span to one of the ioctls that take {start, length} in bytes.
func (d *device) rangeIoctl(request uintptr, offset, length int64) error {
	span := [2]uint64{uint64(offset), uint64(length)}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, d.file.Fd(), request, uintptr(unsafe.Pointer(&span)))
	if errno != 0 {
		return errno
	}
	return nil
}

// writeAt writes whole sectors from an aligned buffer, and says where the disk refused.
func (d *device) writeAt(b []byte, offset int64) error {
	for len(b) > 0 {
		n, err := d.file.WriteAt(b, offset)
		if err != nil {
			return metal.Errorf(metal.Internal, "write %d bytes at offset %d of disk %s: %w; replace the disk", len(b)-n, offset+int64(n), d.path, bare(err))
		}
		b, offset = b[n:], offset+int64(n)
	}
	return nil
}

// writeBytes writes bytes of any alignment that begin at a sector: they are padded with zeros to whole sectors.
func (d *device) writeBytes(raw []byte, offset int64) error {
	for len(raw) > 0 {
		n := min(len(raw), chunkBytes)
		b := aligned(d.roundUp(n))
		copy(b, raw[:n])
		err := d.writeAt(b, offset)
		free(b)
		if err != nil {
			return err
		}
		raw, offset = raw[n:], offset+int64(n)
	}
	return nil
}

// readBytes reads length bytes from a sector's start. What lies behind the end is not returned.
func (d *device) readBytes(offset int64, length int) ([]byte, error) {
	b := aligned(d.roundUp(length))
	defer free(b)
	n, err := d.file.ReadAt(b, offset)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, metal.Errorf(metal.Internal, "read %d bytes at offset %d of disk %s: %w; replace the disk", length, offset, d.path, bare(err))
	}
	return append([]byte(nil), b[:min(n, length)]...), nil
}

func (d *device) roundUp(n int) int { return (n + d.sector - 1) / d.sector * d.sector }

// sync makes everything written durable.
func (d *device) sync() error {
	if err := d.file.Sync(); err != nil {
		return metal.Errorf(metal.Internal, "flush disk %s: %w; replace the disk", d.path, bare(err))
	}
	return nil
}

// reread has the kernel look at the partition table again. A stand-in file has none to look at.
func (d *device) reread() error {
	if !d.block {
		return nil
	}
	err := unix.IoctlSetInt(int(d.file.Fd()), unix.BLKRRPART, 0)
	if err != nil && !errors.Is(err, unix.EINVAL) { // EINVAL: a loop device without partition scanning
		return metal.Errorf(metal.Internal, "read the new partition table of disk %s: %w", d.path, err)
	}
	return nil
}

// aligned returns memory that direct I/O takes: whole pages, outside Go's heap. free gives it back.
func aligned(n int) []byte {
	b, err := unix.Mmap(-1, 0, max(n, 1), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic("disk: out of memory: " + err.Error()) // as make would
	}
	return b
}

func free(b []byte) {
	// A buffer from aligned can only be refused here if it was freed before.
	if err := unix.Munmap(b[:cap(b)]); err != nil {
		panic("disk: free a buffer: " + err.Error())
	}
}

// bare takes the path and the call from an error of package os: the message has both already.
func bare(err error) error {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// readText returns a file of sysfs without its line end, or "" when it cannot be read.
func readText(path string) string {
	b, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.Trim(string(b), " \t\r\n\x00")
}

func readInt(path string) int64 {
	n, err := strconv.ParseInt(readText(path), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
