package gpt

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
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

// sfdisk makes a sparse disk image with a table in sfdisk's own language.
func sfdisk(t *testing.T, bytes int64, sector, script string) string {
	t.Helper()
	tools(t, "sfdisk", "sgdisk")
	path := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, bytes); err != nil {
		t.Fatal(err)
	}
	args := []string{"-q", path}
	if sector != "" {
		args = []string{"-q", "--sector-size", sector, path}
	}
	cmd := exec.Command("sfdisk", args...)
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sfdisk: %v: %s", err, out)
	}
	return path
}

func readHead(t *testing.T, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	head := make([]byte, HeadBytes)
	if _, err := f.ReadAt(head, 0); err != nil {
		t.Fatal(err)
	}
	return head
}

func writeAt(t *testing.T, path string, b []byte, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

const debianLike = "label: gpt\nstart=2048, size=2048, type=21686148-6449-6E6F-744E-656564454649, name=bios\nsize=65536, type=U, name=esp\ntype=L, name=\"Wurzel ä\"\n"

func TestTheTableSfdiskWritesIsReadAndWrittenBackTheSame(t *testing.T) {
	const size = 128 << 20
	path := sfdisk(t, size, "", debianLike)
	head := readHead(t, path)
	table, err := Parse(head, 512)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range table.Entries {
		if table.Entries[i].Used() {
			names = append(names, table.Entries[i].Name())
		}
	}
	if diff := cmp.Diff([]string{"bios", "esp", "Wurzel ä"}, names); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	primary := table.Primary(size)
	if !bytes.Equal(primary, head[512:512+len(primary)]) {
		t.Error("the primary table differs from what sfdisk wrote")
	}
	backup, at := table.Backup(size)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(backup, raw[at:]) {
		t.Error("the backup differs from what sfdisk wrote")
	}
}

func TestAFittedTableIsSoundToTheRealTools(t *testing.T) {
	for _, c := range []struct {
		name  string
		grown int64
		seed  bool
	}{
		{"same size without seed", 128 << 20, false},
		{"larger disk without seed", 1 << 30, false},
		{"larger disk with seed", 1 << 30, true},
		{"odd size with seed", 1<<30 + 512*7, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := sfdisk(t, 128<<20, "", debianLike)
			if err := os.Truncate(path, c.grown); err != nil {
				t.Fatal(err)
			}
			head := readHead(t, path)
			table, err := Parse(head, 512)
			if err != nil {
				t.Fatal(err)
			}
			before := table.Entries[2].Last
			span, err := table.Fit(c.grown, c.seed, GUID{1})
			if err != nil {
				t.Fatal(err)
			}
			Protect(head, c.grown, 512)
			writeAt(t, path, head[:512], 0)
			writeAt(t, path, table.Primary(c.grown), 512)
			backup, at := table.Backup(c.grown)
			writeAt(t, path, backup, at)
			for _, tool := range [][]string{{"sgdisk", "-v", path}, {"sfdisk", "--verify", path}} {
				out, err := exec.Command(tool[0], tool[1:]...).CombinedOutput()
				if err != nil || tool[0] == "sgdisk" && !strings.Contains(string(out), "No problems found") {
					t.Errorf("%s: %v\n%s", tool[0], err, out)
				}
			}
			if c.seed {
				if got, want := span.Bytes, int64(SeedBytes); got != want || span.Offset%(1<<20) != 0 {
					t.Errorf("seed: got %+v; want %d bytes at a whole mebibyte", span, want)
				}
				if got, want := table.Entries[2].Last+1, uint64(span.Offset/512); got != want {
					t.Errorf("block behind the root: got %d; want %d, where the seed begins", got, want)
				}
				if got, want := table.Entries[3].Name(), "cidata"; got != want {
					t.Errorf("name: got %q; want %q", got, want)
				}
			} else if c.grown > 1<<28 && table.Entries[2].Last <= before {
				t.Errorf("the last partition ends at %d; want it grown", table.Entries[2].Last)
			}
		})
	}
}

