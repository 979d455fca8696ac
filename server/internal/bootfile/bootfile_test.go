package bootfile_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bootfile"
)

func sum(text string) string {
	s := sha256.Sum256([]byte(text))
	return hex.EncodeToString(s[:])
}

func open(t *testing.T, dir string, allowed ...string) *bootfile.Store {
	t.Helper()
	s, err := bootfile.Open(dir, allowed)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAFileIsFetchedOnceVerifiedAndKept(t *testing.T) {
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		io.WriteString(w, "kernel")
	}))
	defer server.Close()
	s := open(t, t.TempDir())
	for range 2 {
		if err := s.Fetch(t.Context(), metal.BootFile{Source: server.URL + "/linux", SHA256: sum("kernel")}); err != nil {
			t.Fatal(err)
		}
	}
	if asked != 1 {
		t.Errorf("requests: got %d; want 1", asked)
	}
	f, err := s.Open(sum("kernel"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "kernel" {
		t.Errorf("content: got %q, %v; want kernel", got, err)
	}
}

func TestAFileThatCannotBeHadIsRefusedWithItsReasonAndWithoutCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/gone":
			http.NotFound(w, r)
		case "/away":
			http.Redirect(w, r, "ftp://example.com/linux", http.StatusFound)
		case "/short":
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "kern")
		default:
			io.WriteString(w, "kernel")
		}
	}))
	defer server.Close()
	dir, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "linux"), []byte("kernel"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "linux"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	withPassword := strings.Replace(server.URL, "http://", "http://user:tiger@", 1)
	for name, c := range map[string]struct{ source, sum, want string }{
		"of another checksum":          {server.URL + "/linux", sum("other"), "has the sha256 " + sum("kernel")},
		"without a checksum":           {server.URL + "/linux", "", "needs its sha256"},
		"that is not there":            {withPassword + "/gone?key=tiger", sum("kernel"), "404"},
		"that is redirected away":      {withPassword + "/away", sum("kernel"), "away from https"},
		"that breaks off":              {server.URL + "/short", sum("kernel"), "broke off after 4 bytes"},
		"of another scheme":            {"ftp://example.com/linux", sum("kernel"), "neither"},
		"on the server, not allowed":   {filepath.Join(outside, "linux"), sum("kernel"), "images.directories"},
		"on the server, by a symlink":  {filepath.Join(dir, "link"), sum("kernel"), "cannot be read"},
		"on the server, a directory":   {dir, sum("kernel"), "no regular file"},
		"on the server, by dots":       {dir + "/../" + filepath.Base(outside) + "/linux", sum("kernel"), "images.directories"},
		"on the server, and not there": {filepath.Join(dir, "none"), sum("kernel"), "no such file"},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, t.TempDir(), dir)
			err := s.Fetch(t.Context(), metal.BootFile{Source: c.source, SHA256: c.sum})
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "tiger") {
				t.Errorf("got %v; want invalid with %q and no credentials", err, c.want)
			}
			if _, err := s.Open(sum("kernel")); metal.CodeOf(err) != metal.NotFound {
				t.Errorf("the file afterwards: got %v; want not found", err)
			}
		})
	}
}

func TestWhatNobodyNeedsIsPrunedAndPartsGoAtTheStart(t *testing.T) {
	dir, from := t.TempDir(), t.TempDir()
	s := open(t, dir, from)
	for _, text := range []string{"a", "b"} {
		path := filepath.Join(from, text)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Fetch(t.Context(), metal.BootFile{Source: path, SHA256: sum(text)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".part-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := open(t, dir).Prune(map[string]bool{sum("a"): true}); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 || left[0].Name() != sum("a") {
		t.Errorf("left: got %v, %v; want %s", left, err, sum("a"))
	}
}

func TestNamesThatAreNoChecksumOpenNothing(t *testing.T) {
	s := open(t, t.TempDir())
	for _, name := range []string{"", "..", "../secret.key", strings.Repeat("A", 64), sum("x")} {
		if _, err := s.Open(name); metal.CodeOf(err) != metal.NotFound {
			t.Errorf("%q: got %v; want not found", name, err)
		}
	}
}
