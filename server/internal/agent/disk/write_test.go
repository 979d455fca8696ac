package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// testImage is an image that sfdisk partitioned, with data, zeros and odd pieces in between.
func testImage(t *testing.T, label string, bytes int64) []byte {
	t.Helper()
	tools(t, "sfdisk", "sgdisk", "mtype", "fsck.fat")
	path := plainDisk(t, bytes)
	if label != "" {
		cmd := exec.Command("sfdisk", "-q", path)
		cmd.Stdin = strings.NewReader("label: " + label + "\nstart=2048, type=L\n")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("sfdisk: %v: %s", err, out)
		}
	}
	patch(t, path, []byte("boot code"), 0)
	patch(t, path, noise(300_000), 2<<20)
	patch(t, path, noise(1_000_001), 9<<20)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func pack(t *testing.T, raw []byte) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	return z.EncodeAll(raw, nil)
}

func options(t *testing.T, path string, raw []byte, seed map[string]string) WriteOptions {
	sum := sha256.Sum256(raw)
	packed := pack(t, raw)
	return WriteOptions{
		Path: path, Stream: bytes.NewReader(packed), Digest: hex.EncodeToString(sum[:]), RawBytes: int64(len(raw)),
		StoredBytes: int64(len(packed)), Seed: seed,
	}
}

func TestAnImageIsWrittenWithTableAndSeed(t *testing.T) {
	const size = 48<<20 + 4096
	for _, label := range []string{"gpt", "dos"} {
		t.Run(label, func(t *testing.T) {
			disks(t, size, func(t *testing.T, path string) {
				raw := testImage(t, label, 16<<20)
				fill(t, path, 24<<20) // what an earlier owner left
				seed := map[string]string{"meta-data": "local-hostname: n1\n", "user-data": "#cloud-config\n"}
				o := options(t, path, raw, seed)
				var last float64
				o.Progress = func(f float64) { last = f }
				zeros, err := Write(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if last != 1 {
					t.Errorf("last progress: got %v; want 1", last)
				}
				if blank := strings.HasPrefix(path, "/dev/"); blank != (zeros > 8<<20) {
					t.Errorf("got %d bytes left out as zero on %s", zeros, path)
				}
				// The first block and the table change, and what was the image's backup table.
				from, to := 1<<20, 16<<20-33*512
				if !bytes.Equal(peek(t, path, int64(from), to-from), raw[from:to]) {
					t.Error("the content on the disk differs from the image")
				}
				if got := string(peek(t, path, 0, 9)); got != "boot code" {
					t.Errorf("boot code: got %q", got)
				}
				verifyTable(t, path, label)
				verifySeed(t, path, seed, size)
			})
		})
	}
}

func verifyTable(t *testing.T, path, label string) {
	t.Helper()
	if out, err := exec.Command("sfdisk", "--verify", path).CombinedOutput(); err != nil {
		t.Errorf("sfdisk --verify: %v\n%s", err, out)
	}
	if label != "gpt" {
		return
	}
	out, err := exec.Command("sgdisk", "-v", path).CombinedOutput()
	if err != nil || !strings.Contains(string(out), "No problems found") {
		t.Errorf("sgdisk -v: %v\n%s", err, out)
	}
}

// verifySeed reads the seed with mtools: it is in the last whole mebibytes before the backup table.
func verifySeed(t *testing.T, path string, seed map[string]string, diskBytes int64) {
	t.Helper()
	volume := plainDisk(t, 4<<20)
	for at := diskBytes>>20<<20 - 4<<20; ; at -= 1 << 20 {
		if at < diskBytes-8<<20 {
			t.Fatal("no seed volume at the disk's end")
		}
		if b := peek(t, path, at, 512); string(b[43:49]) == "CIDATA" {
			patch(t, volume, peek(t, path, at, 4<<20), 0)
			break
		}
	}
	if out, err := exec.Command("fsck.fat", "-n", volume).CombinedOutput(); err != nil {
		t.Errorf("fsck.fat: %v\n%s", err, out)
	}
	for name, want := range seed {
		if got, err := exec.Command("mtype", "-i", volume, "::"+name).Output(); err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v; want %q", name, got, err, want)
		}
	}
}

