package pid1

import (
	"context"
	"os"
	"os/exec"
	"os/signal"
	"sync"

	"golang.org/x/sys/unix"
)

// Children tells the programs that the agent starts from the orphans that the kernel hands to the first process: to
// take one of the former off the kernel's hands would lose how it ended. The zero value is ready.
type Children struct {
	own sync.RWMutex // held for reading while a program of the agent's runs, for writing while orphans are taken
}

// Reap takes orphans off the kernel's hands until ctx ends. They wait while a program of the agent's runs.
func (c *Children) Reap(ctx context.Context) error {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-died:
			c.take()
		}
	}
}

func (c *Children) take() {
	c.own.Lock()
	defer c.own.Unlock()
	for {
		if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
			return
		}
	}
}

// Run runs a program of the agent's to its end. Programs may run side by side where none waits for the start of
// another.
func (c *Children) Run(cmd *exec.Cmd) error {
	c.own.RLock()
	defer c.own.RUnlock()
	return cmd.Run()
}
