package storage

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/disk/gpt"
)

// awaitFor is how long a device may take to appear. The kernel makes the files of devices before the call that made
// the devices returns, so that this is for slow hardware only.
const awaitFor = 30 * time.Second

// Real is the kernel that the agent runs on.
type Real struct{}

// Wipe is the quick erase of a release.
func (Real) Wipe(ctx context.Context, d metal.Disk) error {
	_, err := disk.Erase(ctx, d, "/dev/"+d.Name, metal.EraseQuick, func(float64) {})
	return err
}

// Await polls for a device file.
func (Real) Await(ctx context.Context, device string) error {
	for end := time.Now().Add(awaitFor); ; {
		info, err := os.Stat(device)
		if err == nil && info.Mode()&os.ModeDevice != 0 {
			return nil
		}
		if time.Now().After(end) {
			return metal.Errorf(metal.Internal, "device %s did not appear within %s", device, awaitFor)
		}
		select {
		case <-ctx.Done():
			return metal.Errorf(metal.Conflict, "wait for device %s: called off: %w", device, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Partition writes both copies of the table, and has the kernel look at it.
func (r Real) Partition(ctx context.Context, device string, parts []metal.PlannedPartition) error {
	f, err := os.OpenFile(device, os.O_RDWR|os.O_EXCL|os.O_SYNC, 0)
	if err != nil {
		return fmt.Errorf("open the disk: %w", err)
	}
	err = writeTable(f, parts)
	if err == nil {
		// A program that looked at the disk just now may still have it open.
		for end := time.Now().Add(awaitFor); ; time.Sleep(50 * time.Millisecond) {
			if err = unix.IoctlSetInt(int(f.Fd()), unix.BLKRRPART, 0); !errors.Is(err, unix.EBUSY) || time.Now().After(end) {
				break
			}
		}
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the partition table of %s: %w", device, err)
	}
	for _, p := range parts {
		if err := r.Await(ctx, partition(device, p.Number)); err != nil {
			return err
		}
	}
	return nil
}

// writeTable writes the copy at the end first: until the one at the start is there, the disk shows what it did.
func writeTable(f *os.File, parts []metal.PlannedPartition) error {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	sector, err := unix.IoctlGetInt(int(f.Fd()), unix.BLKSSZGET)
	if err != nil {
		return fmt.Errorf("read its block size: %w", err)
	}
	head := make([]byte, min(gpt.HeadBytes, size))
	if _, err := f.ReadAt(head, 0); err != nil {
		return err
	}
	t, err := table(parts, head, size, sector)
	if err != nil {
		return err
	}
	raw, at := t.Backup(size)
	if _, err := f.WriteAt(raw, at); err != nil {
		return err
	}
	// Block 0 loses its boot code: until the boot loader comes, last of all, the disk does not boot.
	first := make([]byte, sector)
	gpt.PutMBR(first, 0, gpt.MBREntry{System: 0xEE, First: 1, Blocks: 1})
	first[510], first[511] = 0x55, 0xAA
	gpt.Protect(first, size, sector)
	_, err = f.WriteAt(append(first, t.Primary(size)...), 0)
	return err
}

// Mount mounts a device. Options are those of fstab(5): flags that the kernel has as flags, all others go to the file
// system.
func (Real) Mount(device, dir, kind string, options []string) error {
	flags, data := mountFlags(options)
	return unix.Mount(device, dir, kind, flags, data)
}

// mountFlags parts options into flags and text. What only mount(8) understands is left out.
func mountFlags(options []string) (flags uintptr, data string) {
	known := map[string]uintptr{
		"noatime": unix.MS_NOATIME, "relatime": unix.MS_RELATIME, "nodiratime": unix.MS_NODIRATIME,
		"lazytime": unix.MS_LAZYTIME, "sync": unix.MS_SYNCHRONOUS, "dirsync": unix.MS_DIRSYNC,
		// Not before the system runs: an installation writes, runs programs and makes devices.
		"ro": 0, "nosuid": 0, "nodev": 0, "noexec": 0, "defaults": 0, "rw": 0, "auto": 0, "noauto": 0, "nofail": 0, "user": 0, "users": 0, "_netdev": 0,
		"suid": 0, "dev": 0, "exec": 0, "async": 0, "atime": 0,
	}
	var rest []string
	for _, o := range options {
		if flag, ok := known[o]; ok {
			flags |= flag
			continue
		}
		if !strings.HasPrefix(o, "x-") && !strings.HasPrefix(o, "errors=") && o != "" {
			rest = append(rest, o)
		}
	}
	return flags, strings.Join(rest, ",")
}

// Unmount unmounts what is in a place, if anything is.
func (Real) Unmount(dir string) error {
	err := unix.Unmount(dir, 0)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) { // nothing is mounted there
		return nil
	}
	return err
}
