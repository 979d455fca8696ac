package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
)

func TestPackWritesWhatTheZstdToolReads(t *testing.T) {
	for _, size := range []int{512, frameBytes - 512, frameBytes, frameBytes + 512, 3*frameBytes + 1024} {
		raw := rawDisk(size)
		for name, p := range map[string]*packer{
			"a stream":              {stream: iotest.HalfReader(bytes.NewReader(raw))},
			"a disk read at random": {disk: bytes.NewReader(raw), size: int64(size)},
		} {
			var stored bytes.Buffer
			p.w = &stored
			got, err := p.pack(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if got.digest != sum(raw) || got.raw != int64(size) || got.stored != int64(stored.Len()) || got.chunks.RawBytes() != int64(size) {
				t.Errorf("%s of %d bytes: got %+v; want digest %s and %d bytes as stored", name, size, got, sum(raw), stored.Len())
			}
			if back := tool(t, stored.Bytes(), "zstd", "-dc"); !bytes.Equal(back, raw) {
				t.Errorf("%s of %d bytes: zstd -d gives other bytes back", name, size)
			}
		}
	}
}

func TestEveryFrameCanBeReadOnItsOwn(t *testing.T) {
	raw := rawDisk(3*frameBytes + 512)
	var stored bytes.Buffer
	if _, err := (&packer{stream: bytes.NewReader(raw), w: &stored}).pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	b := stored.Bytes()
	table, err := parseSeekTable(b[len(b)-headerBytes-4*entryBytes-footerBytes:])
	if err != nil {
		t.Fatal(err)
	}
	d, err := zstd.NewReader(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	at, rawAt := 0, 0
	for i, f := range table {
		var h zstd.Header
		if err := h.Decode(b[at:]); err != nil || !h.HasCheckSum || h.FrameContentSize != uint64(f.raw) {
			t.Errorf("frame %d: got header %+v, %v; want a checksum and the size", i, h, err)
		}
		got, err := d.DecodeAll(b[at:at+int(f.stored)], nil)
		if err != nil || !bytes.Equal(got, raw[rawAt:rawAt+int(f.raw)]) {
			t.Errorf("frame %d: got %d bytes, %v; want its part of the disk", i, len(got), err)
		}
		at += int(f.stored)
		rawAt += int(f.raw)
	}
	if rawAt != len(raw) {
		t.Errorf("got frames for %d bytes; want %d", rawAt, len(raw))
	}
}

func TestEveryChunkIsWhatTheTableSays(t *testing.T) {
	raw := append(append(rawDisk(frameBytes), make([]byte, frameBytes)...), rawDisk(1024)...)
	raw = append(raw, make([]byte, 2*frameBytes-1024)...)
	raw = append(raw, make([]byte, 512)...)
	var stored bytes.Buffer
	got, err := (&packer{stream: bytes.NewReader(raw), w: &stored}).pack(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var zeros []bool
	for i, c := range got.chunks.Chunks {
		frame := stored.Bytes()[c.Stored : c.Stored+int64(c.StoredBytes)]
		if sha256.Sum256(frame) != c.Sum {
			t.Errorf("chunk %d: its frame has another sum", i)
		}
		if back := tool(t, frame, "zstd", "-dc"); !bytes.Equal(back, raw[c.Offset:c.Offset+int64(c.Bytes)]) {
			t.Errorf("chunk %d: its frame holds other bytes than the disk at %d", i, c.Offset)
		}
		zeros = append(zeros, c.Zero)
	}
	if diff := cmp.Diff([]bool{false, true, false, true, true}, zeros); diff != "" {
		t.Errorf("chunks that are zero (-want +got):\n%s", diff)
	}
}

func TestHolesCostNextToNothing(t *testing.T) {
	var stored bytes.Buffer
	hole := io.LimitReader(readerFunc(func(p []byte) (int, error) { clear(p); return len(p), nil }), 64<<20)
	if _, err := (&packer{stream: io.MultiReader(bytes.NewReader(rawDisk(512)), hole), w: &stored}).pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored.Len() > 8<<10 {
		t.Errorf("got %d bytes for 64 MiB of zeros; want at most 8 KiB", stored.Len())
	}
}

func TestPackReturnsTheFirstFault(t *testing.T) {
	broken := errors.New("broken")
	long := rawDisk(5 * frameBytes)
	tests := []struct {
		name string
		p    packer
		want error
	}{
		{"of a stream", packer{stream: io.MultiReader(bytes.NewReader(long), iotest.ErrReader(broken)), w: io.Discard}, broken},
		{"of a stream that was cut off", packer{stream: io.MultiReader(bytes.NewReader(long), iotest.ErrReader(io.ErrUnexpectedEOF)), w: io.Discard}, io.ErrUnexpectedEOF},
		{"of a disk that ends early", packer{disk: bytes.NewReader(long), size: int64(len(long)) + 1, w: io.Discard}, io.EOF},
		{"of the writer", packer{stream: bytes.NewReader(long), w: writerFunc(func([]byte) (int, error) { return 0, broken })}, broken},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := tt.p.pack(t.Context()); !errors.Is(err, tt.want) {
				t.Errorf("got %v; want %v", err, tt.want)
			}
		})
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestSeekTableComesBackAsWritten(t *testing.T) {
	for _, frames := range [][]frameSizes{{}, {{1, 2}}, {{100, 4096}, {0xffffffff, 1}, {3, 5}}} {
		got, err := parseSeekTable(seekTable(frames))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(frames, got, cmp.AllowUnexported(frameSizes{})); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
}

func TestReadLayoutRefusesADamagedFile(t *testing.T) {
	var stored bytes.Buffer
	if _, err := (&packer{stream: bytes.NewReader(rawDisk(1 << 20)), w: &stored}).pack(t.Context()); err != nil {
		t.Fatal(err)
	}
	good := stored.Bytes()
	change := func(at int, to byte) []byte {
		b := bytes.Clone(good)
		b[len(b)-at] = to
		return b
	}
	tests := []struct {
		name string
		file []byte
	}{
		{"empty", nil},
		{"shorter than a seek table", good[:10]},
		{"cut off", good[:len(good)-1]},
		{"without its first bytes", good[1:]},
		{"with more behind it", append(bytes.Clone(good), 0)},
		{"another magic at the end", change(1, 0)},
		{"a descriptor that we do not write", change(5, 0x80)},
		{"more frames than the file has room for", change(6, 0xff)},
		{"another magic before the table", change(headerBytes+entryBytes+footerBytes, 0)},
		{"a frame of another size", change(footerBytes+entryBytes, good[len(good)-footerBytes-entryBytes]+1)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := os.Open(write(t, filepath.Join(t.TempDir(), "f"), tt.file))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, _, err := readLayout(f); !errors.Is(err, errLayout) {
				t.Errorf("got %v; want errLayout", err)
			}
		})
	}
}

func FuzzParseSeekTable(f *testing.F) {
	f.Add(seekTable(nil))
	f.Add(seekTable([]frameSizes{{1, 2}, {3, 4}}))
	f.Add(binary.LittleEndian.AppendUint32(nil, skippableMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		frames, err := parseSeekTable(b)
		if err == nil && !bytes.Equal(seekTable(frames), b) {
			t.Errorf("%x is read as %v, which is written otherwise", b, frames)
		}
	})
}
