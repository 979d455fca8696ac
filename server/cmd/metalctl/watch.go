package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// finish ends a long command: it waits for the operation, unless --wait=false, and prints it. An operation that
// failed or was aborted is an error.
func (a *app) finish(ctx context.Context, c *client.Client, id, subject string) error {
	if !a.wait {
		op, err := c.GetOperation(ctx, byOperation(id))
		if err != nil {
			return err
		}
		return a.printDone(op, "%s: %s started (operation %s)", subject, op.Kind, op.ID)
	}
	if a.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, a.timeout)
		defer cancel()
	}
	p := &progress{w: a.errOut, live: a.live, subject: subject}
	op, err := c.WaitOperation(ctx, id, p.show)
	p.end()
	if err != nil {
		return err
	}
	if err := client.OperationError(op); err != nil {
		return err
	}
	return a.printDone(op, "%s: %s done in %s", subject, op.Kind, op.EndedAt.Sub(op.StartedAt).Round(1e9))
}

// progress shows how far an operation is: on a terminal one line drawn in place, elsewhere one line for each step
// and each tenth of it.
type progress struct {
	w       io.Writer
	live    bool
	subject string
	last    string
	drawn   bool
}

// eraseLine moves to the line's begin and erases it (ECMA-48, EL).
const eraseLine = "\r\x1b[2K"

func (p *progress) show(op metal.Operation) {
	if op.Ended() {
		return
	}
	line := fmt.Sprintf("%s: %s", p.subject, stepText(op))
	if p.live {
		fmt.Fprintf(p.w, "%s%s %s", eraseLine, bar(op.Progress), line)
		p.drawn = true
		return
	}
	if op.Progress > 0 {
		line += fmt.Sprintf(" %d %%", int(op.Progress*10)*10)
	}
	if line != p.last {
		fmt.Fprintln(p.w, line)
		p.last = line
	}
}

// end erases what was drawn.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.w, eraseLine)
	}
}

func stepText(op metal.Operation) string {
	text := string(op.Kind)
	if op.Step != "" {
		text += ", " + op.Step
	}
	if op.Attempts > 1 {
		text += fmt.Sprintf(" (attempt %d)", op.Attempts)
	}
	return text
}

// bar draws a part of one, 20 characters wide.
func bar(part float64) string {
	const width = 20
	full := int(max(0, min(part, 1)) * width)
	return "[" + strings.Repeat("#", full) + strings.Repeat(" ", width-full) + "]"
}
