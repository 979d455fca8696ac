package rootfs

import (
	"archive/tar"
	"encoding/binary"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// syscallStat is what os.FileInfo.Sys returns.
type syscallStat = syscall.Stat_t

func TestExtendedAttributesComeAlong(t *testing.T) {
	needRoot(t)
	target := t.TempDir()
	capability := "\x01\x00\x00\x02\x00\x20\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" // cap_net_raw+ep
	ping := file{tar.Header{Typeflag: tar.TypeReg, Name: "ping", Mode: 0o755, Format: tar.FormatPAX, PAXRecords: map[string]string{
		recordXattr + "security.capability": capability, recordXattr + "trusted.overlay.opaque": "y",
	}}, "#!"}
	if err := Unpack(t.Context(), archive(t, ping), target); err != nil {
		t.Fatal(err)
	}
	value := make([]byte, 64)
	n, err := unix.Getxattr(filepath.Join(target, "ping"), "security.capability", value)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		t.Skip("this file system has no extended attributes")
	}
	if err != nil || string(value[:n]) != capability {
		t.Errorf("got %q, %v; want the capability", value[:max(n, 0)], err)
	}
	if _, err := unix.Getxattr(filepath.Join(target, "ping"), "trusted.overlay.opaque", value); err == nil {
		t.Error("got an attribute of overlayfs; want it left out")
	}
}

func TestACLsAreEncodedAsTheKernelTakesThem(t *testing.T) {
	tests := []struct {
		name, text string
		entries    []aclEntry
		bad        string
	}{
		{"none", "", nil, ""},
		{"sorted by kind and id", "other::---,user:1001:rw-,user::rwx,group::r-x,mask::rwx,user:1000:r--", []aclEntry{
			{aclUserObj, 7, noID}, {aclUser, 4, 1000}, {aclUser, 6, 1001}, {aclGroupObj, 5, noID}, {aclMask, 7, noID}, {aclOther, 0, noID},
		}, ""},
		{"with the id behind the name", "user::rw-\ngroup::r--\ngroup:staff:rwx:50\nmask::rwx\nother::r-- # a remark", []aclEntry{
			{aclUserObj, 6, noID}, {aclGroupObj, 4, noID}, {aclGroup, 7, 50}, {aclMask, 7, noID}, {aclOther, 4, noID},
		}, ""},
		{"a name without its id", "user:peter:rwx", nil, "--numeric-owner"},
		{"another kind", "nobody::rwx", nil, "no known kind"},
		{"too few fields", "user:", nil, "cannot be read"},
		{"another permission", "user::rws", nil, "unknown permissions"},
		{"too many", strings.Repeat("user:1:r--,", maxACL+1), nil, "more than"},
	}
	for _, tt := range tests {
		raw, err := encodeACL(tt.text)
		if tt.bad != "" {
			if err == nil || !strings.Contains(err.Error(), tt.bad) {
				t.Errorf("%s: got %v; want an error with %q", tt.name, err, tt.bad)
			}
			continue
		}
		if err != nil || (raw == nil) != (tt.entries == nil) {
			t.Errorf("%s: got %v, %v; want %d entries", tt.name, raw, err, len(tt.entries))
			continue
		}
		if raw == nil {
			continue
		}
		if v := binary.LittleEndian.Uint32(raw); v != aclVersion || len(raw) != 4+8*len(tt.entries) {
			t.Errorf("%s: got version %d and %d bytes", tt.name, v, len(raw))
			continue
		}
		for i, want := range tt.entries {
			b := raw[4+8*i:]
			got := aclEntry{binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:]), binary.LittleEndian.Uint32(b[4:])}
			if got != want {
				t.Errorf("%s: entry %d: got %+v; want %+v", tt.name, i, got, want)
			}
		}
	}
}

// TestWhatGNUTarPacksIsUnpacked has the real tar make an archive with what it has of everything.
func TestWhatGNUTarPacksIsUnpacked(t *testing.T) {
	needRoot(t)
	from, target := t.TempDir(), t.TempDir()
	script := `set -e
cd "$1"; mkdir -p d/e; echo hello > d/file; ln d/file d/e/hard; ln -s ../file d/e/soft; truncate -s 3M d/sparse; echo x >> d/sparse
chown 5:6 d/file; chmod 2750 d/e; touch -d 2001-02-03 d/e; tar --sparse --xattrs --acls --numeric-owner -cf "$2" .`
	packed := filepath.Join(t.TempDir(), "a.tar")
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", script, "sh", from, packed).CombinedOutput(); err != nil {
		t.Fatalf("pack: %v: %s", err, out)
	}
	cat := exec.CommandContext(t.Context(), "cat", packed)
	stream, err := cat.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cat.Start(); err != nil {
		t.Fatal(err)
	}
	if err := Unpack(t.Context(), stream, target); err != nil {
		t.Error(err)
	}
	if err := cat.Wait(); err != nil {
		t.Log(err) // what is behind the archive's end was not read
	}
	compare := `cd "$1" && find . -printf '%p %y %m %U %G %s %T@ %n %l\n' | sort`
	var lists [2]string
	for i, dir := range []string{from, target} {
		out, err := exec.CommandContext(t.Context(), "sh", "-c", compare, "sh", dir).CombinedOutput()
		if err != nil {
			t.Fatal(err)
		}
		// The time stamp of ustar has whole seconds.
		lists[i] = withoutFractions(string(out))
	}
	if lists[0] != lists[1] {
		t.Errorf("got:\n%s\nwant:\n%s", lists[1], lists[0])
	}
}

func withoutFractions(list string) string {
	var out strings.Builder
	for line := range strings.Lines(list) {
		fields := strings.Fields(line)
		if fields[1] == "d" {
			fields[5] = "-" // folders have sizes of their file system's own
		}
		fields[6], _, _ = strings.Cut(fields[6], ".")
		out.WriteString(strings.Join(fields, " ") + "\n")
	}
	return out.String()
}

func FuzzACL(f *testing.F) {
	f.Add("user::rwx,user:7:r--,group::r-x,mask::r-x,other::---")
	f.Add("group:staff:rwx:50")
	f.Fuzz(func(t *testing.T, text string) {
		raw, err := encodeACL(text)
		if err == nil && raw != nil && (len(raw)-4)%8 != 0 {
			t.Errorf("got %d bytes; want a version and whole entries", len(raw))
		}
	})
}
