package bootenv

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// TestTheToolsHaveWhatAnInstallationRuns builds the archive from Debian's packages.
func TestTheToolsHaveWhatAnInstallationRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("fetches packages")
	}
	needTool(t, "apt-get")
	cache := filepath.Join("..", "..", "..", ".cache", "tools-amd64")
	if err := os.MkdirAll(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	deb, err := FetchKernel(t.Context(), metal.AMD64, Cloud, cache)
	if err != nil {
		t.Fatal(err)
	}
	out := t.TempDir()
	if err := BuildTools(t.Context(), ToolsOptions{Arch: metal.AMD64, KernelDeb: deb, OutDir: out, CacheDir: cache}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(out, ToolsFile))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || info.Size() > 100<<20 {
		t.Errorf("the archive has %d bytes, %v; want at most 100 MiB", info.Size(), err)
	}
	plain, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	missing := map[string]bool{}
	for _, name := range []string{
		"usr/sbin/mkfs.ext4", "usr/sbin/mkfs.xfs", "usr/sbin/mkfs.btrfs", "usr/sbin/mkfs.fat", "usr/sbin/mkswap", "usr/sbin/mdadm",
		"usr/sbin/lvm", "usr/sbin/cryptsetup", "usr/bin/systemd-cryptenroll", "usr/bin/unsquashfs", "usr/bin/grub-mkimage",
		"usr/bin/efibootmgr", "usr/sbin/wipefs", "usr/lib/grub/i386-pc/boot.img", "usr/lib/shim/shimx64.efi.signed",
		"usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed", "usr/lib64/ld-linux-x86-64.so.2", "modules.dep", "raid1.ko", "dm-crypt.ko",
	} {
		missing[name] = true
	}
	size := int64(0)
	for files := tar.NewReader(plain); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		size += h.Size
		delete(missing, h.Name)
		delete(missing, filepath.Base(h.Name))
		if h.Uid != 0 || strings.HasPrefix(h.Name, "/") || strings.Contains(h.Name, "..") {
			t.Errorf("entry %s of user %d: want a plain name, and all of it root's", h.Name, h.Uid)
		}
	}
	if len(missing) > 0 {
		t.Errorf("the archive lacks %v", missing)
	}
	if size > 400<<20 {
		t.Errorf("unpacked it takes %d bytes; want less than 400 MiB of a machine's memory", size)
	}
	t.Logf("%d MiB unpacked", size>>20)
}
