package image

import (
	"bytes"
	"crypto/sha256"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
)

// served asks the store for the table of a content, as an agent does.
func served(t *testing.T, s *Store, digest string) (chunk.Table, int) {
	t.Helper()
	w := httptest.NewRecorder()
	s.ServeHTTP(w, httptest.NewRequest("GET", "/"+digest+".chunks", nil))
	if w.Code != 200 {
		return chunk.Table{}, w.Code
	}
	table, err := chunk.Parse(w.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return table, w.Code
}

func TestATableIsServedWithEveryContent(t *testing.T) {
	s := openStore(t, Options{})
	raw, c := stored(t, s, 2*frameBytes+512)
	table, _ := served(t, s, c.Digest)
	if table.Digest != sha256.Sum256(raw) || table.RawBytes() != c.RawBytes || len(table.Chunks) != 3 {
		t.Errorf("got %d chunks, %d bytes, digest %x; want 3 and the digest of the content", len(table.Chunks), table.RawBytes(), table.Digest)
	}
	if _, status := served(t, s, strings.Repeat("0", 64)); status != 404 {
		t.Errorf("the table of an unknown content: got %d; want 404", status)
	}
	if _, status := served(t, s, "../"+c.Digest); status != 404 {
		t.Errorf("a way out: got %d; want 404", status)
	}
}

func TestTheTableOfAnOldContentIsMade(t *testing.T) {
	for _, tt := range []struct {
		name string
		left []byte // of the table; nil: it is missing, as an older version left it
	}{{"without a table", nil}, {"with a damaged one", []byte("MFCHUNK1 and nothing more")}} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, Options{})
			_, c := stored(t, s, 3*frameBytes-512)
			want, _ := served(t, s, c.Digest)
			if err := os.Remove(s.tablePath(c.Digest)); err != nil {
				t.Fatal(err)
			}
			if tt.left != nil {
				write(t, s.tablePath(c.Digest), tt.left)
			}
			got, _ := served(t, s, c.Digest)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("the table that was made anew (-import +anew):\n%s", diff)
			}
			if _, err := os.Stat(s.tablePath(c.Digest)); err != nil {
				t.Errorf("the new table was not kept: %v", err)
			}
		})
	}
}

func TestNoTableIsMadeOfADamagedContent(t *testing.T) {
	s := openStore(t, Options{})
	_, c := stored(t, s, 2*frameBytes)
	b, err := os.ReadFile(s.path(c.Digest))
	if err != nil {
		t.Fatal(err)
	}
	_, other := stored(t, s, frameBytes+512)
	another, err := os.ReadFile(s.path(other.Digest))
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(b)
	flipped[len(flipped)/3] ^= 1
	for name, b := range map[string][]byte{"a changed bit": flipped, "a cut file": b[:len(b)-3], "a whole file of other content": another} {
		t.Run(name, func(t *testing.T) {
			if err := os.Remove(s.tablePath(c.Digest)); err != nil && !os.IsNotExist(err) {
				t.Fatal(err)
			}
			if err := os.WriteFile(s.path(c.Digest), b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, status := served(t, s, c.Digest); status != 422 {
				t.Errorf("got %d; want 422, which an agent does not ask again after", status)
			}
			if _, err := os.Stat(s.tablePath(c.Digest)); !os.IsNotExist(err) {
				t.Errorf("a table was kept: %v", err)
			}
		})
	}
}

func TestATableGoesWithItsContent(t *testing.T) {
	s := openStore(t, Options{})
	_, a := stored(t, s, 1<<20)
	_, b := stored(t, s, 2<<20)
	orphan := write(t, s.tablePath(strings.Repeat("e", 64)), nil)
	if err := s.Prune(map[string]bool{b.Digest: true}); err != nil {
		t.Fatal(err)
	}
	want := []string{b.Digest + ".chunks", b.Digest + ".zst"}
	if diff := cmp.Diff(want, files(t, s)); diff != "" {
		t.Errorf("files after a prune (-want +got):\n%s; %s and %s were to go", diff, a.Digest, orphan)
	}
	if err := s.Remove(b.Digest); err != nil {
		t.Fatal(err)
	}
	if left := files(t, s); len(left) != 0 {
		t.Errorf("got %v left; want nothing", left)
	}
}
