package image

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// qcow2Of packs a raw disk with QEMU's own tool.
func qcow2Of(t testing.TB, raw []byte, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	from, to := write(t, filepath.Join(dir, "raw"), raw), filepath.Join(dir, "qcow2")
	tool(t, nil, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O", "qcow2"}, args...), from, to)...)
	return tool(t, nil, "cat", to)
}

func TestEveryFormOfADiskIsStoredAsTheSameContent(t *testing.T) {
	raw := rawDisk(5<<20 + 512)
	want := sum(raw)
	qcow2 := qcow2Of(t, raw)
	forms := []struct {
		name string
		file []byte
	}{
		{"raw", raw},
		{"raw in gzip", tool(t, raw, "gzip", "-c")},
		{"raw in xz", tool(t, raw, "xz", "-c", "-0")},
		{"raw in xz of many blocks", tool(t, raw, "xz", "-c", "-0", "--block-size=1MiB")},
		{"raw in zstd", tool(t, raw, "zstd", "-c")},
		{"raw in two gzip members", slices.Concat(tool(t, raw[:1<<20], "gzip", "-c"), tool(t, raw[1<<20:], "gzip", "-c"))},
		{"qcow2", qcow2},
		{"qcow2 with packed clusters", qcow2Of(t, raw, "-c")},
		{"qcow2 with zstd clusters", qcow2Of(t, raw, "-c", "-o", "compression_type=zstd")},
		{"qcow2 in gzip", tool(t, qcow2, "gzip", "-c")},
		{"qcow2 in xz", tool(t, qcow2, "xz", "-c", "-0")},
	}
	dir := t.TempDir()
	web := httptest.NewServer(http.FileServer(http.Dir(dir)))
	defer web.Close()
	for _, form := range forms {
		path := write(t, filepath.Join(dir, "image"), form.file)
		for _, way := range []struct {
			name   string
			source string
			upload io.Reader
		}{
			{"from a file", path, nil},
			{"from the web", web.URL + "/image", nil},
			{"as an upload", "", bytes.NewReader(form.file)},
		} {
			t.Run(form.name+" "+way.name, func(t *testing.T) {
				s := openStore(t, Options{AllowedDirs: []string{dir}})
				got, err := s.Import(t.Context(), metal.ImageSpec{Source: way.source, SHA256: sum(form.file)}, way.upload, nil)
				if err != nil {
					t.Fatal(err)
				}
				if got.Digest != want || got.RawBytes != int64(len(raw)) {
					t.Errorf("got %s of %d bytes; want %s of %d", got.Digest, got.RawBytes, want, len(raw))
				}
				if !bytes.Equal(content(t, s, got.Digest), raw) {
					t.Error("got other bytes out of the store than went in")
				}
				if diff := cmp.Diff([]string{want + ".chunks", want + ".zst"}, files(t, s)); diff != "" {
					t.Errorf("files of the store (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestImportRefusesWhatIsNoWholeDisk(t *testing.T) {
	raw := rawDisk(2 << 20)
	gzip := tool(t, raw, "gzip", "-c")
	xz := tool(t, raw, "xz", "-c", "-0", "--block-size=256KiB")
	zstd := tool(t, raw, "zstd", "-c")
	qcow2 := qcow2Of(t, raw)
	damaged := func(b []byte) []byte {
		b = slices.Clone(b)
		b[len(b)/2] ^= 0xff
		return b
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	tests := []struct {
		name string
		file []byte
		spec metal.ImageSpec
		says string
	}{
		{"nothing", nil, metal.ImageSpec{}, "is empty"},
		{"another file than declared", raw, metal.ImageSpec{SHA256: sum(gzip)}, "has SHA-256 " + sum(raw) + ", but " + sum(gzip)},
		{"another qcow2 file than declared", qcow2, metal.ImageSpec{SHA256: sum(gzip)}, "has SHA-256 " + sum(qcow2)},
		{"gzip data cut in the middle", half(gzip), metal.ImageSpec{}, "truncated: its gzip"},
		{"gzip data without their trailer", gzip[:len(gzip)-4], metal.ImageSpec{}, "truncated: its gzip"},
		{"xz data cut in the middle", half(xz), metal.ImageSpec{}, "truncated: its xz"},
		{"zstd data cut in the middle", half(zstd), metal.ImageSpec{}, "truncated: its zstd"},
		{"a gzip header alone", gzip[:5], metal.ImageSpec{}, "truncated: its gzip"},
		{"an xz header alone", xz[:8], metal.ImageSpec{}, "truncated: its xz"},
		{"damaged gzip data", damaged(gzip), metal.ImageSpec{}, "damaged: its gzip"},
		{"damaged xz data", damaged(xz), metal.ImageSpec{}, "damaged: its xz"},
		{"damaged zstd data", damaged(zstd), metal.ImageSpec{}, "damaged: its zstd"},
		{"a qcow2 file cut in the middle", half(qcow2), metal.ImageSpec{}, "truncated qcow2"},
		{"a raw disk that is no multiple of a sector", raw[:len(raw)-1], metal.ImageSpec{}, "multiple of 512"},
		{"a disk without a boot sector", make([]byte, 1<<20), metal.ImageSpec{}, "no partition table"},
		{"a qcow2 disk without a boot sector", qcow2Of(t, make([]byte, 1<<20)), metal.ImageSpec{}, "no partition table"},
		{"a web page", []byte("\n<!DOCTYPE html><title>Sign in</title>"), metal.ImageSpec{}, "web page"},
		{"a raw disk declared qcow2", raw, metal.ImageSpec{Format: "qcow2"}, "declared as qcow2, but its content is raw"},
		{"a qcow2 disk declared raw", qcow2, metal.ImageSpec{Format: "raw"}, "declared as raw, but its content is qcow2"},
		{"a raw disk declared vmdk", raw, metal.ImageSpec{Format: "vmdk"}, "declared as vmdk, but its content is raw"},
		{"a raw disk declared vhd", raw, metal.ImageSpec{Format: "vhd"}, "no VHD footer"},
		{"an unknown format", raw, metal.ImageSpec{Format: "vdi"}, "auto, raw, qcow2, vmdk, vhd, vhdx, tar or squashfs"},
		{"a disk above the limit", rawDisk(8 << 20), metal.ImageSpec{}, "more than the 4194304 bytes"},
		{"a disk above the limit once unpacked", tool(t, make([]byte, 8<<20), "gzip", "-c"), metal.ImageSpec{}, "no partition table"},
		{"a qcow2 disk above the limit", qcow2Of(t, rawDisk(8<<20), "-c"), metal.ImageSpec{}, "at most 4194304"},
		{"a bomb", tool(t, rawDisk(16<<20), "zstd", "-c"), metal.ImageSpec{}, "more than the 4194304 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, Options{MaxBytes: 4 << 20})
			_, err := s.Import(t.Context(), tt.spec, bytes.NewReader(tt.file), nil)
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v (%s); want an invalid error that says %q", err, metal.CodeOf(err), tt.says)
			}
			if left := files(t, s); len(left) != 0 {
				t.Errorf("got %v left in the store; want nothing", left)
			}
		})
	}
}

func TestImportOfTheSameContentKeepsTheFileThatIsThere(t *testing.T) {
	raw := rawDisk(1 << 20)
	s := openStore(t, Options{})
	first, err := s.Import(t.Context(), metal.ImageSpec{}, bytes.NewReader(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := s.Open(first.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	before, _ := f.Stat()
	again, err := s.Import(t.Context(), metal.ImageSpec{}, bytes.NewReader(raw), nil)
	if err != nil || again != first {
		t.Errorf("got %+v, %v; want %+v", again, err, first)
	}
	g, _, err := s.Open(first.Digest)
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	if after, _ := g.Stat(); !before.ModTime().Equal(after.ModTime()) {
		t.Error("got another file; want the one that was there")
	}
}

func TestImportRepairsAContentWhoseFileIsDamaged(t *testing.T) {
	raw := rawDisk(1 << 20)
	s := openStore(t, Options{})
	write(t, s.path(sum(raw)), []byte("half a file"))
	if s.Has(sum(raw)) {
		t.Error("a damaged file counts as content")
	}
	if _, err := s.Import(t.Context(), metal.ImageSpec{SHA256: sum(raw)}, bytes.NewReader(raw), nil); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(content(t, s, sum(raw)), raw) {
		t.Error("got other bytes out of the store than went in")
	}
}

func TestContentThatIsKnownByItsDigestIsNotFetchedAgain(t *testing.T) {
	raw := rawDisk(1 << 20)
	s := openStore(t, Options{})
	want, err := s.Import(t.Context(), metal.ImageSpec{}, bytes.NewReader(raw), nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Import(t.Context(), metal.ImageSpec{Source: "http://192.0.2.1/never-asked", SHA256: sum(raw)}, nil, nil)
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}

func TestACancelledImportLeavesNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := openStore(t, Options{})
	n := 0
	endless := readerFunc(func(p []byte) (int, error) {
		if n++; n == 40 {
			cancel()
		}
		clear(p)
		copy(p, rawDisk(512))
		return len(p), nil
	})
	_, err := s.Import(ctx, metal.ImageSpec{}, endless, nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want context.Canceled", err)
	}
	if left := files(t, s); len(left) != 0 {
		t.Errorf("got %v left in the store; want nothing", left)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestAnUploadThatBreaksOffSaysSo(t *testing.T) {
	s := openStore(t, Options{})
	for _, whole := range [][]byte{rawDisk(1 << 20), tool(t, rawDisk(1<<20), "gzip", "-c")} {
		broken := io.MultiReader(bytes.NewReader(whole[:len(whole)/2]), iotest.ErrReader(errors.New("connection reset")))
		_, err := s.Import(t.Context(), metal.ImageSpec{}, broken, nil)
		if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "connection reset") {
			t.Errorf("got %v; want an invalid error with its cause", err)
		}
	}
}

func TestSeveralImportsAtOnce(t *testing.T) {
	s := openStore(t, Options{})
	raw := rawDisk(6 << 20)
	faults := make(chan error)
	for range 4 {
		go func() {
			_, err := s.Import(t.Context(), metal.ImageSpec{}, bytes.NewReader(raw), nil)
			faults <- err
		}()
	}
	for range 4 {
		if err := <-faults; err != nil {
			t.Error(err)
		}
	}
	if diff := cmp.Diff([]string{sum(raw) + ".chunks", sum(raw) + ".zst"}, files(t, s)); diff != "" {
		t.Errorf("files of the store (-want +got):\n%s", diff)
	}
}
