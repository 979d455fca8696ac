package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

// reportFD is the descriptor on which the process in the background tells how making the lab went.
const reportFD = 3

// A report is what the process in the background has to tell, once. The zero value says that the lab is up.
type report struct {
	Code    metal.Code `json:"code,omitempty"`
	Message string     `json:"message,omitempty"`
	Detail  string     `json:"detail,omitempty"`
}

// hold makes a lab, calls ready, and keeps the lab until ctx ends or a BMC fails. Nothing of it is left afterwards.
func hold(ctx context.Context, cfg lab.Config, log *slog.Logger, ready func(lab.State) error) (err error) {
	l, err := lab.Up(ctx, cfg, log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	control, err := lab.NewControl(l, log)
	if err != nil {
		return err
	}
	services, ctx := errgroup.WithContext(ctx)
	services.Go(func() error { return control.Run(ctx) })
	services.Go(func() error { return l.Wait(ctx) })
	// A caller who is no longer there to hear of the lab has no use for it.
	services.Go(func() error { return ready(l.State()) })
	return services.Wait()
}

// background starts a process of its own that holds the lab, and returns when the lab is up. When ctx ends before,
// that process is stopped, and has cleared up when background returns.
func background(ctx context.Context, cfg lab.Config) error {
	cmd, reports, err := startSupervisor(cfg)
	if err != nil {
		return err
	}
	defer reports.Close()
	stop := context.AfterFunc(ctx, func() {
		_ = cmd.Process.Signal(unix.SIGTERM) // an error means that it has ended already
	})
	defer stop()

	var r report
	err = json.NewDecoder(reports).Decode(&r)
	if err == nil && r == (report{}) && stop() {
		return cmd.Process.Release()
	}
	_ = cmd.Wait() // the report says more than its exit code
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("make lab: %w", ctx.Err())
	case err != nil:
		return metal.Errorf(metal.Internal, "make lab: the process in the background ended without a word, see %s: %w", lab.LogPath(cfg.Dir), err)
	default:
		err = &metal.Error{Code: r.Code, Message: r.Message, Detail: r.Detail}
	}
	return errors.Join(err, forget(cfg.Dir))
}

// forget removes the log of a lab that never came up: its error has been told. It leaves that of another lab alone
// which has the directory.
func forget(dir string) error {
	if _, err := lab.Load(dir); metal.CodeOf(err) != metal.NotFound {
		return nil
	}
	err := os.Remove(lab.LogPath(dir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	_ = os.Remove(dir) // stays when something else is in it
	return nil
}

// startSupervisor starts this program again, in a session of its own, so that the terminal's signals do not reach it.
func startSupervisor(cfg lab.Config) (*exec.Cmd, *os.File, error) {
	config, err := json.Marshal(cfg)
	if err != nil {
		return nil, nil, err
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, nil, fmt.Errorf("make lab directory: %w", err)
	}
	log, err := os.OpenFile(lab.LogPath(cfg.Dir), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open lab log: %w", err)
	}
	defer log.Close()
	reports, theirs, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	cmd := exec.Command("/proc/self/exe", superviseName, string(config))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{theirs} // becomes reportFD
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		reports.Close()
		return nil, nil, fmt.Errorf("start the lab's process: %w", err)
	}
	return cmd, reports, nil
}

const superviseName = "supervise"

// superviseCommand is what up starts in the background; it is no use to people.
func superviseCommand() *cobra.Command {
	return &cobra.Command{
		Use:    superviseName + " CONFIG",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var cfg lab.Config
			if err := json.Unmarshal([]byte(args[0]), &cfg); err != nil {
				return metal.Errorf(metal.Invalid, "read lab configuration: %w", err)
			}
			reports := os.NewFile(reportFD, "report")
			if reports == nil {
				return metal.Errorf(metal.Invalid, "%s is started by metal-lab up only", superviseName)
			}
			unix.CloseOnExec(reportFD) // or a child would keep up waiting
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			up := false
			err := hold(cmd.Context(), cfg, log, func(lab.State) error {
				up = true
				return tell(reports, report{})
			})
			if err != nil && !up {
				var e *metal.Error
				r := report{Code: metal.CodeOf(err), Message: err.Error()}
				if errors.As(err, &e) {
					r.Detail = e.Detail
				}
				return errors.Join(err, tell(reports, r))
			}
			return err
		},
	}
}

// tell writes the one report and hangs up.
func tell(w io.WriteCloser, r report) error {
	if err := json.NewEncoder(w).Encode(r); err != nil {
		return fmt.Errorf("report to metal-lab up: %w", err)
	}
	return w.Close()
}
