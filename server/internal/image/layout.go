package image

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// The seek table at the end of a stored file (zstd, contrib/seekable_format): a skippable frame of one entry per data
// frame, and a footer.
const (
	skippableMagic = 0x184d2a5e
	footerMagic    = 0x8f92eab1
	headerBytes    = 8 // magic, size
	entryBytes     = 8 // compressed size, raw size
	footerBytes    = 9 // number of frames, descriptor, magic
)

// errLayout means that a stored file is not what an import wrote.
var errLayout = errors.New("the stored file is damaged: remove it and import the image again")

// frameSizes is one entry of the seek table.
type frameSizes struct{ stored, raw uint32 }

// seekTable returns the skippable frame that ends a stored file.
func seekTable(frames []frameSizes) []byte {
	le := binary.LittleEndian
	b := make([]byte, 0, headerBytes+entryBytes*len(frames)+footerBytes)
	b = le.AppendUint32(b, skippableMagic)
	b = le.AppendUint32(b, uint32(entryBytes*len(frames)+footerBytes))
	for _, f := range frames {
		b = le.AppendUint32(b, f.stored)
		b = le.AppendUint32(b, f.raw)
	}
	b = le.AppendUint32(b, uint32(len(frames)))
	b = append(b, 0) // descriptor: no checksums here, as every frame has its own
	return le.AppendUint32(b, footerMagic)
}

// parseSeekTable reads what seekTable wrote; b begins with the skippable frame and ends with the file.
func parseSeekTable(b []byte) ([]frameSizes, error) {
	le := binary.LittleEndian
	if len(b) < headerBytes+footerBytes || le.Uint32(b) != skippableMagic || uint64(le.Uint32(b[4:])) != uint64(len(b)-headerBytes) {
		return nil, errLayout
	}
	body := b[headerBytes : len(b)-footerBytes]
	footer := b[len(b)-footerBytes:]
	if le.Uint32(footer[5:]) != footerMagic || footer[4] != 0 || uint64(len(body)) != entryBytes*uint64(le.Uint32(footer)) {
		return nil, errLayout
	}
	frames := make([]frameSizes, len(body)/entryBytes)
	for i := range frames {
		frames[i] = frameSizes{le.Uint32(body[i*entryBytes:]), le.Uint32(body[i*entryBytes+4:])}
	}
	return frames, nil
}

// readLayout returns the raw and the stored size of a stored file, and leaves the file at its start.
func readLayout(f *os.File) (raw, stored int64, err error) {
	frames, stored, err := readFrames(f)
	for _, fr := range frames {
		raw += int64(fr.raw)
	}
	return raw, stored, err
}

// readFrames returns the seek table of a stored file and the file's size, checked against each other.
func readFrames(f *os.File) (frames []frameSizes, stored int64, err error) {
	info, err := f.Stat()
	if err != nil {
		return nil, 0, err
	}
	stored = info.Size()
	if stored < headerBytes+footerBytes {
		return nil, 0, errLayout
	}
	var footer [footerBytes]byte
	if _, err := f.ReadAt(footer[:], stored-footerBytes); err != nil {
		return nil, 0, fmt.Errorf("read seek table: %w", err)
	}
	size := headerBytes + entryBytes*int64(binary.LittleEndian.Uint32(footer[:])) + footerBytes
	if size > stored {
		return nil, 0, errLayout
	}
	table := make([]byte, size)
	if _, err := f.ReadAt(table, stored-size); err != nil {
		return nil, 0, fmt.Errorf("read seek table: %w", err)
	}
	if frames, err = parseSeekTable(table); err != nil {
		return nil, 0, err
	}
	packed := int64(0)
	for _, fr := range frames {
		packed += int64(fr.stored)
	}
	if packed+size != stored {
		return nil, 0, errLayout
	}
	return frames, stored, nil
}
