package pid1

import (
	"context"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// Reap takes orphans off the kernel's hands until ctx ends. The agent starts no programs of its own, so that there
// is nobody whose child this could take.
func Reap(ctx context.Context) error {
	died := make(chan os.Signal, 1)
	signal.Notify(died, unix.SIGCHLD)
	defer signal.Stop(died)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-died:
			for {
				if pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); pid <= 0 || err != nil {
					break
				}
			}
		}
	}
}
