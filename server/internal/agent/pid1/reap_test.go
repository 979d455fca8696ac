package pid1

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"testing"
)

// TestReapLeavesTheAgentsOwnProgramsAlone runs many programs while orphans are reaped: each has to keep its exit code.
func TestReapLeavesTheAgentsOwnProgramsAlone(t *testing.T) {
	var c Children
	ctx, cancel := context.WithCancel(t.Context())
	var reaping sync.WaitGroup
	reaping.Go(func() {
		if err := c.Reap(ctx); err != nil {
			t.Error(err)
		}
	})
	for i := range 50 {
		err := c.Run(exec.CommandContext(ctx, "sh", "-c", "exit 7"))
		var e *exec.ExitError
		if !errors.As(err, &e) || e.ExitCode() != 7 {
			t.Errorf("program %d: got %v; want exit status 7", i, err)
		}
	}
	cancel()
	reaping.Wait()
}
