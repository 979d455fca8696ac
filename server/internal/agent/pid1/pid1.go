// Package pid1 is what the first process of the RAM environment owes the kernel and the machine: mounts, a console,
// reaped orphans, and a way out when all else fails.
package pid1

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// afterPanic is how many seconds the kernel waits before it restarts the machine when the agent dies: long enough to
// read the console.
const afterPanic = 60

// Mount mounts what every program expects. What is mounted already is left alone.
func Mount() error {
	mounts := []struct {
		kind, dir string
		flags     uintptr
		data      string
	}{
		{"proc", "/proc", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"sysfs", "/sys", unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC, ""},
		{"devtmpfs", "/dev", unix.MS_NOSUID, "mode=0755"},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=0755"},
	}
	var errs []error
	for _, m := range mounts {
		if err := os.MkdirAll(m.dir, 0o755); err != nil {
			errs = append(errs, err)
			continue
		}
		if err := unix.Mount(m.kind, m.dir, m.kind, m.flags, m.data); err != nil && !errors.Is(err, unix.EBUSY) {
			errs = append(errs, fmt.Errorf("mount %s: %w", m.dir, err))
		}
	}
	return errors.Join(errs...)
}

// Settings tells the kernel what to do when the agent dies, and whom to call when it misses a module.
func Settings(modprobe string) error {
	return errors.Join(
		os.WriteFile("/proc/sys/kernel/panic", []byte(strconv.Itoa(afterPanic)), 0),
		os.WriteFile("/proc/sys/kernel/modprobe", []byte(modprobe), 0),
	)
}

// Control restarts the machine through the kernel, which is told to write out what is in memory first.
type Control struct{}

// Restart starts the machine again through its firmware.
func (Control) Restart() error {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART); err != nil {
		return fmt.Errorf("restart the machine: %w", err)
	}
	return nil
}

// PowerOff switches the machine off.
func (Control) PowerOff() error {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF); err != nil {
		return fmt.Errorf("switch the machine off: %w", err)
	}
	return nil
}

// StartLoaded starts the kernel that kexec_file_load(2) was given.
func (Control) StartLoaded() error {
	unix.Sync()
	if err := unix.Reboot(unix.LINUX_REBOOT_CMD_KEXEC); err != nil {
		return fmt.Errorf("start the loaded system: %w", err)
	}
	return nil
}

// SetClock sets the system's clock. The hardware's clock is the installed system's business.
func (Control) SetClock(t time.Time) error {
	tv := unix.NsecToTimeval(t.UnixNano())
	if err := unix.Settimeofday(&tv); err != nil {
		return fmt.Errorf("set the clock: %w", err)
	}
	return nil
}
