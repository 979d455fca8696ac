package rootfs

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// needRoot skips a test without root; in CI that is a failure.
func needRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("root is missing")
	}
	t.Skip("root is missing")
}

// file is an entry with content.
type file struct {
	tar.Header
	content string
}

func archive(t testing.TB, files ...file) *bytes.Buffer {
	t.Helper()
	var raw bytes.Buffer
	w := tar.NewWriter(&raw)
	for _, f := range files {
		f.Size = int64(len(f.content))
		if f.ModTime.IsZero() {
			f.ModTime = time.Unix(1_700_000_000, 0)
		}
		if err := w.WriteHeader(&f.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, f.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return &raw
}

func reg(name, content string) file {
	return file{tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644}, content}
}

func dir(name string) file {
	return file{tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755}, ""}
}

func symlink(name, to string) file {
	return file{tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}, ""}
}

func hardlink(name, to string) file {
	return file{tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to, Mode: 0o644}, ""}
}

func TestFilesComeOutAsTheyWentIn(t *testing.T) {
	needRoot(t)
	target := t.TempDir()
	when := time.Date(2020, 2, 29, 12, 0, 0, 0, time.UTC)
	sudo := reg("usr/bin/sudo", "#!")
	sudo.Mode, sudo.Uid, sudo.Gid, sudo.ModTime = 0o4755, 0, 42, when
	home := dir("home/debian/")
	home.Mode, home.Uid, home.Gid, home.ModTime = 0o700, 1000, 1000, when
	files := archive(t, dir("./"), dir("./usr/"), dir("usr/bin"), sudo, symlink("bin", "usr/bin"), hardlink("usr/bin/sudoedit", "./usr/bin/sudo"),
		home, reg("home/debian/.profile", "x"), reg("var/without/parent", "made"),
		file{tar.Header{Typeflag: tar.TypeFifo, Name: "run/pipe", Mode: 0o600}, ""},
		file{tar.Header{Typeflag: tar.TypeChar, Name: "dev/null", Mode: 0o666, Devmajor: 1, Devminor: 3}, ""})
	if err := Unpack(t.Context(), files, target); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(target, "usr/bin/sudo"))
	if err != nil {
		t.Fatal(err)
	}
	st, _ := info.Sys().(*syscallStat)
	if info.Mode() != 0o755|os.ModeSetuid || st.Gid != 42 || st.Nlink != 2 || !info.ModTime().Equal(when) {
		t.Errorf("sudo: got %v, group %d, %d links, %v; want it set-user-id, of group 42, with 2 links, of %v", info.Mode(), st.Gid, st.Nlink, info.ModTime(), when)
	}
	info, err = os.Lstat(filepath.Join(target, "home/debian"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o700|os.ModeDir || !info.ModTime().Equal(when) {
		t.Errorf("home: got %v of %v; want 0700 of %v, though a file was made in it later", info.Mode(), info.ModTime(), when)
	}
	if to, err := os.Readlink(filepath.Join(target, "bin")); err != nil || to != "usr/bin" {
		t.Errorf("bin: got %q, %v; want a link to usr/bin", to, err)
	}
	for name, want := range map[string]os.FileMode{"run/pipe": os.ModeNamedPipe, "dev/null": os.ModeDevice | os.ModeCharDevice, "var/without/parent": 0} {
		if info, err := os.Lstat(filepath.Join(target, name)); err != nil || info.Mode().Type() != want {
			t.Errorf("%s: got %v, %v; want type %v", name, info, err, want)
		}
	}
}

func TestNothingOutsideTheTargetIsTouched(t *testing.T) {
	needRoot(t)
	tests := []struct {
		name    string
		files   []file
		refused string // in the error; empty: unpacked, but inside
	}{
		{"a name that leads upwards", []file{reg("../victim", "bad")}, "leads upwards"},
		{"a name that leads upwards in the middle", []file{reg("a/../../victim", "bad")}, "leads upwards"},
		{"an absolute name", []file{reg("/victim", "bad")}, ""},
		{"through a relative link", []file{symlink("out", ".."), reg("out/victim", "bad")}, ""},
		{"through an absolute link", []file{symlink("out", "OUTSIDE"), reg("out/victim", "bad")}, "out/victim"},
		{"over a link", []file{symlink("victim", "OUTSIDE/victim"), reg("victim", "bad")}, ""},
		{"a folder over a link", []file{symlink("out", "OUTSIDE"), dir("out")}, "a link of its name"},
		{"a hard link to the outside", []file{hardlink("out", "../victim"), reg("out", "bad")}, "hard link"},
		{"a hard link through a link", []file{symlink("out", "OUTSIDE"), hardlink("mine", "out/victim")}, "hard link"},
		{"a magic link", []file{symlink("out", "/proc/self/root"), reg("out/victim", "bad")}, "out/victim"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			outside := t.TempDir()
			victim := filepath.Join(outside, "victim")
			if err := os.WriteFile(victim, []byte("good"), 0o640); err != nil {
				t.Fatal(err)
			}
			target := filepath.Join(outside, "target")
			if err := os.Mkdir(target, 0o755); err != nil {
				t.Fatal(err)
			}
			for i := range tt.files {
				tt.files[i].Linkname = strings.ReplaceAll(tt.files[i].Linkname, "OUTSIDE", outside)
			}
			err := Unpack(t.Context(), archive(t, tt.files...), target)
			if tt.refused == "" && err != nil || tt.refused != "" && (err == nil || !strings.Contains(err.Error(), tt.refused)) {
				t.Errorf("got %v; want an error with %q (none if empty)", err, tt.refused)
			}
			if raw, err := os.ReadFile(victim); err != nil || string(raw) != "good" {
				t.Errorf("the file outside: got %q, %v; want it untouched", raw, err)
			}
			if entries, err := os.ReadDir(outside); err != nil || len(entries) != 2 {
				t.Errorf("outside: got %v, %v; want nothing new", entries, err)
			}
		})
	}
}

