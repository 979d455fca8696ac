package lab

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Exec replaces the calling process by the command argv, run inside the namespace of the lab in dir. It returns only
// when that did not come about: NotFound when there is no such lab or command.
func Exec(dir string, argv []string) error {
	if len(argv) == 0 {
		return metal.Errorf(metal.Invalid, "nothing to run in the lab: write a command after --")
	}
	state, err := Load(dir)
	if err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return metal.Errorf(metal.NotFound, "run %s in the lab: %w", argv[0], err)
	}
	// execve makes the calling thread the process, so only this thread has to be inside (execve(2), setns(2)).
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := enter(state.Name); err != nil {
		return err
	}
	if err := unix.Exec(path, argv, os.Environ()); err != nil {
		return fmt.Errorf("run %s in the lab: %w", path, err)
	}
	return nil
}
