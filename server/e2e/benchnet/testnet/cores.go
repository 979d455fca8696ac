package testnet

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Cores returns the processor cores that this process may run on, one at least.
func Cores() ([]int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil, fmt.Errorf("ask which cores there are: %w", err)
	}
	var cores []int
	for i := range len(set) * 64 {
		if set.IsSet(i) {
			cores = append(cores, i)
		}
	}
	return cores, nil
}

// favoured is the niceness of the processes that measure and are measured: a computer that does other things as well
// does them after.
const favoured = -10

// Claim keeps this process, with all of its threads now and later, on one core, and before other work of the computer,
// as what it starts will be. It needs root. The function that it returns ends the preference of the session, which the
// process shares with the shell that started it.
func Claim(core int) (release func() error, err error) {
	if release, err = favourSession(); err != nil {
		return nil, err
	}
	if err := claimThreads(core); err != nil {
		return nil, errors.Join(err, release())
	}
	return release, nil
}

// favourSession does for the session what niceness does within it: where sessions are scheduled as groups, the
// niceness of a process counts only among its session's own (sched(7), autogroup).
func favourSession() (release func() error, err error) {
	const path = "/proc/self/autogroup"
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || len(text) == 0 {
		return func() error { return nil }, nil // there are no such groups
	}
	if err != nil {
		return nil, err
	}
	var group, before int
	if _, err := fmt.Sscanf(string(text), "/autogroup-%d nice %d", &group, &before); err != nil {
		return nil, fmt.Errorf("read %s: %w in %q", path, err, text)
	}
	set := func(nice int) error { return os.WriteFile(path, []byte(strconv.Itoa(nice)), 0) }
	return func() error { return set(before) }, set(favoured)
}

func claimThreads(core int) error {
	var set unix.CPUSet
	set.Set(core)
	for { // a thread that was just made by one that is not on the core yet is found in the next turn
		tasks, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return err
		}
		changed := false
		for _, task := range tasks {
			id, err := strconv.Atoi(task.Name())
			if err != nil {
				return err
			}
			var have unix.CPUSet
			if err := unix.SchedGetaffinity(id, &have); err != nil || have == set {
				continue // it is there, or has ended
			}
			err = errors.Join(unix.SchedSetaffinity(id, &set), unix.Setpriority(unix.PRIO_PROCESS, id, favoured))
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("keep to core %d: %w", core, err)
			}
			changed = true
		}
		if !changed {
			return nil
		}
	}
}
