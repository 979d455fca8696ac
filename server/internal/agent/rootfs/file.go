package rootfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// file writes a regular file. Stretches of zeros are left out: they read the same and take no room on the disk.
func (u *unpacker) file(parent int, base string, size int64, content io.Reader) error {
	fd, err := unix.Openat(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return err
	}
	f := os.NewFile(uintptr(fd), base)
	return errors.Join(u.fill(f, size, content), f.Close())
}

func (u *unpacker) fill(f *os.File, size int64, content io.Reader) error {
	for at := int64(0); at < size; {
		n, err := io.ReadFull(content, u.buffer[:min(int64(len(u.buffer)), size-at)])
		if err != nil {
			return fmt.Errorf("read its content after %d of %d bytes: %w", at+int64(n), size, err)
		}
		if b := u.buffer[:n]; !isZero(b) {
			if _, err := f.WriteAt(b, at); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return f.Truncate(size)
}

func isZero(b []byte) bool { return len(b) == 0 || b[0] == 0 && bytes.Equal(b[1:], b[:len(b)-1]) }
