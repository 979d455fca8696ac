package install

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestConsolesAreTakenOver(t *testing.T) {
	got := consoles("BOOT_IMAGE=/x console=tty0 quiet console=ttyS0,115200 metal.token=secret noconsole=1\n")
	if diff := cmp.Diff([]string{"console=tty0", "console=ttyS0,115200"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestASystemBecomesAnInitramfs has cpio(1) unpack what writeSystem writes: files, links of both kinds, modes and times.
func TestASystemBecomesAnInitramfs(t *testing.T) {
	needRoot(t)
	if _, err := exec.LookPath("cpio"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("cpio is missing")
		}
		t.Skip("cpio is missing")
	}
	dir := t.TempDir()
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, d := range []string{"sbin", "etc", "tmp"} {
		check(os.Mkdir(filepath.Join(dir, d), 0o755))
	}
	check(os.Chmod(filepath.Join(dir, "tmp"), os.ModeSticky|0o777))
	check(os.WriteFile(filepath.Join(dir, "sbin/su"), []byte("the program"), 0o755))
	check(os.Chmod(filepath.Join(dir, "sbin/su"), os.ModeSetuid|0o755))
	check(os.Link(filepath.Join(dir, "sbin/su"), filepath.Join(dir, "sbin/zu")))
	check(os.Symlink("/lib/init", filepath.Join(dir, "sbin/init")))
	check(os.WriteFile(filepath.Join(dir, "etc/empty"), nil, 0o600))
	check(os.Lchown(filepath.Join(dir, "etc/empty"), 12, 34))
	capable := unix.Setxattr(filepath.Join(dir, "etc/empty"), "user.note", []byte{0, 1}, 0) == nil

	var out bytes.Buffer
	check(writeSystem(t.Context(), &out, dir, []byte("start")))
	if left, err := os.ReadDir(filepath.Join(dir, "etc")); err != nil || len(left) != 0 {
		t.Errorf("left: got %v, %v; want the files gone", left, err)
	}
	to := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "cpio", "-idm", "--quiet")
	cmd.Dir, cmd.Stdin = to, bytes.NewReader(out.Bytes())
	if text, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v\n%s", err, text)
	}
	for name, want := range map[string]string{"metal-start": "start", "sysroot/sbin/su": "the program", "sysroot/sbin/zu": "the program", "sysroot/etc/empty": ""} {
		if got, err := os.ReadFile(filepath.Join(to, name)); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
	su, err := os.Stat(filepath.Join(to, "sysroot/sbin/su"))
	check(err)
	zu, err := os.Stat(filepath.Join(to, "sysroot/sbin/zu"))
	check(err)
	if !os.SameFile(su, zu) || su.Mode() != os.ModeSetuid|0o755 {
		t.Errorf("su: got mode %v, one file with zu: %t; want both kept", su.Mode(), os.SameFile(su, zu))
	}
	if link, err := os.Readlink(filepath.Join(to, "sysroot/sbin/init")); err != nil || link != "/lib/init" {
		t.Errorf("init: got %q, %v; want the link", link, err)
	}
	if info, err := os.Stat(filepath.Join(to, "sysroot/tmp")); err != nil || info.Mode()&os.ModeSticky == 0 {
		t.Errorf("tmp: got %v, %v; want it sticky", info, err)
	}
	var stat unix.Stat_t
	check(unix.Stat(filepath.Join(to, "sysroot/etc/empty"), &stat))
	if stat.Uid != 12 || stat.Gid != 34 {
		t.Errorf("owner: got %d:%d; want 12:34", stat.Uid, stat.Gid)
	}
	check(unix.Stat(filepath.Join(to, "dev/console"), &stat))
	if stat.Mode&unix.S_IFMT != unix.S_IFCHR || stat.Rdev != unix.Mkdev(5, 1) {
		t.Errorf("console: got mode %o, device %x; want it there", stat.Mode, stat.Rdev)
	}
	if !capable {
		return
	}
	check(restoreAttributes(filepath.Join(to, attributes), filepath.Join(to, SystemDir)))
	value := make([]byte, 8)
	if n, err := unix.Getxattr(filepath.Join(to, "sysroot/etc/empty"), "user.note", value); err != nil || !bytes.Equal(value[:n], []byte{0, 1}) {
		t.Errorf("attribute: got %x, %v; want it restored", value[:max(n, 0)], err)
	}
}

func TestNoAttributesAreRestoredFromNonsense(t *testing.T) {
	name := filepath.Join(t.TempDir(), "list")
	for _, content := range []string{"", "nonsense", `{"a": 1}`} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := restoreAttributes(name, t.TempDir()); err == nil || !strings.Contains(err.Error(), "read the list") {
			t.Errorf("%q: got %v; want that it cannot be read", content, err)
		}
	}
	raw, err := json.Marshal(map[string]map[string][]byte{"missing": {"user.a": nil}})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := restoreAttributes(name, t.TempDir()); err == nil || !strings.Contains(err.Error(), "user.a of missing") {
		t.Errorf("got %v; want the file named", err)
	}
}
