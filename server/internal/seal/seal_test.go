package seal_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/internal/seal"
)

func open(t *testing.T, path string) *seal.Sealer {
	t.Helper()
	s, err := seal.LoadOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAKeyIsMadeOnceAndOnlyForItsOwner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret.key")
	sealed := open(t, path).Seal([]byte("correct-horse"), "machine/m-1")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode(); got != 0o600 {
		t.Errorf("mode of the key file: got %s; want -rw-------", got)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("beside the key file: got %v, %v; want nothing", left, err)
	}
	plain, err := open(t, path).Open(sealed, "machine/m-1")
	if err != nil || string(plain) != "correct-horse" {
		t.Errorf("opened by the next start: got %q, %v", plain, err)
	}
}

func TestABadKeyFileIsRefused(t *testing.T) {
	for _, test := range []struct {
		name, text string
		mode       os.FileMode
		want       string
	}{
		{"readable by the group", strings.Repeat("A", 43) + "=", 0o640, "chmod 0600"},
		{"readable by all", strings.Repeat("A", 43) + "=", 0o604, "chmod 0600"},
		{"empty", "", 0o600, "restore it from a backup"},
		{"a short key", "QUFBQQ==", 0o600, "restore it from a backup"},
		{"no base64", "!!!", 0o600, "restore it from a backup"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secret.key")
			if err := os.WriteFile(path, []byte(test.text), test.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(path, test.mode); err != nil { // whatever the umask is
				t.Fatal(err)
			}
			_, err := seal.LoadOrCreate(path)
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v; want an error that names the file and says %q", err, test.want)
			}
			if got, err := os.ReadFile(path); err != nil || string(got) != test.text {
				t.Errorf("the file afterwards: got %q, %v; want it untouched", got, err)
			}
		})
	}
}

func TestAKeyInNoDirectoryIsAnError(t *testing.T) {
	if _, err := seal.LoadOrCreate(filepath.Join(t.TempDir(), "none", "secret.key")); err == nil {
		t.Error("got no error")
	}
}

func TestWhatWasChangedOrMovedDoesNotOpen(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "a.key"))
	sealed := s.Seal([]byte("correct-horse"), "machine/m-1")
	if bytes.Contains(sealed, []byte("horse")) {
		t.Fatal("the sealed value shows the plain one")
	}
	if again := s.Seal([]byte("correct-horse"), "machine/m-1"); bytes.Equal(again, sealed) {
		t.Error("the same value is sealed to the same bytes twice")
	}
	if _, err := s.Open(sealed, "machine/m-2"); err == nil {
		t.Error("it opens at another place")
	}
	if _, err := open(t, filepath.Join(dir, "b.key")).Open(sealed, "machine/m-1"); err == nil || strings.Contains(err.Error(), "horse") {
		t.Errorf("under another key: got %v", err)
	}
	for i := range sealed {
		damaged := bytes.Clone(sealed)
		damaged[i] ^= 1
		if _, err := s.Open(damaged, "machine/m-1"); err == nil {
			t.Fatalf("it opens with byte %d changed", i)
		}
		if _, err := s.Open(sealed[:i], "machine/m-1"); err == nil {
			t.Fatalf("it opens cut to %d bytes", i)
		}
	}
}

func TestNothingIsSealedToo(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "a.key"))
	plain, err := s.Open(s.Seal(nil, "x"), "x")
	if err != nil || len(plain) != 0 {
		t.Errorf("got %q, %v; want nothing", plain, err)
	}
}

func TestAKeyOfAnotherLengthIsRefused(t *testing.T) {
	if _, err := seal.New(make([]byte, 31)); err == nil {
		t.Error("got no error for 31 bytes")
	}
}
