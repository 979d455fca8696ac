package qcow2

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/iotest"
)

func TestReadAtGivesTheDiskForEveryKindOfCluster(t *testing.T) {
	many := make([]clusterKind, 200) // several L2 tables
	for i := range many {
		many[i] = clusterKind(i % 3)
	}
	tests := []struct {
		name        string
		version     uint32
		compression Compression
		kinds       []clusterKind
	}{
		{"plain clusters in version 2", 2, Zlib, []clusterKind{plain, plain, plain}},
		{"holes read as zeros", 3, Zlib, []clusterKind{absent, plain, absent}},
		{"zero clusters of version 3", 3, Zlib, []clusterKind{plain, zeroed, plain}},
		{"deflated clusters", 2, Zlib, []clusterKind{packed, plain, packed}},
		{"zstd clusters", 3, Zstd, []clusterKind{packed, packed, plain}},
		{"several L2 tables", 3, Zlib, many},
		{"an empty disk", 3, Zlib, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(build(t, tt.version, tt.compression, tt.kinds...)), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if err := iotest.TestReader(io.NewSectionReader(r, 0, r.Size), disk(tt.kinds...)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestReadAtMayBeCalledFromSeveralGoroutines(t *testing.T) {
	kinds := []clusterKind{packed, plain, packed, absent, packed}
	r, err := NewReader(bytes.NewReader(build(t, 3, Zstd, kinds...)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	want := disk(kinds...)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for off := range 500 {
				got := make([]byte, 700)
				n, err := r.ReadAt(got, int64(off*i))
				if err != nil || !bytes.Equal(got[:n], want[off*i:off*i+700]) {
					t.Errorf("read at %d: %d bytes, %v; want the disk's", off*i, n, err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func TestReadAtOutsideTheDisk(t *testing.T) {
	r, err := NewReader(bytes.NewReader(build(t, 3, Zlib, plain)), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := r.ReadAt(make([]byte, 1), 512); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("at the end: got %d, %v; want 0, EOF", n, err)
	}
	if n, err := r.ReadAt(make([]byte, 9), 510); n != 2 || !errors.Is(err, io.EOF) {
		t.Errorf("across the end: got %d, %v; want 2, EOF", n, err)
	}
	if _, err := r.ReadAt(make([]byte, 1), -1); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("before the start: got %v; want an error that is not EOF", err)
	}
}

func TestReadAtNamesWhatIsWrongWithTheImage(t *testing.T) {
	const l2 = 1024 // offset of the only L2 table in build's images
	entry := func(v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.BigEndian.PutUint64(b[l2:], v); return b }
	}
	tests := []struct {
		name    string
		version uint32
		kind    clusterKind
		change  func([]byte) []byte
		want    error
	}{
		{"data behind the end of the file", 3, plain, entry(1 << 40), ErrTruncated},
		{"a zero cluster in version 2", 2, plain, entry(flagZero), ErrCorrupt},
		{"packed data behind the end of the file", 3, plain, entry(flagPacked | 1<<50), ErrTruncated},
		{"packed data that is no deflate stream", 3, plain, entry(flagPacked), ErrCorrupt},
		{"a plain cluster that is cut off", 3, plain, func(b []byte) []byte { return b[:len(b)-1] }, ErrTruncated},
		{"a packed cluster that is cut off", 3, packed, func(b []byte) []byte { return b[:1536+2] }, ErrTruncated},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(tt.change(build(t, tt.version, Zlib, tt.kind))), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadAt(make([]byte, 512), 0); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

func TestClustersOffTheirBorderAreCorrupt(t *testing.T) {
	// 64 KiB clusters, so that an offset of the 512-byte grid can be off the border.
	image := make([]byte, 4<<16)
	be := binary.BigEndian
	copy(image, Magic)
	be.PutUint32(image[4:], 2)
	be.PutUint32(image[20:], 16)
	be.PutUint64(image[24:], 1<<16)
	be.PutUint32(image[36:], 1)
	be.PutUint64(image[40:], 1<<16)
	for _, tt := range []struct {
		name   string
		l1, l2 uint64
	}{
		{"an L2 table", 2<<16 + 512, 0},
		{"data", 2 << 16, 3<<16 + 512},
	} {
		t.Run(tt.name, func(t *testing.T) {
			be.PutUint64(image[1<<16:], tt.l1)
			be.PutUint64(image[2<<16:], tt.l2)
			r, err := NewReader(bytes.NewReader(image), 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := r.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrCorrupt) {
				t.Errorf("got %v; want ErrCorrupt", err)
			}
		})
	}
}

func TestReadAtPassesTheFaultOfTheFileOn(t *testing.T) {
	broken := errors.New("input/output error")
	r, err := NewReader(failsBehind{bytes.NewReader(build(t, 3, Zlib, plain)), 1024, broken}, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReadAt(make([]byte, 512), 0); !errors.Is(err, broken) || errors.Is(err, ErrTruncated) {
		t.Errorf("got %v; want the file's own error", err)
	}
}

// failsBehind is a file that cannot be read from an offset on.
type failsBehind struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failsBehind) ReadAt(p []byte, off int64) (int, error) {
	if off >= f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

func FuzzReadNeverPanicsNorGrows(f *testing.F) {
	f.Add(build(f, 2, Zlib, plain, packed, absent))
	f.Add(build(f, 3, Zlib, zeroed, packed))
	f.Add(build(f, 3, Zstd, packed, plain))
	f.Add([]byte(Magic))
	f.Fuzz(func(t *testing.T, image []byte) {
		const limit = 1 << 16
		r, err := NewReader(bytes.NewReader(image), limit)
		if err != nil {
			return
		}
		n, err := io.Copy(io.Discard, io.NewSectionReader(r, 0, r.Size))
		if n > limit || (err == nil && n != r.Size) {
			t.Errorf("read %d bytes, %v, of a disk of %d", n, err, r.Size)
		}
	})
}
