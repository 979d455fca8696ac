package gpt

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestAnMBRGetsASeedPartitionThatSfdiskAccepts(t *testing.T) {
	const size = 256 << 20
	path := sfdisk(t, 64<<20, "", "label: dos\nstart=2048, size=20480, type=83, bootable\nstart=22528, type=83\n")
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
	block := readHead(t, path)[:512]
	span, err := FitMBR(block, size, 512, true)
	if err != nil {
		t.Fatal(err)
	}
	writeAt(t, path, block, 0)
	out, err := exec.Command("sfdisk", "--verify", path).CombinedOutput()
	if err != nil {
		t.Errorf("sfdisk --verify: %v\n%s", err, out)
	}
	dump, err := exec.Command("sfdisk", "-d", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(strings.Fields(string(dump)), "")
	for _, want := range []string{"start=2048,size=20480,type=83,bootable", "start=22528,size=493568,type=83", "start=516096,size=8192,type=c"} {
		if !strings.Contains(said, want) {
			t.Errorf("sfdisk -d: got %s; want %s in it", dump, want)
		}
	}
	if got, want := span, (Span{516096 * 512, SeedBytes}); got != want {
		t.Errorf("seed: got %v; want %v", got, want)
	}
}

// block makes block 0 with these partitions.
func block(entries ...MBREntry) []byte {
	b := make([]byte, 512)
	b[510], b[511] = 0x55, 0xAA
	for i, e := range entries {
		PutMBR(b, i, e)
	}
	return b
}

func TestFitMBRRefusesWhatDoesNotFit(t *testing.T) {
	p := MBREntry{0x83, 2048, 2048}
	for _, c := range []struct {
		name  string
		block []byte
		size  int64
		seed  bool
		want  string
	}{
		{"no table", make([]byte, 512), 1 << 30, false, "no partition table"},
		{"four primary partitions and a seed", block(p, p, p, p), 1 << 30, true, "none for the seed"},
		{"four primary partitions and no seed", block(p, p, p, p), 1 << 30, false, ""},
		{"no room", block(p), 4 << 20, true, "no room"},
		{"disk too small", block(p), 1 << 20, false, "ends at block"},
		{"disk beyond what 32 bits count", block(p), 16 << 40, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := FitMBR(c.block, c.size, 512, c.seed)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got error %v; want %q", err, c.want)
			}
		})
	}
}

func TestABootSectorOfAFileSystemIsNoTable(t *testing.T) {
	b := block()
	copy(b[mbrTable:], "This is not a bootable disk. Please insert a bootable floppy and press any")
	if _, ok := ParseMBR(b); ok {
		t.Error("text where the table would be was read as one")
	}
}

func TestTheProtectiveEntryCoversTheDisk(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64
		want uint32
	}{
		{"small disk", 1 << 30, 1<<21 - 1},
		{"disk beyond 2 TiB", 4 << 40, 0xFFFFFFFF},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := block(MBREntry{0xEE, 1, 99}, MBREntry{0x0B, 10, 10})
			Protect(b, c.size, 512)
			table, ok := ParseMBR(b)
			if !ok || table[0].Blocks != c.want {
				t.Errorf("got %+v; want %d blocks", table[0], c.want)
			}
			if table[1] != (MBREntry{0x0B, 10, 10}) {
				t.Errorf("hybrid entry: got %+v; want it unchanged", table[1])
			}
		})
	}
}

func FuzzFitMBR(f *testing.F) {
	f.Add(block(MBREntry{0x83, 2048, 2048}), int64(1<<30))
	f.Add([]byte{}, int64(0))
	f.Fuzz(func(t *testing.T, b []byte, size int64) {
		if size < 0 {
			return
		}
		span, err := FitMBR(b, size, 512, true)
		if err == nil && (span.Offset < 512 || span.End() > size) {
			t.Fatalf("seed at %v is outside the disk of %d bytes", span, size)
		}
	})
}
