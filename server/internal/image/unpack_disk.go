package image

import (
	"fmt"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/server/internal/image/qcow2"
	"github.com/metalform/terraform-provider-metal/server/internal/image/vdisk"
)

// openDisk opens the disk inside a file of a mapped format. One larger than most bytes is refused.
func openDisk(f format, file *os.File, most int64) (disk io.ReaderAt, size int64, err error) {
	if f == qcow {
		d, err := qcow2.NewReader(file, most)
		if err != nil {
			return nil, 0, err
		}
		return d, d.Size, nil
	}
	info, err := file.Stat()
	if err != nil {
		return nil, 0, fmt.Errorf("measure the image file: %w", err)
	}
	open := map[format]func(io.ReaderAt, int64, int64) (*vdisk.Disk, error){vmdk: vdisk.OpenVMDK, vhd: vdisk.OpenVHD, vhdx: vdisk.OpenVHDX}[f]
	d, err := open(file, info.Size(), most)
	if err != nil {
		return nil, 0, err
	}
	return d, d.Size, nil
}

// holds says whether a digest is that of a stored content which an import of the declared format would store: a root
// archive is not taken for a disk because somebody knows its digest.
func (s *Store) holds(digest, declared string) (Content, bool) {
	f, content, err := s.Open(digest)
	if err != nil {
		return Content{}, false
	}
	defer f.Close()
	d, err := zstd.NewReader(f, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(frameBytes))
	if err != nil {
		return Content{}, false
	}
	defer d.Close()
	head := make([]byte, min(sniffBytes, content.RawBytes))
	if _, err := io.ReadFull(d, head); err != nil {
		return Content{}, false
	}
	found, err := formatOf(head, declared)
	if err != nil || found.mapped() {
		return Content{}, false
	}
	if found == raw {
		return content, checkHead(head) == nil
	}
	return content, format(declared) == found
}
