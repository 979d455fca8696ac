package osimage

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk"
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
	if os.Getuid() != 0 {
		t.Skip("building images needs root")
	}
}

func buildTools(t *testing.T) {
	t.Helper()
	tools(t, "apt-get", "dpkg-deb", "depmod", "modprobe", "sfdisk", "mkfs.ext4", "mkfs.vfat", "mmd", "mcopy", "grub-mkimage",
		"qemu-system-x86_64", "sgdisk", "mtype", "fsck.fat")
}

func cacheDir(t *testing.T) string {
	t.Helper()
	dir, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, "metalform")
}

// deploy writes an image to a sparse disk of that many bytes as the agent does.
func deploy(t *testing.T, image string, diskBytes int64, seed map[string]string) string {
	t.Helper()
	target := filepath.Join(t.TempDir(), "disk.raw")
	f, err := os.Create(target)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(diskBytes); err != nil {
		t.Fatal(err)
	}
	f.Close()
	digest, raw := measure(t, image)
	from := openSource(t, image, digest)
	started := time.Now()
	if _, err := disk.Write(t.Context(), disk.WriteOptions{Path: target, Image: from, Digest: digest, RawBytes: raw, Seed: seed}); err != nil {
		t.Fatal(err)
	}
	t.Logf("written in %v", time.Since(started))
	if out, err := exec.Command("sgdisk", "-v", target).CombinedOutput(); err != nil || !strings.Contains(string(out), "No problems found") {
		t.Fatalf("sgdisk -v: %v\n%s", err, out)
	}
	return target
}

// measure returns digest and size of an image's raw content.
func measure(t *testing.T, image string) (string, int64) {
	t.Helper()
	f, err := os.Open(image)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	sum := sha256.New()
	n, err := io.Copy(sum, z)
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil)), n
}

// machine is a running QEMU.
type machine struct {
	lines chan string
	seen  bytes.Buffer
}

// start boots a disk; it is stopped at the end of the test.
func start(t *testing.T, drive string, uefi bool, extra ...string) *machine {
	t.Helper()
	args := []string{
		"-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "512", "-nodefaults", "-no-user-config", "-display", "none",
		"-serial", "stdio", "-drive", "if=none,id=d0,format=raw,cache=unsafe,file=" + drive, "-device", "virtio-blk-pci,drive=d0,bootindex=1",
	}
	if uefi {
		const code, vars = "/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"
		own := filepath.Join(t.TempDir(), "vars.fd")
		if err := copyFile(vars, own, 0o600); err != nil {
			t.Skipf("OVMF is missing: %v", err)
		}
		args = append(args, "-drive", "if=pflash,format=raw,unit=0,readonly=on,file="+code, "-drive", "if=pflash,format=raw,unit=1,file="+own)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "qemu-system-x86_64", append(args, extra...)...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := &machine{lines: make(chan string, 10000)}
	go func() {
		defer close(m.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			m.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cancel()
		for range m.lines {
		}
		_ = cmd.Wait() // it was killed
	})
	return m
}

// wait returns the next console line with text in it.
func (m *machine) wait(t *testing.T, text string, limit time.Duration) string {
	t.Helper()
	deadline := time.After(limit)
	for {
		select {
		case line, ok := <-m.lines:
			if !ok {
				t.Fatalf("the machine ended before it said %q:\n%s", text, m.seen.String())
			}
			m.seen.WriteString(line + "\n")
			if strings.Contains(line, text) {
				return line
			}
		case <-deadline:
			t.Fatalf("the machine did not say %q within %v:\n%s", text, limit, m.seen.String())
		}
	}
}

func testLog(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(t.Output(), nil)) }
