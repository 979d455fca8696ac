package bootenv

import (
	"fmt"
	"io"
)

// Modes of cpio entries, as in stat(2).
const (
	modeDir    = 0o040000
	modeFile   = 0o100000
	modeLink   = 0o120000
	modeDevice = 0o020000
)

// entry is one thing in the initramfs.
type entry struct {
	name         string // without a leading slash
	mode         uint32 // type and permissions
	major, minor uint32 // of a device node
	data         []byte // of a file, or the target of a link
}

// writeCPIO writes entries in the "newc" form that the kernel unpacks (Documentation/driver-api/early-userspace/
// buffer-format.rst in its sources). All belong to root, all times are zero: the same input gives the same bytes.
func writeCPIO(w io.Writer, entries []entry) error {
	c := cpioWriter{w: w}
	for i, e := range append(entries, entry{name: "TRAILER!!!"}) {
		links := 1
		if e.mode&modeDir == modeDir {
			links = 2
		}
		// magic ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
		c.printf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
			i+1, e.mode, 0, 0, links, 0, len(e.data), 0, 0, e.major, e.minor, len(e.name)+1, 0)
		c.write([]byte(e.name + "\x00"))
		c.pad()
		c.write(e.data)
		c.pad()
	}
	if c.err != nil {
		return fmt.Errorf("write the initramfs: %w", c.err)
	}
	return nil
}

// cpioWriter keeps the first error and how far it is, for padding.
type cpioWriter struct {
	w   io.Writer
	at  int64
	err error
}

func (c *cpioWriter) printf(format string, args ...any) { c.write(fmt.Appendf(nil, format, args...)) }

func (c *cpioWriter) write(p []byte) {
	if c.err == nil {
		_, c.err = c.w.Write(p)
		c.at += int64(len(p))
	}
}

// pad fills up to a multiple of four bytes.
func (c *cpioWriter) pad() { c.write(make([]byte, -c.at&3)) }
