package lab

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// qemuOf is the program that plays a machine.
func qemuOf(arch metal.Arch) string {
	if arch == metal.ARM64 {
		return "qemu-system-aarch64"
	}
	return "qemu-system-x86_64"
}

// A process is one running QEMU: a machine that is on.
type process struct {
	pid     int
	end     func()        // kills it
	exited  chan struct{} // closed when it has ended and was waited for
	monitor *monitor
}

// startProcess starts QEMU in dir and in the namespace, and returns when its monitor answers. The process dies with
// the namespace's thread, and so with the program; so does the machine's TPM, where it has one.
func startProcess(ctx context.Context, ns *namespace, c Config, dir string, args []string) (*process, error) {
	qemu := qemuOf(c.Arch)
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, qemuLogName), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		ours.Close()
		theirs.Close()
		return nil, fmt.Errorf("open QEMU's log: %w", err)
	}
	defer log.Close()

	cmd := exec.Command(qemu, args...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs} // becomes monitorFD
	beside := func() {}
	if c.TPM {
		t, err := startTPM(ns, dir)
		if err != nil {
			ours.Close()
			theirs.Close()
			return nil, err
		}
		beside, cmd.ExtraFiles = t.close, append(cmd.ExtraFiles, t.channel) // becomes tpmFD
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Pdeathsig: syscall.SIGKILL,
		// A process group of its own: Ctrl-C at the terminal is for the lab, which then ends its machines.
		Setpgid: true,
	}
	err = ns.do(cmd.Start)
	theirs.Close() // or QEMU's end would not be the end of the stream
	if err != nil {
		ours.Close()
		beside()
		return nil, metal.Errorf(metal.Internal, "start %s: %w", qemu, err)
	}
	p := &process{pid: cmd.Process.Pid, exited: make(chan struct{})}
	p.end = func() { _ = cmd.Process.Kill() } // an error means that it has ended already
	go func() {
		defer close(p.exited)
		_ = cmd.Wait() // how it ended does not matter: the machine is off
		beside()
	}()
	p.monitor, err = openMonitor(ctx, ours)
	if err != nil {
		p.end()
		<-p.exited
		return nil, &metal.Error{
			Code:    metal.Internal,
			Message: "start " + qemu + ": it ended or hung before its monitor answered, see " + log.Name(),
			Detail:  tail(log.Name()),
			Err:     err,
		}
	}
	return p, nil
}

// kill ends the process and waits until it is gone.
func (p *process) kill() {
	p.end()
	<-p.exited
	p.monitor.close()
}

// running says whether the process has not ended yet.
func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// socketPair returns the two ends of a stream. A pair needs no name in the file system, nothing has to wait for it
// to appear, and it ends with QEMU.
func socketPair() (ours net.Conn, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make monitor socket: %w", err)
	}
	near := os.NewFile(uintptr(fds[0]), "monitor")
	theirs = os.NewFile(uintptr(fds[1]), "monitor of QEMU")
	defer near.Close() // FileConn has its own descriptor
	ours, err = net.FileConn(near)
	if err != nil {
		theirs.Close()
		return nil, nil, fmt.Errorf("make monitor socket: %w", err)
	}
	return ours, theirs, nil
}

// tail returns the end of a log file, for people; empty when it cannot be read.
func tail(path string) string {
	const most = 2000
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > most {
		if _, err := f.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(io.LimitReader(f, most))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