func TestHostileArchivesAreRefused(t *testing.T) {
	needRoot(t)
	tests := []struct {
		name string
		raw  io.Reader
		want string
	}{
		{"a device outside of dev", archive(t, file{tar.Header{Typeflag: tar.TypeBlock, Name: "sda", Devmajor: 8, Mode: 0o666}, ""}), "device outside"},
		{"a link for the root folder", archive(t, symlink(".", "/etc")), "replace the root folder"},
		{"a name too long", archive(t, reg(strings.Repeat("a/", 2100)+"b", "")), "too long"},
		{"a part of a name too long", archive(t, reg(strings.Repeat("a", 256), "")), "part of its name"},
		{"a hard link to what never came", archive(t, hardlink("a", "b")), "did not come before"},
		{"a folder that is not empty, replaced", archive(t, dir("a"), reg("a/b", ""), reg("a", "")), `"a"`},
		{"a circle of links", archive(t, symlink("a", "b"), symlink("b", "a"), reg("a/x", "")), `"a/x"`},
		{"cut off", bytes.NewReader(archive(t, reg("a", strings.Repeat("x", 5000))).Bytes()[:2000]), `"a"`},
		{"no archive", strings.NewReader(strings.Repeat("no tar at all ", 100)), "after 0 files"},
		{"an ACL that is none", archive(t, file{tar.Header{Typeflag: tar.TypeReg, Name: "a", Format: tar.FormatPAX, PAXRecords: map[string]string{recordACL: "nobody"}}, ""}), "ACL"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Unpack(t.Context(), tt.raw, t.TempDir())
			if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v; want Invalid with %q", err, tt.want)
			}
		})
	}
}

func TestHolesStayHoles(t *testing.T) {
	needRoot(t)
	target := t.TempDir()
	content := "begin" + strings.Repeat("\x00", 8<<20) + "end"
	if err := Unpack(t.Context(), archive(t, reg("sparse", content)), target); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(target, "sparse"))
	if err != nil || string(raw) != content {
		t.Errorf("got %d bytes, %v; want the %d of the content", len(raw), err, len(content))
	}
	var st unix.Stat_t
	if err := unix.Stat(filepath.Join(target, "sparse"), &st); err != nil || st.Blocks*512 > 2<<20 {
		t.Errorf("got %d bytes on the disk, %v; want the zeros left out", st.Blocks*512, err)
	}
}

func TestACalledOffUnpackingStops(t *testing.T) {
	needRoot(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := Unpack(ctx, archive(t, reg("a", "")), t.TempDir())
	if metal.CodeOf(err) != metal.Conflict || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want Conflict", err)
	}
}

func FuzzUnpack(f *testing.F) {
	needRoot(f)
	f.Add(archive(f, dir("a"), reg("a/b", "x"), symlink("c", "/a"), reg("c/d", "y"), hardlink("e", "a/b")).Bytes())
	f.Add(archive(f, symlink("out", "../.."), reg("out/victim", "x")).Bytes())
	f.Add(archive(f, file{tar.Header{Typeflag: tar.TypeReg, Name: "a", Format: tar.FormatPAX, PAXRecords: map[string]string{recordACL: "user::rwx,user:7:r--,group::r-x,mask::r-x,other::---"}}, "z"}).Bytes())
	f.Fuzz(func(t *testing.T, raw []byte) {
		outside := t.TempDir()
		target := filepath.Join(outside, "target")
		if err := os.Mkdir(target, 0o755); err != nil {
			t.Fatal(err)
		}
		_ = Unpack(t.Context(), bytes.NewReader(raw), target) // what it says is not the point
		if entries, err := os.ReadDir(outside); err != nil || len(entries) != 1 {
			t.Errorf("outside: got %v, %v; want the target alone", entries, err)
		}
	})
}
