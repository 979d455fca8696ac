package image

import (
	"archive/tar"
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// entry is a file of an archive, or where its name ends in a slash a directory.
type entry struct {
	name    string
	content []byte
}

func tarOf(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Size: int64(len(e.content)), Mode: 0o755, Typeflag: tar.TypeReg}
		if strings.HasSuffix(e.name, "/") {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(e.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// imageOf has qemu-img convert a raw disk.
func imageOf(t testing.TB, raw []byte, args ...string) []byte {
	t.Helper()
	dir := t.TempDir()
	from, to := write(t, filepath.Join(dir, "raw"), raw), filepath.Join(dir, "image")
	tool(t, nil, "qemu-img", append(append([]string{"convert", "-f", "raw", "-O"}, args...), from, to)...)
	return tool(t, nil, "cat", to)
}

func TestDisksInEveryFormatAndPackingAreStoredAsTheSameContent(t *testing.T) {
	disk := rawDisk(5 << 20)
	qcow2 := qcow2Of(t, disk)
	ddtar := tarOf(t, entry{"./", nil}, entry{"./root-dd", disk})
	for _, tt := range []struct {
		name   string
		file   []byte
		format string
	}{
		{"VMDK", imageOf(t, disk, "vmdk"), ""},
		{"VMDK for streaming", imageOf(t, disk, "vmdk", "-o", "subformat=streamOptimized"), "auto"},
		{"VHD", imageOf(t, disk, "vpc", "-o", "force_size=on"), "vhd"},
		{"VHD of fixed size", imageOf(t, disk, "vpc", "-o", "subformat=fixed,force_size=on"), "vhd"},
		{"VHDX", imageOf(t, disk, "vhdx"), ""},
		{"VHD in gzip", tool(t, imageOf(t, disk, "vpc", "-o", "force_size=on"), "gzip", "-c"), ""},
		{"VMDK in bzip2", tool(t, imageOf(t, disk, "vmdk"), "bzip2", "-c"), ""},
		{"raw in bzip2", tool(t, disk, "bzip2", "-c"), ""},
		{"raw in two bzip2 streams", slices.Concat(tool(t, disk[:2<<20], "bzip2", "-c"), tool(t, disk[2<<20:], "bzip2", "-c")), ""},
		{"ddtgz", tool(t, ddtar, "gzip", "-c"), ""},
		{"ddtxz", tool(t, ddtar, "xz", "-c", "-0"), ""},
		{"ddtbz", tool(t, ddtar, "bzip2", "-c"), ""},
		{"ddtar", ddtar, ""},
		{"ddgz", tool(t, disk, "gzip", "-c"), ""},
		{"qcow2 in a tar archive in gzip", tool(t, tarOf(t, entry{"box.img", qcow2}), "gzip", "-c"), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, Options{})
			got, err := s.Import(t.Context(), metal.ImageSpec{Format: tt.format, SHA256: sum(tt.file)}, bytes.NewReader(tt.file), nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Digest != sum(disk) || !bytes.Equal(content(t, s, got.Digest), disk) {
				t.Errorf("got content %s of %d bytes; want %s of %d", got.Digest, got.RawBytes, sum(disk), len(disk))
			}
		})
	}
}

// rootArchive is as small as one can be.
func rootArchive(t testing.TB, more ...entry) []byte {
	t.Helper()
	return tarOf(t, append([]entry{{"./", nil}, {"./etc/", nil}, {"./etc/hostname", []byte("n1")}, {"./usr/bin/true", bytes.Repeat([]byte("x"), 70_000)}}, more...)...)
}

func TestRootsAreStoredAsTheyAre(t *testing.T) {
	archive := rootArchive(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "root", "etc", "hostname"), bytes.Repeat([]byte("n1"), 5000))
	tool(t, nil, "mksquashfs", filepath.Join(dir, "root"), filepath.Join(dir, "squashfs"), "-quiet", "-no-progress")
	squash := tool(t, nil, "cat", filepath.Join(dir, "squashfs"))
	for _, tt := range []struct {
		name, format string
		file, want   []byte
	}{
		{"tar", "tar", archive, archive},
		{"tar in gzip", "tar", tool(t, archive, "gzip", "-c"), archive},
		{"tar in zstd", "tar", tool(t, archive, "zstd", "-c"), archive},
		{"tar in bzip2", "tar", tool(t, archive, "bzip2", "-c"), archive},
		{"squashfs", "squashfs", squash, squash},
		{"squashfs in xz", "squashfs", tool(t, squash, "xz", "-c"), squash},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, Options{})
			spec := metal.ImageSpec{Format: tt.format, SHA256: sum(tt.file)}
			got, err := s.Import(t.Context(), spec, bytes.NewReader(tt.file), nil)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(content(t, s, got.Digest), tt.want) {
				t.Error("got other bytes out of the store than went in")
			}
			if table, _ := served(t, s, got.Digest); table.RawBytes() != int64(len(tt.want)) {
				t.Errorf("got a table for %d bytes; want %d", table.RawBytes(), len(tt.want))
			}
		})
	}
}

