package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// work is what an operation's worker remembers between steps, stored with the operation.
type work struct {
	Step      int       `json:"step"`       // index into the plan
	StepBegun time.Time `json:"step_begun"` // when the step was entered, not when it was resumed

	Erase      metal.Erase `json:"erase,omitempty"`      // release, undeploy
	PowerOff   bool        `json:"power_off,omitempty"`  // release
	Claim      string      `json:"claim,omitempty"`      // release: name of the allocation that ends
	Action     string      `json:"action,omitempty"`     // power
	Deployment string      `json:"deployment,omitempty"` // deploy
	// Spec and Content are what this deployment puts on the disk, fixed when it began.
	Spec    *metal.DeploymentSpec `json:"spec,omitempty"`
	Content Content               `json:"content,omitzero"`

	Cycles    int              `json:"cycles,omitempty"`    // boots tried
	BootSince time.Time        `json:"boot_since,omitzero"` // agents that called after this are of the latest boot
	Cycling   bool             `json:"cycling,omitempty"`   // the latest power-cycle has not been seen to end
	Losses    int              `json:"losses,omitempty"`    // systems in memory that were gone before they called back
	Ask       *agentapi.Step   `json:"ask,omitempty"`       // what the agent is to do
	Answer    *agentapi.Result `json:"answer,omitempty"`    // what became of it
	Phone     string           `json:"phone,omitempty"`     // token of the phone-home URL
	Reported  bool             `json:"reported,omitempty"`  // the installed system called back
	// ReportedAt is when it did. Tells says that it tells how its first boot ends, Told that it has.
	ReportedAt time.Time         `json:"reported_at,omitzero"`
	Tells      bool              `json:"tells,omitempty"`
	Told       bool              `json:"told,omitempty"`
	Written    *agentapi.Written `json:"written,omitempty"` // what the write left
}

// job is one worker's hold on an operation.
type job struct {
	e      *Engine
	id     string
	number int64
}

// errOver ends a worker whose operation ended or was taken over.
var errOver = errors.New("the operation is over, or another worker has it")

// view is what a job sees in one transaction.
type view struct {
	op *metal.Operation
	w  *work
	m  *metal.Machine // nil for an import
}

// read shows the job's rows; errOver when they are not its own any more.
func (j *job) read(ctx context.Context, f func(tx *store.Tx, v view) error) error {
	return j.e.cfg.DB.Read(ctx, func(tx *store.Tx) error { return j.in(tx, f) })
}

// update lets f change the job's rows, and writes the operation back with its work.
func (j *job) update(ctx context.Context, f func(tx *store.Tx, v view) error) error {
	return j.e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		return j.in(tx, func(tx *store.Tx, v view) error {
			if err := f(tx, v); err != nil {
				return err
			}
			return tx.SaveOperation(v.op, v.w)
		})
	})
}

func (j *job) in(tx *store.Tx, f func(tx *store.Tx, v view) error) error {
	v := view{w: new(work)}
	var err error
	if v.op, err = tx.Operation(j.id, v.w); err != nil {
		return err
	}
	if v.op.Ended() || (j.number != 0 && v.op.Job != j.number) {
		return errOver
	}
	if v.op.MachineID != "" {
		if v.m, err = tx.Machine(v.op.MachineID); err != nil {
			return err
		}
	}
	return f(tx, v)
}

// log adds lines to the operation's log.
func (j *job) log(ctx context.Context, format string, args ...any) error {
	return j.update(ctx, func(tx *store.Tx, v view) error { return note(tx, v.op, fmt.Sprintf(format, args...)) })
}

const tail = 20 // log lines kept in the operation itself

func note(tx *store.Tx, op *metal.Operation, lines ...string) error {
	op.LogTail = append(op.LogTail, lines...)
	if n := len(op.LogTail); n > tail {
		op.LogTail = op.LogTail[n-tail:]
	}
	return tx.AppendLog(op.ID, lines...)
}

