package testnet

import (
	"bytes"
	"fmt"
	"os"
	"time"
)

// tick is the unit of processor times in /proc, whatever the kernel's own is (proc_pid_stat(5), USER_HZ).
const tick = 10 * time.Millisecond

// CPU is the processor time that the process has used, of its own and in the kernel, in steps of 10 ms.
func (p *Process) CPU() (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return 0, err
	}
	return parseCPU(text)
}

// parseCPU reads utime and stime, the 14th and 15th field. The 2nd one is the program's name in parentheses, and may
// hold spaces.
func parseCPU(stat []byte) (time.Duration, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("read a process's times: %q has too few fields", stat)
	}
	var user, system int64
	if _, err := fmt.Sscan(string(fields[11])+" "+string(fields[12]), &user, &system); err != nil {
		return 0, fmt.Errorf("read a process's times: %w in %q", err, stat)
	}
	return time.Duration(user+system) * tick, nil
}
