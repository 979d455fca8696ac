package fat

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tools skips a test where a real tool is missing, and fails it where CI promises them all.
func tools(t *testing.T, names ...string) {
	t.Helper()
	for _, n := range names {
		if _, err := exec.LookPath(n); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatalf("%s is missing: %v", n, err)
			}
			t.Skipf("%s is missing", n)
		}
	}
}

func TestMtoolsAndFsckReadWhatIsBuilt(t *testing.T) {
	tools(t, "mdir", "mtype", "fsck.fat", "mlabel")
	many := map[string]string{}
	for _, n := range strings.Fields("user-data user-data-2 user-data-3 USER.TXT a.b.c.d .hidden öffnen Ünï.cödé x " + strings.Repeat("long", 40)) {
		many[n] = "content of " + n
	}
	for _, c := range []struct {
		name          string
		sector, bytes int
		files         map[string]string
		kind          string
	}{
		{"a seed in 4 MiB", 512, 4 << 20, map[string]string{
			"meta-data": "instance-id: i-1\nlocal-hostname: n1\n", "user-data": "#cloud-config\n" + strings.Repeat("# x\n", 5000),
			"network-config": "version: 2\n", "vendor-data": "",
		}, "FAT16"},
		{"blocks of 4096 bytes", 4096, 4 << 20, map[string]string{"meta-data": "x", "user-data": strings.Repeat("abc", 9000)}, "FAT12"},
		{"FAT12 in one mebibyte", 512, 1 << 20, map[string]string{"meta-data": strings.Repeat("0123456789", 7000), "user-data": strings.Repeat("ab", 9000)}, "FAT12"},
		{"larger clusters in 64 MiB", 512, 64 << 20, map[string]string{"big": strings.Repeat("z", 3<<20)}, "FAT16"},
		{"no file", 512, 4 << 20, nil, "FAT16"},
		{"names of every kind", 512, 4 << 20, many, "FAT16"},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw, err := Build(Volume{Label: "CIDATA", SectorSize: c.sector, Bytes: c.bytes, Files: c.files})
			if err != nil {
				t.Fatal(err)
			}
			if got := string(raw[54:59]); got != c.kind {
				t.Errorf("kind: got %s; want %s", got, c.kind)
			}
			path := filepath.Join(t.TempDir(), "fat")
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("fsck.fat", "-n", "-v", path).CombinedOutput(); err != nil {
				t.Errorf("fsck.fat: %v\n%s", err, out)
			}
			if out, err := exec.Command("mlabel", "-s", "-i", path, "::").CombinedOutput(); err != nil || !strings.Contains(string(out), "CIDATA") {
				t.Errorf("mlabel: %v: got %q; want CIDATA", err, out)
			}
			for name, want := range c.files {
				cmd := exec.Command("mtype", "-i", path, "::"+name)
				cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
				got, err := cmd.Output()
				if err != nil || string(got) != want {
					t.Errorf("mtype %s: %v: got %d bytes; want %d", name, err, len(got), len(want))
				}
			}
		})
	}
}

func TestTheSameFilesMakeTheSameVolume(t *testing.T) {
	v := Volume{Label: "CIDATA", SectorSize: 512, Bytes: 4 << 20, Files: map[string]string{"a": "1", "b": "2", "c": "3"}}
	first, err := Build(v)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Build(v)
	if err != nil || string(first) != string(second) {
		t.Errorf("two builds differ (%v)", err)
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, c := range []struct {
		name string
		v    Volume
		want string
	}{
		{"a directory", Volume{"CIDATA", 512, 4 << 20, map[string]string{"a/b": ""}}, "not possible"},
		{"an empty name", Volume{"CIDATA", 512, 4 << 20, map[string]string{"": ""}}, "not possible"},
		{"a trailing dot", Volume{"CIDATA", 512, 4 << 20, map[string]string{"a.": ""}}, "not possible"},
		{"names that differ only in case", Volume{"CIDATA", 512, 4 << 20, map[string]string{"a": "", "A": ""}}, "twice"},
		{"more than fits", Volume{"CIDATA", 512, 4 << 20, map[string]string{"a": strings.Repeat("x", 4<<20)}}, "is full"},
		{"a lower-case label", Volume{"cidata", 512, 4 << 20, nil}, "label"},
		{"a label of 12", Volume{"CIDATACIDATA", 512, 4 << 20, nil}, "label"},
		{"a volume of nothing", Volume{"CIDATA", 512, 4096, nil}, "too few"},
		{"a volume of 8 GiB", Volume{"CIDATA", 512, 8 << 30, nil}, "too many"},
		{"odd sectors", Volume{"CIDATA", 520, 4 << 20, nil}, "not possible"},
		{"no sectors", Volume{"CIDATA", 0, 4 << 20, nil}, "not possible"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := Build(c.v); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v; want one with %q", err, c.want)
			}
		})
	}
}

func FuzzBuild(f *testing.F) {
	f.Add("user-data", "#cloud-config\n")
	f.Add("\x00", "")
	f.Fuzz(func(t *testing.T, name, content string) {
		raw, err := Build(Volume{Label: "CIDATA", SectorSize: 512, Bytes: 1 << 20, Files: map[string]string{name: content, "meta-data": "x"}})
		if err == nil && len(raw) != 1<<20 {
			t.Fatalf("got %d bytes; want 1 MiB", len(raw))
		}
	})
}
