package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// silence is the longest time a working step stays without a word.
const silence = 15 * time.Second

// maxDetail bounds the evidence in a failure.
const maxDetail = 16 << 10

// errCancelled is the cause of a step's context when the server called the step off; errOver when it has no use
// for the whole boot any more.
var (
	errCancelled = errors.New("called off by the server")
	errOver      = errors.New("the server has no use for this boot any more")
)

// work does one step while it reports progress, and returns its result. over tells that the server has no use for
// the boot any more.
func (a *Agent) work(ctx context.Context, step agentapi.Step) (result agentapi.Result, over bool) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	a.Log.Info("step begins", "step", step.ID, "kind", step.Kind)
	var fraction atomic.Uint64 // in millionths
	progress := func(f float64) { fraction.Store(uint64(min(max(f, 0), 1) * 1e6)) }

	done := make(chan agentapi.Result, 1)
	go func() { done <- a.do(ctx, step, progress) }()
	tick := time.NewTicker(a.Every)
	defer tick.Stop()
	told := report{at: time.Now()}
	for {
		select {
		case result := <-done:
			a.Log.Info("step ends", "step", step.ID, "failed", result.Failure != nil)
			return result, errors.Is(context.Cause(ctx), errOver)
		case <-tick.C:
			now := report{at: time.Now(), fraction: float64(fraction.Load()) / 1e6}
			lines, taken := a.Ring.Pending()
			if now.fraction == told.fraction && len(lines) == 0 && now.at.Sub(told.at) < silence-a.Every {
				continue
			}
			if err := a.tell(ctx, agentapi.Progress{StepID: step.ID, Fraction: now.fraction, Log: lines}); err != nil {
				if errors.Is(err, errCancelled) || errors.Is(err, errOver) {
					cancel(err)
				}
				continue // the lines stay in the ring; the next tick tries again
			}
			a.Ring.Forget(taken)
			told = now
		}
	}
}

// report is what the server was told last.
type report struct {
	at       time.Time
	fraction float64
}

// tell sends one progress report. Losing one is harmless, so errors are not logged: the log lines would have to go
// the same way.
func (a *Agent) tell(ctx context.Context, p agentapi.Progress) error {
	reply, err := a.Server.Progress(ctx, p)
	switch {
	case errors.Is(err, agentapi.ErrGone):
		return errOver
	case metal.CodeOf(err) == metal.Unauthorized:
		// The server was restarted, or the session expired. One try: the next tick comes soon.
		hello := a.Machine.Hello()
		hello.Token, hello.BootID = a.Token.Reveal(), a.BootID
		if _, helloErr := a.Server.Hello(ctx, hello); errors.Is(helloErr, agentapi.ErrGone) {
			return errOver
		}
		return err
	case err == nil && reply.Cancel:
		return errCancelled
	}
	return err
}

// do does one step. A panic becomes a failure: the agent outlives its steps.
func (a *Agent) do(ctx context.Context, step agentapi.Step, progress func(float64)) (result agentapi.Result) {
	result.StepID = step.ID
	defer func() {
		if p := recover(); p != nil {
			a.Log.Error("step panicked", "step", step.ID, "panic", fmt.Sprint(p))
			result.Output = nil
			result.Failure = &metal.Failure{
				Step:    string(step.Kind),
				Message: fmt.Sprintf("the agent's %s step panicked: %v; this is a defect of metal-agent", step.Kind, p),
				Detail:  clip(string(debug.Stack())),
			}
		}
	}()
	output, err := a.perform(ctx, step, progress)
	if err == nil {
		result.Output, err = encode(output)
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		result.Failure = failureOf(step.Kind, err)
		a.Log.Error("step failed", "step", step.ID, "kind", step.Kind, "error", err)
	}
	return result
}

// perform does the part of a step that comes before its result. It returns nil where the result has no output.
func (a *Agent) perform(ctx context.Context, step agentapi.Step, progress func(float64)) (any, error) {
	switch {
	case step.Kind == agentapi.StepInventory:
		return a.Machine.Inventory(ctx)
	case step.Kind == agentapi.StepErase && step.Erase != nil:
		return a.Machine.Erase(ctx, *step.Erase, progress)
	case step.Kind == agentapi.StepWrite && step.Write != nil:
		return a.Machine.Write(ctx, *step.Write, progress)
	case step.Kind == agentapi.StepInstall && step.Install != nil:
		return a.Machine.Install(ctx, *step.Install, progress)
	case step.Kind == agentapi.StepReboot && step.Reboot != nil, step.Kind == agentapi.StepPowerOff:
		return nil, nil
	}
	return nil, metal.Errorf(metal.Invalid, "this agent does not know how to do step %q as the server sent it: boot the machine with the server's own RAM environment", step.Kind)
}

func encode(output any) (json.RawMessage, error) {
	if output == nil {
		return nil, nil
	}
	raw, err := json.Marshal(output)
	if err != nil {
		return nil, fmt.Errorf("encode the step's output: %w", err)
	}
	return raw, nil
}

func failureOf(kind agentapi.StepKind, err error) *metal.Failure {
	f := &metal.Failure{Step: string(kind), Message: err.Error()}
	var told *metal.Error
	if errors.As(err, &told) {
		f.Message, f.Detail = told.Message, clip(told.Detail)
	}
	return f
}

func clip(text string) string {
	if len(text) > maxDetail {
		return text[:maxDetail] + "…"
	}
	return text
}
