package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// stopTime is how long an owner may take to end its lab before it is killed. Machines die at once, so most of it is
// for a loaded host.
const stopTime = 20 * time.Second

// Process names a process for good: the kernel gives a PID again, but not with the same start time.
type Process struct {
	PID int `json:"pid"`
	// Started is in clock ticks since the kernel started (proc(5), /proc/PID/stat, field 22).
	Started uint64 `json:"started"`
}

// thisProcess names the calling process.
func thisProcess() (Process, error) {
	started, err := startTime(os.Getpid())
	return Process{os.Getpid(), started}, err
}

// Alive says whether the process still runs.
func (p Process) Alive() bool {
	started, err := startTime(p.PID)
	return err == nil && started == p.Started
}

// stop ends the process with SIGTERM, and with SIGKILL when that does not help in time. It returns nil when the
// process is gone, also when it was before.
func (p Process) stop(ctx context.Context) error {
	fd, err := unix.PidfdOpen(p.PID, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open process %d: %w", p.PID, err)
	}
	defer unix.Close(fd)
	// Only now: the descriptor holds on to one process, whichever has the PID from here on.
	if !p.Alive() {
		return nil
	}

	if err := unix.PidfdSendSignal(fd, unix.SIGTERM, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("stop process %d: %w", p.PID, err)
	}
	for deadline := time.Now().Add(stopTime); time.Now().Before(deadline); {
		if ended(fd, 100*time.Millisecond) {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("wait for process %d to end: %w", p.PID, ctx.Err())
		}
	}
	if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	if !ended(fd, stopTime) {
		return metal.Errorf(metal.Internal, "stop the lab's process %d: it does not die of SIGKILL, see its state in /proc/%d/status", p.PID, p.PID)
	}
	return nil
}

// ended waits at most limit for the process behind a pidfd to end.
func ended(fd int, limit time.Duration) bool {
	// #nosec G115 -- a file descriptor and a wait below a minute fit.
	n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(limit.Milliseconds()))
	return err == nil && n == 1
}

// startTime reads when the process with this PID started.
func startTime(pid int) (uint64, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("read start time of process %d: %w", pid, err)
	}
	return parseStartTime(string(stat))
}

// parseStartTime takes field 22 of /proc/PID/stat. The name in field 2 may hold spaces and brackets, so counting
// starts after the last closing one. A zombie counts as gone.
func parseStartTime(stat string) (uint64, error) {
	end := strings.LastIndexByte(stat, ')')
	fields := strings.Fields(stat[end+1:])
	if end < 0 || len(fields) < 20 {
		return 0, fmt.Errorf("read process start time: %q is not a line of /proc/PID/stat", stat)
	}
	if state := fields[0]; state == "Z" || state == "X" {
		return 0, errors.New("read process start time: the process has ended")
	}
	return strconv.ParseUint(fields[19], 10, 64)
}