func TestFitRefusesWhatDoesNotFit(t *testing.T) {
	linux := Entry{Type: GUID{0xAF, 0x3D, 0xC6, 0x0F, 0x83, 0x84, 0x72, 0x47, 0x8E, 0x79, 0x3D, 0x69, 0xD8, 0x47, 0x7D, 0xE4}, First: 2048, Last: 40959}
	swap := Entry{Type: GUID{9}, First: 40960, Last: 43007}
	full := make([]Entry, 128)
	for i := range full {
		full[i] = Entry{Type: GUID{9}, First: uint64(2048 + i), Last: uint64(2048 + i)}
	}
	for _, c := range []struct {
		name    string
		entries []Entry
		size    int64
		seed    bool
		want    string // part of the error; empty: none
		last    uint64 // of the first entry afterwards
	}{
		{"a root alone grows", []Entry{linux, {}}, 64 << 20, false, "", 128*1024 - 2048 - 1},
		{"a root that is not the last stays", []Entry{linux, swap, {}}, 64 << 20, true, "", 40959},
		{"there is no room for the seed", []Entry{linux, {}}, 24 << 20, true, "no room for a seed", 0},
		{"the disk ends inside the partition", []Entry{linux, {}}, 16 << 20, false, "ends at block 40959", 0},
		{"every slot is taken", full, 64 << 20, true, "slots are all taken", 0},
		{"a table of few slots gets one more", []Entry{linux}, 64 << 20, true, "", 128*1024 - 2048 - 8192 - 1},
		{"the disk is tiny", []Entry{linux}, 4096, true, "too small", 0},
		{"a partition overlaps the table", []Entry{{Type: GUID{9}, First: 6, Last: 10}}, 64 << 20, true, "inside the partition table", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := Table{SectorSize: 512, FirstUsable: 34, Entries: append([]Entry(nil), c.entries...)}
			_, err := table.Fit(c.size, c.seed, GUID{1})
			switch {
			case c.want == "" && err != nil:
				t.Fatal(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Fatalf("got error %v; want one with %q", err, c.want)
			case c.want == "" && table.Entries[0].Last != c.last:
				t.Errorf("first partition's last block: got %d; want %d", table.Entries[0].Last, c.last)
			}
		})
	}
}

func TestGUIDsAreWrittenAsToolsWriteThem(t *testing.T) {
	if got, want := MicrosoftBasic().String(), "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7"; got != want {
		t.Errorf("got %s; want %s", got, want)
	}
}

func TestDamagedTablesAreToldFromMissingOnes(t *testing.T) {
	head := make([]byte, HeadBytes)
	if _, err := Parse(head, 512); !errors.Is(err, ErrNone) {
		t.Errorf("empty disk: got %v; want ErrNone", err)
	}
	table := Table{SectorSize: 512, FirstUsable: 34, LastUsable: 1000, Entries: make([]Entry, 128)}
	copy(head[512:], table.Primary(1<<20))
	if _, err := Parse(head, 512); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{512 + 40, 1024 + 5} {
		broken := append([]byte(nil), head...)
		broken[at] ^= 1
		if _, err := Parse(broken, 512); err == nil || errors.Is(err, ErrNone) {
			t.Errorf("bit flipped at %d: got %v; want an error about a checksum", at, err)
		}
	}
	if _, err := Parse(head[:2000], 512); err == nil || errors.Is(err, ErrNone) {
		t.Errorf("entries cut off: got %v; want an error", err)
	}
}

func FuzzParse(f *testing.F) {
	table := Table{SectorSize: 512, FirstUsable: 34, LastUsable: 2000, Entries: make([]Entry, 128)}
	table.Entries[0] = Entry{Type: MicrosoftBasic(), First: 40, Last: 80}
	f.Add(append(make([]byte, 512), table.Primary(1<<20)...))
	f.Add([]byte("EFI PART"))
	f.Fuzz(func(t *testing.T, head []byte) {
		for _, sector := range []int{512, 4096} {
			table, err := Parse(head, sector)
			if err != nil {
				continue
			}
			if _, err := table.Fit(1<<40, true, GUID{1}); err != nil {
				continue
			}
			disk := append(make([]byte, sector), table.Primary(1<<40)...)
			again, err := Parse(disk, sector)
			if err != nil {
				t.Fatalf("what was written cannot be read: %v", err)
			}
			if !bytes.Equal(again.Primary(1<<40), table.Primary(1<<40)) {
				t.Fatal("what was read back differs from what was written")
			}
		}
	})
}
