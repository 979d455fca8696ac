package main

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// follow waits until the operation has ended. It returns nil when that was a success, and otherwise an
// operationFailed, an interruptedError (Ctrl-C), a lateError (limit is over) or what the server said.
// next tells the user what to do after a failure.
func (c *connection) follow(ctx context.Context, id string, limit time.Duration, next string) error {
	_, err := c.ended(ctx, id, limit, next)
	return err
}

// ended is follow, and returns the operation as it ended.
func (c *connection) ended(ctx context.Context, id string, limit time.Duration, next string) (metal.Operation, error) {
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	seen := metal.Operation{ID: id}
	op, err := c.api.WaitOperation(waiting, id, func(now metal.Operation) {
		seen = now
		tflog.Info(ctx, "operation "+string(now.Status), map[string]any{
			"operation": now.ID, "kind": string(now.Kind), "machine": now.MachineID, "step": now.Step, "progress": now.Progress,
		})
	})
	switch {
	case err == nil && op.Status == metal.OpDone:
		return op, nil
	case err == nil:
		return op, &operationFailed{op: op, log: c.logTail(ctx, op), next: next}
	case ctx.Err() != nil:
		return seen, &interruptedError{op: seen}
	case errors.Is(waiting.Err(), context.DeadlineExceeded):
		return seen, &lateError{op: seen, limit: limit}
	default:
		return seen, err
	}
}

const tailLines = 20

// logTail returns the last lines of an operation's log. A failure is told without them rather than not at all.
func (c *connection) logTail(ctx context.Context, op metal.Operation) []string {
	if len(op.LogTail) > 0 {
		return op.LogTail[max(0, len(op.LogTail)-tailLines):]
	}
	ctx, cancel := lasting(ctx)
	defer cancel()
	log, err := c.api.GetOperationLog(ctx, api.GetLogRequest{ByID: api.ByID{ID: op.ID}})
	if err != nil {
		tflog.Warn(ctx, "read the log of a failed operation", map[string]any{"operation": op.ID, "error": err.Error()})
		return nil
	}
	var lines []string
	for _, line := range log.Lines[max(0, len(log.Lines)-tailLines):] {
		lines = append(lines, line.Text)
	}
	return lines
}
