package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// failure is why a step, and with it the operation, cannot succeed.
type failure struct {
	message, detail string
	cause           error
}

func fail(format string, args ...any) *failure {
	return &failure{message: fmt.Sprintf(format, args...)}
}

func (f *failure) with(detail string) *failure { f.detail = detail; return f }
func (f *failure) because(err error) *failure  { f.cause = err; return f }
func (f *failure) Error() string               { return f.message }
func (f *failure) Unwrap() error               { return f.cause }

func failureOf(step string, err error) *metal.Failure {
	var f *failure
	if errors.As(err, &f) {
		return &metal.Failure{Step: step, Message: f.message, Detail: f.detail}
	}
	var e *metal.Error
	if errors.As(err, &e) {
		return &metal.Failure{Step: step, Message: e.Message, Detail: e.Detail}
	}
	return &metal.Failure{Step: step, Message: err.Error()}
}

// expiry is the failure of a step that the deadline ended; err is what it was stuck at.
func expiry(step string, deadline time.Time, err error) *metal.Failure {
	out := &metal.Failure{Step: step, Message: fmt.Sprintf("%s took longer than it may: the limit ended at %s; look at the log, then start the command again", step, deadline.UTC().Format(time.RFC3339))}
	var f *failure
	if errors.As(err, &f) {
		out.Message, out.Detail = out.Message+": "+f.message, f.detail
	}
	return out
}

// end ends an operation and moves its machine to the state that the table has for that outcome.
func (e *Engine) end(tx *store.Tx, v view, status metal.OperationStatus, f *metal.Failure) error {
	v.op.Status, v.op.Failure, v.op.EndedAt = status, f, tx.Now
	if status == metal.OpDone {
		v.op.Progress = 1
	}
	text := fmt.Sprintf("%s %s", v.op.Kind, status)
	if f != nil {
		text += ": " + f.Step + ": " + f.Message
		if f.Detail == "" {
			f.Detail = strings.Join(v.op.LogTail, "\n")
		}
	}
	if err := note(tx, v.op, text); err != nil {
		return err
	}
	if err := tx.AddEvent("operation", v.op.ID, text); err != nil {
		return err
	}
	if v.op.Kind == metal.OpImport {
		return endImport(tx, v.op, f)
	}
	v.m.Settled = true
	if row, working := metal.Working(v.m.State); working {
		v.m.State = outcome(row, status, v.m.Prior)
		v.m.Prior = ""
		v.m.Failure = f
		if status == metal.OpAborted {
			v.m.Failure = &metal.Failure{Step: v.op.Step, Message: string(v.op.Kind) + " was aborted"}
		}
		if status == metal.OpDone {
			v.m.Failure = nil
		}
	}
	if err := tx.SaveMachine(v.m); err != nil {
		return err
	}
	return tx.AddEvent("machine", v.m.ID, fmt.Sprintf("%s is %s", v.m.Spec.Name, v.m.State))
}

func outcome(row metal.Work, status metal.OperationStatus, prior metal.State) metal.State {
	next := row.Failed
	switch status {
	case metal.OpDone:
		next = row.Done
	case metal.OpAborted:
		next = row.Aborted
	}
	if next == metal.Back {
		return prior
	}
	return next
}

func endImport(tx *store.Tx, op *metal.Operation, f *metal.Failure) error {
	image, err := tx.Image(op.Image)
	if err != nil {
		return err
	}
	image.Failure = f
	if image.State = metal.ImageReady; f != nil {
		image.State = metal.ImageFailed
	}
	return tx.PutImage(image)
}
