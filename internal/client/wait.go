package client

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	// pollWait is how long one poll is held open. Proxies tend to cut connections that are silent for a minute.
	pollWait = 50 * time.Second
	// shortestPoll keeps a server that answers at once, though nothing changed, from being asked in a tight loop.
	shortestPoll = time.Second
)

// WaitOperation waits until the operation ended, and returns it; OperationError says whether it failed. Each state
// that differs from the one before is passed to onChange (which may be nil), the first and the last one too. A
// restart of the server is waited out. When ctx ends first, the error wraps its cause, and the operation goes on.
func (c *Client) WaitOperation(ctx context.Context, id string, onChange func(metal.Operation)) (metal.Operation, error) {
	var last metal.Operation
	in := api.GetOperationRequest{ByID: api.ByID{ID: id}}
	for {
		asked := time.Now()
		op, err := callFor(ctx, c, max(c.patience, Patience), api.GetOperation, in)
		if err != nil {
			return last, stopped(ctx, id, err)
		}
		changed := last.ID == "" || !op.ChangedAt.Equal(last.ChangedAt) || op.Status != last.Status
		last = op
		if changed && onChange != nil {
			onChange(op)
		}
		if op.Ended() {
			return op, nil
		}
		in.Wait = pollWait.String()
		in.Seen = strconv.FormatInt(op.ChangedAt.UnixNano(), 10)
		if early := shortestPoll - time.Since(asked); !changed && early > 0 {
			if err := sleep(ctx, early); err != nil {
				return last, stopped(ctx, id, err)
			}
		}
	}
}

// stopped says, when the caller stopped waiting, that the operation did not stop.
func stopped(ctx context.Context, id string, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return &metal.Error{
		Code:      metal.Internal,
		Message:   fmt.Sprintf("stopped waiting for operation %s, which goes on: follow it with metalctl operations watch %s", id, id),
		Operation: id,
		Err:       context.Cause(ctx),
	}
}

// OperationError returns nil for an operation that is open or done, and otherwise an error with what failed at which
// step, as a person needs it.
func OperationError(op metal.Operation) error {
	switch {
	case op.Status == metal.OpAborted:
		return &metal.Error{
			Code:      metal.Conflict,
			Message:   fmt.Sprintf("%s (operation %s) was aborted at step %q", op.Kind, op.ID, op.Step),
			Operation: op.ID,
		}
	case op.Status != metal.OpFailed:
		return nil
	case op.Failure == nil:
		return &metal.Error{
			Code:      metal.Internal,
			Message:   fmt.Sprintf("%s (operation %s) failed at step %q, and the server does not say why: see metalctl operations log %s", op.Kind, op.ID, op.Step, op.ID),
			Operation: op.ID,
		}
	default:
		return &metal.Error{
			Code:      metal.Internal,
			Message:   fmt.Sprintf("%s (operation %s) failed at step %q: %s", op.Kind, op.ID, op.Failure.Step, op.Failure.Message),
			Detail:    op.Failure.Detail,
			Operation: op.ID,
		}
	}
}
