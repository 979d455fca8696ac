package lab

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"
)

// lookAgain is how often a console that is followed is looked at for more.
const lookAgain = 100 * time.Millisecond

// Console copies what the machine wrote to its serial port to w, from the first byte; with follow it goes on until
// ctx ends, and returns nil then, or the lab is gone.
func Console(ctx context.Context, m Machine, w io.Writer, follow bool) error {
	file, err := os.Open(m.Console)
	if err != nil {
		return fmt.Errorf("open console of %s: %w", m.Name, err)
	}
	defer file.Close()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		if _, err := io.Copy(w, file); err != nil {
			return fmt.Errorf("copy console of %s: %w", m.Name, err)
		}
		if !follow || !exists(m.Console) {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}
