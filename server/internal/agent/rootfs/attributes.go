package rootfs

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Attributes reads the extended attributes of a file, by their names; none where its file system has none. Links are
// not followed.
func Attributes(name string) (map[string][]byte, error) {
	list, err := readGrowing(func(buffer []byte) (int, error) { return unix.Llistxattr(name, buffer) })
	if errors.Is(err, unix.ENOTSUP) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list the extended attributes of %s: %w", name, err)
	}
	found := map[string][]byte{}
	for attr := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if attr == "" {
			continue
		}
		value, err := readGrowing(func(buffer []byte) (int, error) { return unix.Lgetxattr(name, attr, buffer) })
		if err != nil {
			return nil, fmt.Errorf("read the extended attribute %s of %s: %w", attr, name, err)
		}
		found[attr] = value
	}
	return found, nil
}

// readGrowing asks for the size first, and again where it grew meanwhile.
func readGrowing(read func([]byte) (int, error)) ([]byte, error) {
	for {
		size, err := read(nil)
		if err != nil || size == 0 {
			return nil, err
		}
		buffer := make([]byte, size)
		n, err := read(buffer)
		if errors.Is(err, unix.ERANGE) {
			continue
		}
		return buffer[:max(n, 0)], err
	}
}
