package main

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// A comparison is the times of the same thing, done by us and by the peer.
type comparison struct{ ours, peer []time.Duration }

func (c comparison) print(w io.Writer, name string) {
	ours, peer := median(c.ours).Seconds(), median(c.peer).Seconds()
	fmt.Fprintf(w, "ratio\t%s\t%.3f\t%.3f\ts\t%.3f\n", name, ours, peer, ours/peer)
}

// median of at least one time; of an even number, the mean of the middle two.
func median(times []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(times))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// residentKiB is how much of a process's memory is in RAM (VmRSS, proc_pid_status(5)).
func residentKiB(pid int) (kib int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nVmRSS:")
	if _, err := fmt.Sscanf(rest, "%d kB", &kib); err != nil {
		return 0, fmt.Errorf("find VmRSS of process %d: %w", pid, err)
	}
	return kib, nil
}
