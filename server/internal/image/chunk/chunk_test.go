package chunk

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func table(sizes ...[2]int) Table {
	t := Table{Digest: Sum{1, 2, 3}}
	for i, s := range sizes {
		t.Add(s[0], s[1], Sum{byte(i)}, i%2 == 1)
	}
	return t
}

func TestATableComesBackAsWritten(t *testing.T) {
	for _, want := range []Table{
		table(), table([2]int{1, 1}), table([2]int{Bytes, MaxStored}), table([2]int{Bytes, 700}, [2]int{Bytes, 145}, [2]int{512, 30}),
	} {
		got, err := Parse(want.Encode())
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want.Digest, got.Digest); diff != "" || !cmp.Equal(append([]Chunk{}, want.Chunks...), got.Chunks) {
			t.Errorf("got %+v; want %+v", got, want)
		}
		if got.RawBytes() != want.RawBytes() {
			t.Errorf("got %d bytes; want %d", got.RawBytes(), want.RawBytes())
		}
	}
}

func TestChunksFollowEachOther(t *testing.T) {
	got := table([2]int{Bytes, 700}, [2]int{Bytes, 145}, [2]int{512, 30})
	want := []Chunk{
		{0, Bytes, 0, 700, Sum{0}, false},
		{Bytes, Bytes, 700, 145, Sum{1}, true},
		{2 * Bytes, 512, 845, 30, Sum{2}, false},
	}
	if diff := cmp.Diff(want, got.Chunks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got.RawBytes() != 2*Bytes+512 {
		t.Errorf("got %d bytes; want %d", got.RawBytes(), 2*Bytes+512)
	}
}

// sealed gives bytes the checksum that belongs to them.
func sealed(b []byte) []byte {
	sum := sha256.Sum256(b)
	return append(bytes.Clone(b), sum[:]...)
}

func TestParseRefusesWhatIsNoTable(t *testing.T) {
	whole := table([2]int{Bytes, 700}, [2]int{512, 30})
	good := whole.Encode()
	body := good[:len(good)-sha256.Size]
	number := func(at int, to uint32) []byte {
		b := bytes.Clone(body)
		binary.LittleEndian.PutUint32(b[at:], to)
		return sealed(b)
	}
	second := headerBytes + entryBytes
	for _, tt := range []struct {
		name string
		b    []byte
		says string
	}{
		{"nothing", nil, "begin"},
		{"a web page", []byte(strings.Repeat("<html>", 100)), "begin"},
		{"a cut one", good[:len(good)-1], "checksum"},
		{"one with a changed bit", append([]byte("MFCHUNK1\x00"), good[9:]...), "checksum"},
		{"more chunks than there are", number(headerBytes-4, 3), "for 3 chunks"},
		{"more chunks than any memory holds", number(headerBytes-4, 0xffffffff), "for 4294967295 chunks"},
		{"a short chunk before the end", number(headerBytes+4, 512), "chunk 0 has 512 bytes"},
		{"a chunk of nothing", number(second+4, 0), "chunk 1 has 0 bytes"},
		{"a chunk too large", number(second+4, Bytes+1), "chunk 1 has 4194305 bytes"},
		{"a chunk stored in nothing", number(second, 0), "chunk 1 has 0 bytes as stored"},
		{"a chunk stored in too much", number(second, MaxStored+1), "as stored"},
		{"something behind the chunks", sealed(append(bytes.Clone(body), 0)), "for 2 chunks"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := Parse(tt.b); err == nil || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want an error that says %q", err, tt.says)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, t := range []Table{table(), table([2]int{Bytes, 700}, [2]int{512, 30})} {
		b := t.Encode()
		f.Add(b[:len(b)-sha256.Size])
	}
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, body []byte) {
		b := sealed(body) // or the fuzzer would never get past the checksum
		got, err := Parse(b)
		if err == nil && !bytes.Equal(got.Encode(), b) {
			t.Errorf("%x is read as %+v, which is written otherwise", b, got)
		}
	})
}
