// Package agent is what metal-agent does once it has a network: it says hello to the server, takes steps, does them
// on the machine it runs on, and reports. It goes on for ever; only the server or the power switch ends it.
package agent

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
)

// nextWait is how long the server may hold the call for the next step.
const nextWait = 55 * time.Second

// Server is the part of agentapi.Client that the agent needs.
type Server interface {
	Hello(ctx context.Context, h agentapi.Hello) (agentapi.Session, error)
	Next(ctx context.Context, wait time.Duration) (*agentapi.Step, error)
	Progress(ctx context.Context, p agentapi.Progress) (agentapi.ProgressReply, error)
	Result(ctx context.Context, r agentapi.Result) error
}

// Machine is the computer the agent works on.
type Machine interface {
	// Hello tells what the machine is, for the first message. The token and the boot id are not the machine's.
	Hello() agentapi.Hello
	// SetClock sets the clock to the server's.
	SetClock(unixSeconds int64) error
	Inventory(ctx context.Context) (metal.Inventory, error)
	Erase(ctx context.Context, e agentapi.Erase, progress func(float64)) ([]metal.DiskWiped, error)
	Write(ctx context.Context, w agentapi.Write, progress func(float64)) (agentapi.Written, error)
	Install(ctx context.Context, in agentapi.Install, progress func(float64)) (agentapi.Written, error)
	// Reboot and PowerOff return only when they failed.
	Reboot(ctx context.Context, r agentapi.Reboot) error
	PowerOff() error
}

// Options are what an Agent is made of.
type Options struct {
	Server  Server
	Machine Machine
	Token   metal.Secret // of the kernel command line
	BootID  string       // random, the same for the whole boot
	Log     *slog.Logger
	Ring    *LogRing // what Log writes into
	Pause   Pause    // Sleep, but in tests
	// Every is how often a working step may report: at most twice a second by the contract.
	Every time.Duration
}

// Agent talks to the server and does its steps.
type Agent struct {
	Options
	// last is the latest result, kept so that a step that is given again is answered without doing it again.
	last *agentapi.Result
}

// New returns an agent.
func New(o Options) *Agent { return &Agent{Options: o} }

// Run says hello and does steps until ctx ends. Whatever goes wrong with the server is tried again.
func (a *Agent) Run(ctx context.Context) error {
	if !a.hello(ctx) {
		return nil
	}
	tries := &backoff{pause: a.Pause}
	for ctx.Err() == nil {
		step, err := a.Server.Next(ctx, nextWait)
		switch {
		case err != nil:
			if !a.retry(ctx, "ask for the next step", err, tries) {
				return nil
			}
		case step != nil:
			tries.failures = 0
			a.serve(ctx, *step)
		default:
			tries.failures = 0
		}
	}
	return nil
}

// hello tries until the server has opened a session. It returns false when ctx ended.
func (a *Agent) hello(ctx context.Context) bool {
	tries := &backoff{pause: a.Pause}
	for ctx.Err() == nil {
		hello := a.Machine.Hello()
		hello.Token, hello.BootID = a.Token.Reveal(), a.BootID
		session, err := a.Server.Hello(ctx, hello)
		if err == nil {
			a.Log.Info("session opened", "machine", session.Name, "id", session.MachineID)
			if err := a.Machine.SetClock(session.UnixTime); err != nil {
				a.Log.Warn("the clock stays as it is", "error", err)
			}
			return true
		}
		if errors.Is(err, agentapi.ErrGone) {
			a.powerOff(ctx, "the server has no use for this boot")
		}
		a.Log.Warn("say hello", "error", err)
		tries.wait(ctx)
	}
	return false
}

// retry deals with a call that went wrong: it opens a new session, powers off, or waits a little. It returns
// false when ctx ended.
func (a *Agent) retry(ctx context.Context, doing string, err error, tries *backoff) bool {
	if ctx.Err() != nil {
		return false
	}
	switch {
	case errors.Is(err, agentapi.ErrGone):
		a.powerOff(ctx, "the server has no use for this boot any more")
	case metal.CodeOf(err) == metal.Unauthorized && tries.failures == 0:
		// Counted, so that a server that opens sessions and then refuses them is not asked in a tight circle.
		tries.failures++
		a.Log.Info("session is not known any more, saying hello again")
		return a.hello(ctx)
	case metal.CodeOf(err) == metal.Unauthorized:
		return tries.wait(ctx) && a.hello(ctx)
	}
	a.Log.Warn(doing, "error", err, "failures", tries.failures+1)
	return tries.wait(ctx)
}

// serve does one step and delivers its result. Steps that end the RAM environment are answered before the act.
func (a *Agent) serve(ctx context.Context, step agentapi.Step) {
	if a.last == nil || a.last.StepID != step.ID {
		result, over := a.work(ctx, step)
		if over {
			a.powerOff(ctx, "the server has no use for this boot any more")
			return
		}
		if ctx.Err() != nil {
			return // the agent stops: the server gives the step again to whoever comes next
		}
		a.last = &result
	} else {
		a.Log.Info("step was done before, sending its result again", "step", step.ID)
	}
	if !a.deliver(ctx, *a.last) || a.last.Failure != nil {
		return
	}
	switch step.Kind {
	case agentapi.StepReboot:
		a.Log.Info("leaving the RAM environment", "kexec", step.Reboot.Kexec)
		if err := a.Machine.Reboot(ctx, *step.Reboot); err != nil {
			a.Log.Error("reboot", "error", err)
		}
	case agentapi.StepPowerOff:
		a.powerOff(ctx, "as told")
	}
}

// deliver sends a result until the server has it. It returns false when ctx ended, or when the server does not
// want it.
func (a *Agent) deliver(ctx context.Context, result agentapi.Result) bool {
	tries := &backoff{pause: a.Pause}
	for ctx.Err() == nil {
		lines, taken := a.Ring.Pending()
		result.Log = lines
		err := a.Server.Result(ctx, result)
		switch metal.CodeOf(err) {
		case "":
			a.Ring.Forget(taken)
			return true
		case metal.NotFound, metal.Conflict, metal.Invalid, metal.Forbidden:
			a.Log.Warn("the server does not take the result", "step", result.StepID, "error", err)
			// A step that comes back all the same is answered from memory; do not do that in a tight circle.
			tries.wait(ctx)
			return false
		}
		if !a.retry(ctx, "deliver the result", err, tries) {
			return false
		}
	}
	return false
}

// powerOff ends the boot. Where it does not work the agent stays, and asks on.
func (a *Agent) powerOff(ctx context.Context, why string) {
	a.Log.Info("power off", "why", why)
	if err := a.Machine.PowerOff(); err != nil {
		a.Log.Error("power off", "error", err)
	}
	a.Pause(ctx, lastPause)
}
