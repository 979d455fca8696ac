// Package bootloader makes an unpacked system start: GRUB for a BIOS on the disks, and shim with a signed GRUB on the
// EFI system partitions, so that one disk of a mirror is enough and Secure Boot may be on.
package bootloader

import (
	"cmp"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Place is where /boot is found by a loader that knows nothing but file systems.
type Place struct {
	// UUID is that of the file system with /boot, as blkid(8) writes it.
	UUID string
	// Dir is /boot within that file system: "/boot", "" where /boot is a file system of its own, "/@/boot" in a btrfs
	// subvolume.
	Dir string
}

// early is what GRUB does first, wherever it was loaded from: it looks for /boot and goes on with the config there.
// BIOS and UEFI share that one.
func early(p Place) string {
	return fmt.Sprintf("search.fs_uuid %s root\nset prefix=($root)%s/grub\nconfigfile $prefix/grub.cfg\n", p.UUID, p.Dir)
}

// kernel is a kernel with its initramfs, as names of files in /boot.
type kernel struct {
	Image, Initramfs string // Initramfs is empty where there is none
}

// findKernels returns the kernels of a system, the newest first. boot is its /boot. It knows the names that Debian,
// Fedora, SUSE and Arch give. Without a kernel the error is Invalid.
func findKernels(boot fs.FS) ([]kernel, error) {
	entries, err := fs.ReadDir(boot, ".")
	if err != nil {
		return nil, fmt.Errorf("look for kernels in /boot: %w", err)
	}
	there := map[string]bool{}
	for _, e := range entries {
		if !e.IsDir() && e.Type()&fs.ModeSymlink == 0 {
			there[e.Name()] = true
		}
	}
	type found struct {
		kernel
		release string
	}
	var all []found
	for name := range there {
		for _, prefix := range []string{"vmlinuz-", "vmlinux-", "Image-"} {
			release, ok := strings.CutPrefix(name, prefix)
			if !ok || strings.Contains(release, "rescue") || strings.HasSuffix(release, ".gz") || strings.HasSuffix(release, ".old") {
				continue
			}
			k := found{kernel{Image: name}, release}
			for _, initramfs := range []string{"initrd.img-" + release, "initramfs-" + release + ".img", "initrd-" + release, "initramfs-" + release} {
				if there[initramfs] {
					k.Initramfs = initramfs
					break
				}
			}
			all = append(all, k)
		}
	}
	if len(all) == 0 {
		return nil, metal.Errorf(metal.Invalid, "find the kernel of the root archive: no file is boot/vmlinuz-RELEASE; put a kernel and an initramfs into the archive")
	}
	slices.SortFunc(all, func(a, b found) int {
		return cmp.Or(-compareReleases(a.release, b.release), strings.Compare(a.Image, b.Image))
	})
	kernels := make([]kernel, len(all))
	for i, k := range all {
		kernels[i] = k.kernel
	}
	return kernels, nil
}

// NewestKernel returns the name of the newest kernel of a system, whose /boot is given. Without one the error is Invalid.
func NewestKernel(boot fs.FS) (string, error) {
	kernels, err := findKernels(boot)
	if err != nil {
		return "", err
	}
	return kernels[0].Image, nil
}

// compareReleases compares kernel releases: runs of digits as numbers, all else as text.
func compareReleases(a, b string) int {
	for a != "" && b != "" {
		x, restA := run(a)
		y, restB := run(b)
		var c int
		if isDigit(x[0]) && isDigit(y[0]) {
			x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
			c = cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
		} else {
			c = strings.Compare(x, y)
		}
		if c != 0 {
			return c
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b))
}

// run splits off the first stretch of digits or of other characters.
func run(s string) (first, rest string) {
	i := 1
	for i < len(s) && isDigit(s[i]) == isDigit(s[0]) {
		i++
	}
	return s[:i], s[i:]
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// menu is the grub.cfg of a system that cannot make one itself. Every kernel gets an entry, the newest is started.
func menu(p Place, kernels []kernel, parameters string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "set timeout=1\nset default=0\nsearch --no-floppy --fs-uuid --set=root %s\n", p.UUID)
	for _, k := range kernels {
		fmt.Fprintf(&b, "menuentry \"Linux %s\" {\n\tlinux %s %s\n", k.Image, path.Join("/", p.Dir, k.Image), quote(parameters))
		if k.Initramfs != "" {
			fmt.Fprintf(&b, "\tinitrd %s\n", path.Join("/", p.Dir, k.Initramfs))
		}
		b.WriteString("}\n")
	}
	return b.String()
}

// quote keeps words of a kernel command line words of GRUB's language, which has $, quotes and ; as shells have.
func quote(parameters string) string {
	words := strings.Fields(parameters)
	for i, w := range words {
		if strings.ContainsAny(w, "$;&|<>{}\"'\\#*?`()") {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}
