package image

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// stored imports a disk of size bytes and returns it with its content.
func stored(t testing.TB, s *Store, size int) ([]byte, Content) {
	t.Helper()
	raw := rawDisk(size)
	c, err := s.Import(t.Context(), metal.ImageSpec{}, bytes.NewReader(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	return raw, c
}

func TestOpenRemovesWhatACrashLeft(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "images")
	left := write(t, filepath.Join(dir, "import-123.tmp"), []byte("half"))
	kept := write(t, filepath.Join(dir, strings.Repeat("a", 64)+".zst"), []byte("whole"))
	if _, err := Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); !os.IsNotExist(err) {
		t.Errorf("the unfinished import is still there: %v", err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("a content is gone: %v", err)
	}
}

func TestContentsCanBeOpenedRemovedAndPruned(t *testing.T) {
	s := openStore(t, Options{})
	_, a := stored(t, s, 1<<20)
	_, b := stored(t, s, 2<<20)
	_, c := stored(t, s, 3<<20)
	f, got, err := s.Open(a.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got != a {
		t.Errorf("got %+v; want what Import returned, %+v", got, a)
	}
	if err := s.Remove(a.Digest); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(a.Digest); err != nil {
		t.Errorf("removing again: got %v; want nil", err)
	}
	if n, err := io.Copy(io.Discard, f); n != a.StoredBytes || err != nil {
		t.Errorf("reading a removed content on: got %d bytes, %v; want %d", n, err, a.StoredBytes)
	}
	stranger := write(t, filepath.Join(s.dir, "notes.txt"), nil)
	if err := s.Prune(map[string]bool{b.Digest: true}); err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{"a": s.Has(a.Digest), "b": s.Has(b.Digest), "c": s.Has(c.Digest)}
	if diff := cmp.Diff(map[string]bool{"a": false, "b": true, "c": false}, have); diff != "" {
		t.Errorf("contents (-want +got):\n%s", diff)
	}
	if _, err := os.Stat(stranger); err != nil {
		t.Errorf("prune removed a file that is none of the store's: %v", err)
	}
}

func TestOnlyDigestsAreNames(t *testing.T) {
	s := openStore(t, Options{})
	outside := write(t, filepath.Join(s.dir, "..", "outside.zst"), []byte("secret"))
	for _, name := range []string{"", "../outside", strings.Repeat("A", 64), strings.Repeat("a", 63), strings.Repeat("a", 64) + "\n"} {
		if _, _, err := s.Open(name); metal.CodeOf(err) != metal.NotFound {
			t.Errorf("open %q: got %v; want not_found", name, err)
		}
		if s.Has(name) {
			t.Errorf("has %q", name)
		}
		if err := s.Remove(name); err != nil {
			t.Errorf("remove %q: %v", name, err)
		}
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

func TestServeHTTP(t *testing.T) {
	s := openStore(t, Options{})
	_, c := stored(t, s, 2<<20)
	whole, err := os.ReadFile(s.path(c.Digest))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, method, path string
		header             http.Header
		status             int
		body               []byte
	}{
		{"the whole content", "GET", "/" + c.Digest, nil, 200, whole},
		{"its head", "HEAD", "/" + c.Digest, nil, 200, nil},
		{"from an offset on", "GET", "/" + c.Digest, http.Header{"Range": {"bytes=1000-"}}, 206, whole[1000:]},
		{"a part", "GET", "/" + c.Digest, http.Header{"Range": {"bytes=10-19"}}, 206, whole[10:20]},
		{"a part of the same entity", "GET", "/" + c.Digest, http.Header{"Range": {"bytes=10-19"}, "If-Range": {`"` + c.Digest + `"`}}, 206, whole[10:20]},
		{"all of another entity", "GET", "/" + c.Digest, http.Header{"Range": {"bytes=10-19"}, "If-Range": {`"other"`}}, 200, whole},
		{"what the caller has", "GET", "/" + c.Digest, http.Header{"If-None-Match": {`"` + c.Digest + `"`}}, 304, nil},
		{"a range behind the end", "GET", "/" + c.Digest, http.Header{"Range": {"bytes=99999999-"}}, 416, []byte("invalid range: failed to overlap\n")},
		{"an unknown digest", "GET", "/" + strings.Repeat("0", 64), nil, 404, []byte("no such image content\n")},
		{"no listing", "GET", "/", nil, 404, []byte("no such image content\n")},
		{"a way out", "GET", "/../" + c.Digest, nil, 404, []byte("no such image content\n")},
		{"the file's own name", "GET", "/" + c.Digest + ".zst", nil, 404, []byte("no such image content\n")},
		{"another method", "DELETE", "/" + c.Digest, nil, 405, []byte("only GET and HEAD\n")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(tt.method, "http://server"+tt.path, nil)
			r.Header = tt.header
			w := httptest.NewRecorder()
			s.ServeHTTP(w, r)
			if w.Code != tt.status || !bytes.Equal(w.Body.Bytes(), tt.body) {
				t.Errorf("got %d with %d bytes; want %d with %d", w.Code, w.Body.Len(), tt.status, len(tt.body))
			}
			if tt.status < 300 && (w.Header().Get("ETag") != `"`+c.Digest+`"` || w.Header().Get("Content-Type") != "application/zstd") {
				t.Errorf("got header %v; want the digest as ETag, and zstd as type", w.Header())
			}
		})
	}
}

func TestOnlyFilesBelowAllowedDirectoriesAreImported(t *testing.T) {
	top := t.TempDir()
	allowed, raw := filepath.Join(top, "allowed"), rawDisk(1<<20)
	inside := write(t, filepath.Join(allowed, "sub", "disk.img"), raw)
	outside := write(t, filepath.Join(top, "outside.img"), raw)
	write(t, filepath.Join(top, "allowed-too", "disk.img"), raw)
	link := func(to, from string) string {
		t.Helper()
		from = filepath.Join(top, from)
		if err := os.Symlink(to, from); err != nil {
			t.Fatal(err)
		}
		return from
	}
	fifo := filepath.Join(allowed, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, path string
		want       metal.Code
	}{
		{"a file below an allowed directory", inside, ""},
		{"the same through a link from outside", link(inside, "from-outside"), ""},
		{"the same through a linked directory", link(allowed, "linked") + "/sub/disk.img", ""},
		{"a link inside to a file inside", link("sub/disk.img", "allowed/link"), ""},
		{"a file outside", outside, metal.Forbidden},
		{"a link inside to a file outside", link(outside, "allowed/escape"), metal.Forbidden},
		{"dots that lead outside", allowed + "/../outside.img", metal.Forbidden},
		{"a directory whose name begins alike", filepath.Join(top, "allowed-too", "disk.img"), metal.Forbidden},
		{"a missing file outside", "/no/such/file", metal.Forbidden},
		{"a missing file inside", filepath.Join(allowed, "missing"), metal.Invalid},
		{"the directory itself", allowed, metal.Invalid},
		{"a pipe", fifo, metal.Invalid},
	}
	s := openStore(t, Options{AllowedDirs: []string{filepath.Join(top, "gone"), allowed}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := s.Import(t.Context(), metal.ImageSpec{Source: tt.path}, nil, nil)
			if metal.CodeOf(err) != tt.want {
				t.Fatalf("got %v (%s); want %q", err, metal.CodeOf(err), tt.want)
			}
			if tt.want == "" && got.Digest != sum(raw) {
				t.Errorf("got content %s; want %s", got.Digest, sum(raw))
			}
		})
	}
}
