package disk

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/bootcfg"
)

// kexecNoInitramfs is KEXEC_FILE_NO_INITRAMFS of linux/kexec.h.
const kexecNoInitramfs = 0x4

// KexecFromDisk starts the kernel of the system installed on a disk without going through the firmware. It mounts the
// disk's partitions read-only, one after the other, until one has a boot configuration or a kernel, loads that kernel,
// unmounts, and jumps. extraParams are added to the kernel's command line. It returns only when that did not work.
func KexecFromDisk(ctx context.Context, devPath, extraParams string) error {
	var seen []error
	for _, part := range partitionPaths(devPath) {
		if err := ctx.Err(); err != nil {
			return metal.Errorf(metal.Conflict, "start the system on disk %s: called off: %w", devPath, err)
		}
		err := loadFrom(part, extraParams)
		if err == nil {
			unix.Sync()
			if err := unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC); err != nil {
				return metal.Errorf(metal.Internal, "start the kernel loaded from disk %s: %w; use a reboot instead", devPath, err)
			}
			return nil
		}
		if !errors.Is(err, bootcfg.ErrNone) && !errors.Is(err, errNoFilesystem) {
			return metal.Errorf(metal.Internal, "load the kernel from %s: %w; use a reboot instead", part, err)
		}
		seen = append(seen, err)
	}
	return metal.Errorf(metal.Invalid, "start the system on disk %s: none of its %d partitions has a kernel that could be found; use a reboot instead", devPath, len(seen))
}

// errNoFilesystem says that a partition could not be mounted as any kind that is tried.
var errNoFilesystem = errors.New("no ext4, xfs or btrfs file system")

// partitionPaths returns the disk's partitions as the kernel numbers them, and the disk itself last.
func partitionPaths(devPath string) []string {
	prefix := devPath
	if strings.TrimRight(devPath, "0123456789") != devPath {
		prefix += "p" // nvme0n1p2: a number would run into the disk's own
	}
	found, err := filepath.Glob(prefix + "*")
	if err != nil {
		return []string{devPath}
	}
	var parts []string
	for _, f := range found {
		if rest := strings.TrimPrefix(f, prefix); rest != "" && strings.Trim(rest, "0123456789") == "" {
			parts = append(parts, f)
		}
	}
	slices.SortFunc(parts, bootcfg.CompareVersions)
	return append(parts, devPath)
}

// loadFrom mounts a partition, loads what it would start, and unmounts it again.
func loadFrom(part, extraParams string) (err error) {
	// A RAM environment may not have a directory for temporary files yet.
	if err := os.MkdirAll(os.TempDir(), 0o777); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "metal-root-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(dir)) }()
	if err := mountReadOnly(part, dir); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Unmount(dir, 0)) }()
	// A root keeps absolute links of the installed system from leading out of it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	entry, err := bootcfg.Find(root.FS())
	if err != nil {
		return err
	}
	return load(root.FS(), entry, extraParams)
}

func mountReadOnly(part, dir string) error {
	for _, kind := range []string{"ext4", "xfs", "btrfs"} {
		err := unix.Mount(part, dir, kind, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
		if err == nil {
			return nil
		}
	}
	return errNoFilesystem
}

// load hands kernel and initramfs to the running kernel.
func load(fsys fs.FS, entry bootcfg.Entry, extraParams string) error {
	kernel, err := inMemory(fsys, entry.Kernel)
	if err != nil {
		return err
	}
	defer kernel.Close()
	args := strings.TrimSpace(entry.Args + " " + extraParams)
	if len(entry.Initrds) == 0 {
		return unix.KexecFileLoad(int(kernel.Fd()), 0, args, kexecNoInitramfs)
	}
	initrd, err := inMemory(fsys, entry.Initrds...)
	if err != nil {
		return err
	}
	defer initrd.Close()
	return unix.KexecFileLoad(int(kernel.Fd()), int(initrd.Fd()), args, 0)
}

// LoadSystem loads a kernel of fsys with the initramfs that pack writes, both of which it keeps in memory, to be started
// by kexec. What pack reads from fsys may be gone afterwards.
func LoadSystem(fsys fs.FS, kernel, args string, pack func(io.Writer) error) error {
	image, err := inMemory(fsys, kernel)
	if err != nil {
		return err
	}
	defer image.Close()
	initramfs, err := memoryFile()
	if err != nil {
		return err
	}
	defer initramfs.Close()
	buffered := bufio.NewWriterSize(initramfs, 1<<20)
	if err := errors.Join(pack(buffered), buffered.Flush()); err != nil {
		return err
	}
	return unix.KexecFileLoad(int(image.Fd()), int(initramfs.Fd()), args, 0)
}

// inMemory copies files, one behind the other as a boot loader does with several initramfs, to a file that does not
// need the disk any more. A kernel that is gzip as a whole, as on arm64, is unpacked: the kernel does not do that.
func inMemory(fsys fs.FS, names ...string) (*os.File, error) {
	out, err := memoryFile()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if err := copyInto(out, fsys, name); err != nil {
			out.Close()
			return nil, err
		}
	}
	return out, nil
}

func memoryFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("metal-kexec", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "kexec"), nil
}

func copyInto(out io.Writer, fsys fs.FS, name string) error {
	f, err := fsys.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	if strings.HasPrefix(filepath.Base(name), "vmlinu") {
		if z, err := gzip.NewReader(f); err == nil {
			_, err := io.Copy(out, z)
			return errors.Join(err, z.Close())
		}
		if s, ok := f.(io.Seeker); ok {
			if _, err := s.Seek(0, io.SeekStart); err != nil {
				return err
			}
		}
	}
	_, err = io.Copy(out, f)
	return err
}
