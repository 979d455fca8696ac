package disk

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/image/chunk"
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

// stored is an image as a server has it.
type stored struct {
	table  chunk.Table
	frames []byte
	// read, if it is set, reads instead.
	read func(ctx context.Context, p []byte, offset int64) error
}

func (s *stored) Chunks(context.Context) (chunk.Table, error) { return s.table, nil }

func (s *stored) Read(ctx context.Context, p []byte, offset int64) error {
	if s.read != nil {
		return s.read(ctx, p, offset)
	}
	copy(p, s.frames[offset:])
	return nil
}

// pack stores an image as the server does.
func pack(t *testing.T, raw []byte) *stored {
	t.Helper()
	z, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	s := &stored{table: chunk.Table{Digest: sha256.Sum256(raw)}}
	for part := range slices.Chunk(raw, chunk.Bytes) {
		frame := z.EncodeAll(part, nil)
		s.frames = append(s.frames, frame...)
		s.table.Add(len(part), len(frame), sha256.Sum256(frame), isZero(part))
	}
	return s
}

func options(t *testing.T, path string, raw []byte, seed map[string]string) WriteOptions {
	image := pack(t, raw)
	return WriteOptions{
		Path: path, Image: image, Digest: hex.EncodeToString(image.table.Digest[:]), RawBytes: int64(len(raw)), Seed: seed,
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
		{"another image's digest", "gpt", 16 << 20, func(o *WriteOptions) { o.Digest = strings.Repeat("0", 64) }, "the image has 16777216 bytes with digest 0000"},
		{"another size than was told", "gpt", 16 << 20, func(o *WriteOptions) { o.RawBytes -= 512 }, "the server has content of 16777216 bytes"},
		{"a first chunk that is not zstd", "gpt", 16 << 20, func(o *WriteOptions) { forge(o, 0, []byte("hello, this is not zstd")) }, "unpack chunk 1 of 4: "},
		{"a first chunk of another size", "gpt", 16 << 20, func(o *WriteOptions) {
			forge(o, 0, o.Image.(*stored).frames[o.Image.(*stored).table.Chunks[2].Stored:][:o.Image.(*stored).table.Chunks[2].StoredBytes/2])
		}, "unpack chunk 1 of 4: "},
		{"an image that the server does not have", "gpt", 16 << 20, func(o *WriteOptions) { o.Image = nothing{} }, "no such image"},
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

// nothing is an image that is not there.
type nothing struct{}

func (nothing) Chunks(context.Context) (chunk.Table, error) {
	return chunk.Table{}, metal.Errorf(metal.NotFound, "no such image")
}

func (nothing) Read(context.Context, []byte, int64) error { return nil }

// forge makes a chunk unpack to something else, with a sum that is right.
func forge(o *WriteOptions, i int, frame []byte) {
	s := o.Image.(*stored)
	c := &s.table.Chunks[i]
	s.frames = append(s.frames, frame...)
	c.Stored, c.StoredBytes, c.Sum = int64(len(s.frames)-len(frame)), len(frame), sha256.Sum256(frame)
}

// spoil damages what is read of a chunk, as often as is said.
func spoil(o *WriteOptions, i, times int) {
	s := o.Image.(*stored)
	at := s.table.Chunks[i].Stored
	var mu sync.Mutex
	s.read = func(_ context.Context, p []byte, offset int64) error {
		copy(p, s.frames[offset:])
		mu.Lock()
		defer mu.Unlock()
		if offset == at && times > 0 {
			times--
			p[len(p)/2] ^= 1
		}
		return nil
	}
}

func TestAFailureLeavesADiskThatDoesNotBoot(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(o *WriteOptions)
		want   string
	}{
		{"a chunk that is damaged on the server", func(o *WriteOptions) { spoil(o, 2, tries) }, "chunk 3 of 4 (bytes 8388608 to 12582911 of the image) came damaged 4 times"},
		{"a chunk that does not unpack", func(o *WriteOptions) { forge(o, 3, []byte("this is not zstd")) }, "unpack chunk 4 of 4: "},
		{"a chunk that unpacks to more than a chunk", func(o *WriteOptions) { forge(o, 2, bomb(t)) }, "unpack chunk 3 of 4: "},
		{"an image that is removed meanwhile", func(o *WriteOptions) {
			s := o.Image.(*stored)
			s.read = func(_ context.Context, p []byte, offset int64) error {
				if copy(p, s.frames[offset:]); offset > 0 {
					return errors.New("no such image")
				}
				return nil
			}
		}, "no such image"},
	} {
		t.Run(c.name, func(t *testing.T) {
			disks(t, 16<<20, func(t *testing.T, path string) {
				raw := testImage(t, "gpt", 16<<20)
				patch(t, path, raw, 0) // an earlier system that would boot
				o := options(t, path, raw, nil)
				c.change(&o)
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

// bomb is a frame that unpacks to 64 MiB.
func bomb(t *testing.T) []byte {
	t.Helper()
	return pack(t, make([]byte, 64<<20)).frames
}

func TestAChunkThatComesDamagedIsAskedForAgain(t *testing.T) {
	for _, i := range []int{0, 2} {
		path := plainDisk(t, 32<<20)
		raw := testImage(t, "", 16<<20)
		o := options(t, path, raw, nil)
		spoil(&o, i, tries-1)
		if _, err := Write(t.Context(), o); err != nil {
			t.Fatalf("chunk %d: %v", i, err)
		}
		if !bytes.Equal(peek(t, path, 0, len(raw)), raw) {
			t.Errorf("chunk %d: the content on the disk differs from the image", i)
		}
	}
}

func TestZeroChunksAreNotReadFromTheServer(t *testing.T) {
	disks(t, 64<<20, func(t *testing.T, path string) {
		fill(t, path, 40<<20) // what an earlier owner left
		raw := make([]byte, 10*chunk.Bytes)
		copy(raw, "boot code")
		copy(raw[9*chunk.Bytes:], noise(5000))
		o := options(t, path, raw, nil)
		s := o.Image.(*stored)
		var mu sync.Mutex
		var read []int64
		s.read = func(_ context.Context, p []byte, offset int64) error {
			mu.Lock()
			defer mu.Unlock()
			read = append(read, offset)
			copy(p, s.frames[offset:])
			return nil
		}
		if _, err := Write(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if want := []int64{0, s.table.Chunks[9].Stored}; !slices.Equal(read, want) {
			t.Errorf("got reads at %v; want %v", read, want)
		}
		if !bytes.Equal(peek(t, path, 0, len(raw)), raw) {
			t.Error("the content on the disk differs from the image")
		}
	})
}

func TestWriteIsCalledOffWhileTheServerIsAway(t *testing.T) {
	path := plainDisk(t, 64<<20)
	raw := append(testImage(t, "gpt", 32<<20), noise(16<<20)...)
	o := options(t, path, raw, nil)
	ctx, cancel := context.WithCancel(t.Context())
	s := o.Image.(*stored)
	s.read = func(ctx context.Context, p []byte, offset int64) error {
		if offset > 0 {
			cancel()
			<-ctx.Done() // the server never comes back
			return ctx.Err()
		}
		copy(p, s.frames[offset:])
		return nil
	}
	if _, err := Write(ctx, o); !errors.Is(err, context.Canceled) || metal.CodeOf(err) != metal.Conflict {
		t.Errorf("got %v; want it called off", err)
	}
	if !isZero(peek(t, path, 0, 1<<20)) {
		t.Error("boot code or a partition table is left")
	}
}

func TestADiskThatFailsInTheMiddleIsNamed(t *testing.T) {
	path := failing(t, 64<<20, 24<<20)
	_, err := Write(t.Context(), options(t, path, noise(40<<20), nil))
	if err == nil || !strings.Contains(err.Error(), " of disk "+path) || !strings.Contains(err.Error(), "at offset ") || !errors.Is(err, unix.ENOSPC) {
		t.Errorf("got %v; want ENOSPC with disk %s and an offset", err, path)
	}
	if !isZero(peek(t, path, 0, 1<<20)) {
		t.Error("boot code or a partition table is left")
	}
}

// failing stands in for a disk that answers with an error from some place on: a file that has room for good bytes only.
func failing(t *testing.T, bytes, good int64) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", good)); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("cannot mount a small disk: %v", err)
		}
		t.Skipf("cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	file := filepath.Join(dir, "disk")
	if err := errors.Join(os.WriteFile(file, nil, 0o600), os.Truncate(file, bytes)); err != nil {
		t.Fatal(err)
	}
	return file
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
