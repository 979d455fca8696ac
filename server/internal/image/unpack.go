package image

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	readBuffer = 1 << 20
	// maxWindow bounds what zstd may ask for; it is what zstd --ultra -22 and --long make by default.
	maxWindow = 128 << 20
)

// unpacker undoes a compression. A stream that ends early or is damaged is an Invalid error that says so.
type unpacker struct {
	io.Reader
	kind  compression
	end   *xzEnd // of xz only
	close func()
}

func newUnpacker(kind compression, src *bufio.Reader) (*unpacker, error) {
	u := &unpacker{kind: kind, close: func() {}}
	switch kind {
	case gz:
		r, err := gzip.NewReader(src)
		if err != nil {
			return nil, u.fault(err)
		}
		u.Reader = r
	case xzip:
		u.end = &xzEnd{}
		r, err := xz.NewReader(bufio.NewReaderSize(io.TeeReader(src, u.end), readBuffer))
		if err != nil {
			return nil, u.fault(err)
		}
		u.Reader = r
	case zst:
		r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, u.fault(err)
		}
		u.Reader, u.close = r, r.Close
	case bz2:
		u.Reader = bzip2.NewReader(src)
	default:
		u.Reader = src
	}
	return u, nil
}

// Read passes unpacked bytes on.
func (u *unpacker) Read(p []byte) (int, error) {
	n, err := u.Reader.Read(p)
	if errors.Is(err, io.EOF) && u.end != nil && !u.end.whole() {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF && u.kind != plain { //nolint:errorlint // a wrapped io.EOF is a failure, not the end
		err = u.fault(err)
	}
	return n, err
}

// fault says what is wrong with packed data. The source's own faults are told by the caller before it looks here.
func (u *unpacker) fault(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return &flaw{metal.Invalid, fmt.Sprintf("is truncated: its %s data end early", u.kind), err}
	}
	return &flaw{metal.Invalid, fmt.Sprintf("is damaged: its %s data cannot be unpacked (%v)", u.kind, err), err}
}

// xzEnd watches packed xz data go by and keeps its last 12 bytes before any padding. The decoder takes a file that was
// cut off at the border of a block, as xz -T makes many, for one that ended there.
type xzEnd struct{ tail []byte }

// xzFooter is the length of a stream footer (The .xz File Format 1.2.1, 2.1.2).
const xzFooter = 12

// Write never fails.
func (e *xzEnd) Write(p []byte) (int, error) {
	if body := bytes.TrimRight(p, "\x00"); len(body) >= xzFooter {
		e.tail = append(e.tail[:0], body[len(body)-xzFooter:]...)
		e.tail = append(e.tail, p[len(body):][:min(len(p)-len(body), xzFooter)]...)
		return len(p), nil
	}
	all := append(e.tail, p...)
	body := bytes.TrimRight(all, "\x00")
	zeros := min(len(all)-len(body), xzFooter)
	e.tail = append([]byte(nil), all[max(0, len(body)-xzFooter):len(body)+zeros]...)
	return len(p), nil
}

// whole says whether the data ended in a stream footer.
func (e *xzEnd) whole() bool {
	b := bytes.TrimRight(e.tail, "\x00")
	if len(b) < xzFooter {
		return false
	}
	b = b[len(b)-xzFooter:]
	return string(b[10:]) == "YZ" && binary.LittleEndian.Uint32(b) == crc32.ChecksumIEEE(b[4:10])
}