func TestWhatIsNoRootIsRefused(t *testing.T) {
	archive := rootArchive(t)
	squash := append([]byte(squashfsMagic), make([]byte, 4096)...)
	squash[28], squash[41] = 4, 0xff
	bomb := tool(t, tarOf(t, entry{"etc/", nil}, entry{"usr/zeros", make([]byte, 16<<20)}), "zstd", "-c", "-19")
	for _, tt := range []struct {
		name, format string
		file         []byte
		says         string
	}{
		{"a root archive that is not declared", "", archive, "declare format tar"},
		{"a squashfs that is not declared", "", squash, "declare format squashfs"},
		{"a disk declared as a root", "tar", rawDisk(1 << 20), "declared as tar, but its content is raw"},
		{"an archive of something else", "tar", tarOf(t, entry{"home/", nil}, entry{"README", []byte("hello")}), "no etc or no usr"},
		{"an archive that leads out", "tar", rootArchive(t, entry{"../evil", nil}), `"../evil" that leads out`},
		{"an archive that leads out by a detour", "tar", rootArchive(t, entry{"usr/../../evil", nil}), "leads out"},
		{"an archive cut in a file", "tar", archive[:len(archive)/2], "truncated: its tar archive"},
		{"an archive cut in packing", "tar", tool(t, archive, "gzip", "-c")[:200], "truncated: its gzip"},
		{"an archive with a damaged header", "tar", append(slices.Clone(archive[:512*3]), bytes.Repeat([]byte("?"), 4096)...), "damaged: its tar archive"},
		{"a squashfs that is cut", "squashfs", squash, "truncated: the squashfs"},
		{"a squashfs of an old version", "squashfs", append([]byte(squashfsMagic), make([]byte, 4096)...), "version"},
		{"a bomb", "tar", bomb, "more than the 4194304 bytes"},
		{"a disk cut off in its archive", "", tarOf(t, entry{"disk", rawDisk(2 << 20)})[:1<<20], "truncated: its tar archive"},
		{"a disk in an archive above the limit", "", tarOf(t, entry{"disk", rawDisk(6 << 20)}), "more than the 4194304 bytes"},
		{"bzip2 data cut in the middle", "", func() []byte { b := tool(t, rawDisk(1<<20), "bzip2", "-c"); return b[:len(b)/2] }(), "truncated: its bzip2"},
		{"damaged bzip2 data", "", func() []byte {
			b := tool(t, rawDisk(1<<20), "bzip2", "-c")
			b = append(b, b...)
			b[len(b)-1000] ^= 0xff
			return b
		}(), "damaged: its bzip2"},
		{"a VMDK cut in the middle", "", func() []byte { b := imageOf(t, rawDisk(2<<20), "vmdk"); return b[:len(b)/2] }(), "truncated disk image"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := openStore(t, Options{MaxBytes: 4 << 20})
			_, err := s.Import(t.Context(), metal.ImageSpec{Format: tt.format}, bytes.NewReader(tt.file), nil)
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v (%s); want an invalid error that says %q", err, metal.CodeOf(err), tt.says)
			}
			if left := files(t, s); len(left) != 0 {
				t.Errorf("got %v left in the store; want nothing", left)
			}
		})
	}
}

func TestAKnownDigestDoesNotMakeADiskOfARoot(t *testing.T) {
	dir := t.TempDir()
	archive := rootArchive(t)
	path := write(t, filepath.Join(dir, "root.tar"), archive)
	s := openStore(t, Options{AllowedDirs: []string{dir}})
	if _, err := s.Import(t.Context(), metal.ImageSpec{Source: path, Format: "tar"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	spec := metal.ImageSpec{Source: path, SHA256: sum(archive)}
	if _, err := s.Import(t.Context(), spec, nil, nil); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("as a disk: got %v; want it refused", err)
	}
	spec.Format, spec.Source = "tar", filepath.Join(dir, "gone")
	if got, err := s.Import(t.Context(), spec, nil, nil); err != nil || got.Digest != sum(archive) {
		t.Errorf("as the root that it is: got %+v, %v; want it found in the store", got, err)
	}
}

func FuzzDiskInside(f *testing.F) {
	f.Add(tarOf(f, entry{"root-dd", rawDisk(2 << 20)})[:sniffBytes])
	f.Add(rootArchive(f)[:4096])
	f.Fuzz(func(t *testing.T, head []byte) {
		if diskInside(head) && len(head) < 1024 {
			t.Error("less than a header and a sector are taken for a disk")
		}
	})
}

func FuzzWalkRoot(f *testing.F) {
	f.Add(rootArchive(f)[:4096])
	f.Add(tarOf(f, entry{"../evil", nil}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := walkRoot(bytes.NewReader(b)); err == nil && !bytes.Contains(b, []byte("etc")) {
			t.Error("an archive without etc is taken for a root")
		}
	})
}
