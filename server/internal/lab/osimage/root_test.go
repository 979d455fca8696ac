package osimage

import (
	"archive/tar"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func TestTheRootArchiveHasWhatStartsFromAnyLayout(t *testing.T) {
	if os.Getenv("METAL_NIGHTLY") == "" {
		t.Skip("builds a system, which takes minutes: METAL_NIGHTLY=1 runs it, and so does make nightly")
	}
	tools(t, "mmdebstrap", "apt-get")
	cache := os.Getenv("METAL_CACHE") // where the tests that boot it look too
	if cache == "" {
		cache = cacheDir(t)
	}
	out := filepath.Join(t.TempDir(), "root.tar.zst")
	if err := BuildRoot(t.Context(), Options{Out: out, CacheDir: cache, Log: testLog(t)}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(out)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := zstd.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	missing := map[string]bool{
		"./usr/sbin/update-grub": true, "./usr/sbin/update-initramfs": true, "./sbin/lvm": true, "./sbin/mdadm": true, "./sbin/cryptsetup": true,
		"./etc/systemd/system/multi-user.target.wants/say-ready.service": true,
	}
	kernels := 0
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		delete(missing, h.Name)
		delete(missing, "./"+filepath.Join("sbin", filepath.Base(h.Name)))
		if ok, _ := filepath.Match("./boot/vmlinuz-*", h.Name); ok {
			kernels++
		}
	}
	if len(missing) > 0 || kernels != 1 {
		t.Errorf("the archive lacks %v, and has %d kernels; want nothing missing and one kernel", missing, kernels)
	}
}