// work takes an operation over and works on it until it is over or ctx ends. A fault of the store (a full disk, say)
// is waited out: the operation stays as it is.
func (e *Engine) work(ctx context.Context, id string) {
	j := &job{e: e, id: id}
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		err := e.takeOver(ctx, j)
		if err == nil {
			err = j.steps(ctx)
		}
		if err == nil || errors.Is(err, errOver) || metal.CodeOf(err) == metal.NotFound || ctx.Err() != nil {
			return
		}
		e.cfg.Log.Error("work on an operation", "operation", id, "error", err, "again_in", pause)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

func (e *Engine) takeOver(ctx context.Context, j *job) error {
	j.number = 0
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		return j.in(tx, func(tx *store.Tx, v view) error {
			if err := tx.ClaimOperation(v.op); err != nil {
				return err
			}
			j.number = v.op.Job
			return nil
		})
	})
}

// steps runs the remaining steps of the plan. It returns an error only for faults that are worth another try of the
// same step: a step's own failure ends the operation.
func (j *job) steps(ctx context.Context) error {
	for {
		s, deadline, err := j.begin(ctx)
		if err != nil || s == nil {
			return err
		}
		sctx, cancel := context.WithDeadline(ctx, deadline)
		err = guard(func() error { return s.run(sctx, j) })
		expired := sctx.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case errors.Is(err, errOver), ctx.Err() != nil:
			return err
		case err == nil:
			err = j.advance(ctx)
		case errors.Is(err, errAgentLost):
			err = j.bootAgain(ctx)
		case errors.Is(err, errRestarted):
			err = j.putAnew(ctx)
		case expired:
			err = j.fail(ctx, expiry(s.name, deadline, err))
		case isFault(err):
			return err
		default:
			err = j.fail(ctx, failureOf(s.name, err))
		}
		if err != nil {
			return err
		}
	}
}

// A fault is the server's own trouble (internal, or the disk is full): the step is tried again until its deadline.
func isFault(err error) bool {
	var f *failure
	return !errors.As(err, &f) && metal.CodeOf(err) == metal.Internal
}

// guard turns a panic of a step into its failure: one machine's surprise must not stop the others.
func guard(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fail("a fault in metald: %v", r).with(string(debug.Stack()))
		}
	}()
	return f()
}

// begin enters the present step, or ends the operation when there is none left.
func (j *job) begin(ctx context.Context) (s *step, deadline time.Time, err error) {
	err = j.update(ctx, func(tx *store.Tx, v view) error {
		plan := plans()[v.op.Kind]
		for v.w.Step < len(plan) && plan[v.w.Step].skip != nil && plan[v.w.Step].skip(v.w) {
			v.w.Step++
		}
		if v.w.Step >= len(plan) {
			return j.e.end(tx, v, metal.OpDone, nil)
		}
		s = &plan[v.w.Step]
		if v.op.Step != s.name || v.w.StepBegun.IsZero() {
			v.op.Step, v.op.Progress, v.op.Attempts, v.w.StepBegun = s.name, 0, 0, tx.Now
			if err := note(tx, v.op, s.says); err != nil {
				return err
			}
		}
		v.op.Attempts++
		if s.state != "" && v.m.State != s.state {
			v.m.State = s.state
			v.op.Deadline = tx.Now.Add(j.e.limits.of(s.state))
			if err := tx.SaveMachine(v.m); err != nil {
				return err
			}
		}
		deadline = v.op.Deadline
		return nil
	})
	return s, deadline, err
}

// advance stores that the present step is done.
func (j *job) advance(ctx context.Context) error {
	return j.update(ctx, func(tx *store.Tx, v view) error {
		v.w.Step++
		v.w.StepBegun, v.w.Ask, v.w.Answer = time.Time{}, nil, nil
		v.op.Progress = 1
		return nil
	})
}

// bootAgain goes back to the first step after the agent was lost; that step counts the boots.
func (j *job) bootAgain(ctx context.Context) error {
	return j.update(ctx, func(tx *store.Tx, v view) error {
		v.w.Step, v.w.StepBegun, v.w.Ask, v.w.Answer = 0, time.Time{}, nil, nil
		if err := tx.EndBootSession(v.m.ID); err != nil {
			return err
		}
		return note(tx, v.op, "the agent on the machine fell silent: booting it again")
	})
}

// fail ends the operation, and sets the machine to the failed state of its row in the table.
func (j *job) fail(ctx context.Context, f *metal.Failure) error {
	return j.update(ctx, func(tx *store.Tx, v view) error { return j.e.end(tx, v, metal.OpFailed, f) })
}