func TestAnImageWithoutATableIsWrittenAsItIs(t *testing.T) {
	disks(t, 64<<20, func(t *testing.T, path string) {
		raw := testImage(t, "", 16<<20)
		raw = raw[:len(raw)-1000] // not a whole number of blocks
		if _, err := Write(t.Context(), options(t, path, raw, nil)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(peek(t, path, 0, len(raw)), raw) {
			t.Error("the content on the disk differs from the image")
		}
	})
}

func TestAnImageOfTheDisksOwnSizeKeepsItsBackupTable(t *testing.T) {
	path := plainDisk(t, 32<<20)
	raw := testImage(t, "gpt", 32<<20)
	if _, err := Write(t.Context(), options(t, path, raw, nil)); err != nil {
		t.Fatal(err)
	}
	verifyTable(t, path, "gpt")
}

func TestWhatIsRefusedLeavesTheDiskAlone(t *testing.T) {
	seed := map[string]string{"user-data": "x"}
	for _, c := range []struct {
		name   string
		label  string
		image  int64
		change func(*WriteOptions)
		want   string
	}{
		{"larger than the disk", "", 64 << 20, func(*WriteOptions) {}, "64.0 MiB (67108864 bytes), the disk has 32.0 MiB"},
		{"no size", "", 1 << 20, func(o *WriteOptions) { o.RawBytes = 0 }, "needs 0 bytes"},
		{"no table but a seed", "", 16 << 20, func(o *WriteOptions) { o.Seed = seed }, "no partition table"},
		{"no room for the seed", "gpt", 32 << 20, func(o *WriteOptions) { o.Seed = seed }, "no room for a seed"},
		{"seed too large", "gpt", 16 << 20, func(o *WriteOptions) { o.Seed = map[string]string{"a": strings.Repeat("x", 5<<20)} }, "is full"},
		{"not zstd", "gpt", 16 << 20, func(o *WriteOptions) { o.Stream = strings.NewReader("hello, world, this is not zstd") }, "magic"},
		{"empty stream", "gpt", 16 << 20, func(o *WriteOptions) { o.Stream = strings.NewReader("") }, "ended after 0 of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := plainDisk(t, 32<<20)
			fill(t, path, 1<<20)
			o := options(t, path, testImage(t, c.label, c.image), nil)
			c.change(&o)
			_, err := Write(t.Context(), o)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got error %v; want one with %q", err, c.want)
			}
			if !bytes.Equal(peek(t, path, 0, 1<<20), noise(1<<20)) {
				t.Error("the disk was written to")
			}
		})
	}
}

func TestAnImageOfOtherBlocksIsRefused(t *testing.T) {
	head := testImage(t, "gpt", 16<<20)[:1<<20]
	_, err := planLayout(head, 1<<30, 4096, WriteOptions{Path: "/dev/x"})
	if err == nil || !strings.Contains(err.Error(), "made for blocks of 512 bytes, the disk has blocks of 4096") {
		t.Errorf("got error %v; want one that names both block sizes", err)
	}
}

func TestAFailureLeavesADiskThatDoesNotBoot(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(o *WriteOptions, packed []byte)
		want   string
	}{
		{"wrong digest", func(o *WriteOptions, _ []byte) { o.Digest = strings.Repeat("0", 64) }, "digest"},
		{"truncated stream", func(o *WriteOptions, p []byte) { o.Stream = bytes.NewReader(p[:len(p)-3000]) }, "ended after"},
		{"connection breaks", func(o *WriteOptions, p []byte) {
			o.Stream = io.MultiReader(bytes.NewReader(p[:len(p)-3000]), broken{})
		}, "cable pulled"},
		{"more than was told", func(o *WriteOptions, _ []byte) { o.RawBytes -= 512 }, "goes on beyond"},
	} {
		t.Run(c.name, func(t *testing.T) {
			disks(t, 16<<20, func(t *testing.T, path string) {
				raw := testImage(t, "gpt", 16<<20)
				patch(t, path, raw, 0) // an earlier system that would boot
				o := options(t, path, raw, nil)
				c.change(&o, pack(t, raw))
				if _, err := Write(t.Context(), o); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got error %v; want one with %q", err, c.want)
				}
				if !isZero(peek(t, path, 0, 1<<20)) || !isZero(peek(t, path, 15<<20, 1<<20)) {
					t.Error("boot code or a partition table is left")
				}
			})
		})
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("cable pulled") }

func TestWriteIsCalledOffWhileTheStreamWaits(t *testing.T) {
	path := plainDisk(t, 64<<20)
	raw := testImage(t, "gpt", 32<<20)
	o := options(t, path, raw, nil)
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	o.Stream = r
	packed := pack(t, raw)
	go func() {
		_, _ = w.Write(packed[:len(packed)/2]) // the rest never comes; the reader is closed
	}()
	o.Progress = func(float64) { cancel() }
	if _, err := Write(ctx, o); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v; want it called off", err)
	}
	if !isZero(peek(t, path, 0, 1<<20)) {
		t.Error("boot code or a partition table is left")
	}
}

func TestRunsOfZeros(t *testing.T) {
	data := make([]byte, 4*skipBytes+100)
	data[2*skipBytes+5] = 1
	var got []int
	for rest := data; len(rest) > 0; {
		n, zero := run(rest)
		if zero {
			got = append(got, -n)
		} else {
			got = append(got, n)
		}
		rest = rest[n:]
	}
	want := []int{-2 * skipBytes, skipBytes, -skipBytes - 100}
	if len(got) != 3 || got[0] != want[0] || got[1] != want[1] || got[2] != want[2] {
		t.Errorf("got %v; want %v", got, want)
	}
}
