package testnet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// A Program is what is started.
type Program struct {
	Path string
	Args []string
	Env  []string // beside that of this process
	Dir  string   // working directory; empty: that of this process
	Log  string   // file that gets what it says
}

// Process is a program that runs on one side.
type Process struct {
	program Program
	cmd     *exec.Cmd
	ended   chan struct{} // closed when it has
	err     error         // how it ended
}

// stopTime is how long a program may take to end when it is asked to.
const stopTime = 10 * time.Second

// command makes a command that runs in the side's namespace on its core. The processes that lead there replace
// themselves, so its id is that of the program.
func (s Side) command(ctx context.Context, p Program) *exec.Cmd {
	args := append([]string{"netns", "exec", s.Namespace, "taskset", "-c", strconv.Itoa(s.Core), p.Path}, p.Args...)
	cmd := exec.CommandContext(ctx, "ip", args...)
	cmd.Dir, cmd.Env = p.Dir, append(os.Environ(), p.Env...)
	// Ctrl-C is for this process, which stops its own; they die with it in any case.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// Start starts a program on the side.
func (s Side) Start(p Program) (*Process, error) {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own
	process := &Process{program: p, cmd: s.command(context.Background(), p), ended: make(chan struct{})}
	process.cmd.Stdout, process.cmd.Stderr = log, log
	if err := process.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", p.Path, err)
	}
	go func() {
		process.err = process.cmd.Wait()
		close(process.ended)
	}()
	return process, nil
}

// Run runs a program on the side to its end and returns what it says. Its exit code is not judged: load generators
// report their findings by it.
func (s Side) Run(ctx context.Context, p Program) ([]byte, error) {
	out, err := s.command(ctx, p).CombinedOutput()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.Exited() {
		err = nil
	}
	if err := errors.Join(ctx.Err(), err); err != nil {
		return nil, fmt.Errorf("run %s: %w", p.Path, err)
	}
	return out, nil
}

// PID is the process's id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Stop asks the process to end, waits, and kills it when it takes too long.
func (p *Process) Stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.ended:
		return nil
	case <-time.After(stopTime):
	}
	_ = p.cmd.Process.Kill() // it may have ended just now
	<-p.ended
	return fmt.Errorf("%s did not end within %s, and was killed", p.program.Path, stopTime)
}

// Await polls until ready says true. An end of the process before that is an error, and has the end of its log, as
// has the end of ctx.
func (p *Process) Await(ctx context.Context, ready func(ctx context.Context) bool) error {
	for {
		if ready(ctx) {
			return nil
		}
		select {
		case <-p.ended:
			return p.Explain(fmt.Errorf("%s ended at its start: %w", p.program.Path, p.err))
		case <-ctx.Done():
			return p.Explain(fmt.Errorf("wait for %s: %w", p.program.Path, ctx.Err()))
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Explain adds the end of the process's log to an error; to none, nothing.
func (p *Process) Explain(err error) error {
	if err == nil {
		return nil
	}
	const most = 3000
	text, _ := os.ReadFile(p.program.Log) // without it the error is short of a hint
	return fmt.Errorf("%w\nthe end of its log:\n%s", err, text[max(0, len(text)-most):])
}
