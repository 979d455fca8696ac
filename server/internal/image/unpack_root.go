package image

import (
	"archive/tar"
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"path"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	squashfsMagic = "hsqs"
	squashfsSuper = 96 // bytes of its superblock

	// smallestDisk is what a disk image in an archive has at least. Smaller files with a boot sector are parts of loaders.
	smallestDisk = 1 << 20
	// maxEntries bounds a root archive: a full desktop has 300,000.
	maxEntries = 10_000_000
)

// firstFile returns a tar archive's first regular file, and a reader of its content.
func firstFile(archive io.Reader) (*tar.Header, io.Reader, error) {
	r := tar.NewReader(archive)
	for {
		h, err := r.Next()
		if err != nil {
			return nil, nil, err
		}
		if h.Typeflag == tar.TypeReg {
			return h, r, nil
		}
	}
}

// diskInside says whether the first file of a tar archive is a disk image, as in MAAS's ddtgz, by what is at the
// archive's start.
func diskInside(head []byte) bool {
	h, content, err := firstFile(bytes.NewReader(head))
	if err != nil || h.Size < smallestDisk {
		return false
	}
	start, err := io.ReadAll(content)
	if len(start) < 512 || err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false
	}
	f, err := formatOf(start, "auto")
	return err == nil && (f.mapped() || f == raw && checkHead(start) == nil)
}

// firstMember returns the disk image in a tar archive, and how it begins.
func firstMember(archive io.Reader) (disk *bufio.Reader, head []byte, err error) {
	_, content, err := firstFile(archive)
	if err != nil {
		return nil, nil, archiveFault(err)
	}
	disk = bufio.NewReaderSize(member{content}, readBuffer)
	if head, err = disk.Peek(sniffBytes); err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, err
	}
	return disk, head, nil
}

// member is a file in an archive. An archive that ends early is an error that says so.
type member struct{ r io.Reader }

// Read reads on.
func (m member) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // a wrapped io.EOF is a failure, not the end
		err = archiveFault(err)
	}
	return n, err
}

// archiveFault says what is wrong with a tar archive. What is wrong with what it is packed in, or with reading that, is
// told before.
func archiveFault(err error) error {
	var f *flaw
	switch {
	case errors.As(err, &f):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return &flaw{metal.Invalid, "is truncated: its tar archive ends early", err}
	case errors.Is(err, tar.ErrHeader):
		return &flaw{metal.Invalid, "is damaged: its tar archive cannot be read", err}
	}
	return err
}

// A check looks at content while it is stored, and says at the end whether it is whole.
type check struct {
	whole func(raw int64) error
	watch func(io.Reader) io.Reader
	end   func() // may be called at any time; then nothing of it runs any more
}

// newCheck makes the check of content that is stored as it is, and begins with head.
func newCheck(f format, head []byte) (check, error) {
	c := check{whole: checkSize, watch: func(r io.Reader) io.Reader { return r }, end: func() {}}
	switch f {
	case tarball:
		return checkTar(), nil
	case squashfs:
		if len(head) < squashfsSuper || binary.LittleEndian.Uint16(head[28:]) != 4 {
			return c, flawf(metal.Invalid, "is a squashfs file system of a version that is not known: make it with mksquashfs 4")
		}
		used := binary.LittleEndian.Uint64(head[40:])
		c.whole = func(raw int64) error {
			if used > uint64(raw) {
				return flawf(metal.Invalid, "is truncated: the squashfs file system has %d bytes, the file %d", used, raw)
			}
			return nil
		}
		return c, nil
	}
	return c, checkHead(head)
}

// checkTar reads the names in a root archive as it goes by.
func checkTar() check {
	r, w := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := walkRoot(r)
		r.CloseWithError(err) // a fault ends the import with the next byte
		done <- err
	}()
	return check{
		watch: func(content io.Reader) io.Reader { return io.TeeReader(content, w) },
		whole: func(int64) error {
			w.Close()
			err := <-done
			done <- nil // for end
			return err
		},
		end: func() {
			w.CloseWithError(io.ErrUnexpectedEOF)
			<-done
		},
	}
}

// walkRoot reads a root archive to its end. What its entries may do is decided when it is unpacked; what could never be
// a root is refused here.
func walkRoot(r io.Reader) error {
	archive := tar.NewReader(r)
	found := map[string]bool{}
	for n := 0; ; n++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		switch {
		case err != nil:
			return archiveFault(err)
		case n == maxEntries:
			return flawf(metal.Invalid, "has more than %d entries", maxEntries)
		}
		name := path.Clean(strings.TrimLeft(h.Name, "/"))
		if name == ".." || strings.HasPrefix(name, "../") {
			return flawf(metal.Invalid, "has an entry %q that leads out of it", h.Name)
		}
		top, _, _ := strings.Cut(name, "/")
		if top == "etc" || top == "usr" {
			found[top] = true
		}
	}
	if !found["etc"] || !found["usr"] {
		return flawf(metal.Invalid, "is not the root of a system: it has no etc or no usr at its top")
	}
	_, err := io.Copy(io.Discard, r) // blocks of zeros behind the end
	return err
}
