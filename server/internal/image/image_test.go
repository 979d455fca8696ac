package image

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// tool runs one of Debian's programs. A missing one skips the test on a laptop and fails it in CI.
func tool(t testing.TB, stdin []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("%s is not installed", name)
		}
		t.Skipf("%s is not installed", name)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(name, args...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, stderr.Bytes())
	}
	return out
}

// rawDisk makes a disk with a boot sector, data that packs, data that does not, and holes.
func rawDisk(size int) []byte {
	disk := make([]byte, size)
	random := rand.NewChaCha8([32]byte{7})
	for off := 1 << 10; off < size; off += 1 << 20 {
		part := disk[off:min(size, off+200<<10)]
		if off>>20&1 == 0 {
			random.Read(part)
		} else {
			copy(part, bytes.Repeat([]byte("an operating system, "), len(part)/21+1))
		}
	}
	disk[510], disk[511] = 0x55, 0xaa
	return disk
}

func sum(b []byte) string {
	d := sha256.Sum256(b)
	return hex.EncodeToString(d[:])
}

func openStore(t testing.TB, opts Options) *Store {
	t.Helper()
	s, err := Open(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	s.fetch.pause = noPause
	return s
}

// content reads a stored disk back as an agent would.
func content(t testing.TB, s *Store, digest string) []byte {
	t.Helper()
	f, c, err := s.Open(digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	raw, err := io.ReadAll(d)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(raw)) != c.RawBytes {
		t.Errorf("got %d raw bytes; want the %d that Open told", len(raw), c.RawBytes)
	}
	return raw
}

// files lists the names in the store's directory.
func files(t testing.TB, s *Store) []string {
	t.Helper()
	entries, err := os.ReadDir(s.dir)
	if err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func write(t testing.TB, path string, b []byte) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
