package metal

import (
	"slices"
	"strings"
	"time"
)

// State is where a machine is in its life-cycle.
type State string

// Resting states change only by command.
const (
	New                 State = "new"
	Ready               State = "ready"
	Allocated           State = "allocated"
	Deployed            State = "deployed"
	Broken              State = "broken"
	Retired             State = "retired"
	FailedCommissioning State = "failed_commissioning"
	FailedDeployment    State = "failed_deployment"
	FailedReleasing     State = "failed_releasing"
	FailedErasing       State = "failed_erasing"
)

// Working states have a job, a deadline, a success and a failure.
const (
	Commissioning State = "commissioning"
	Deploying     State = "deploying"
	Undeploying   State = "undeploying"
	Erasing       State = "erasing"
	Releasing     State = "releasing"
)

// Back stands in the tables below for "the state it had".
const Back State = "(the state it had)"

// Command is what a person (or a client) asks of a machine.
type Command string

const (
	Commission Command = "commission"
	Allocate   Command = "allocate"
	Deploy     Command = "deploy"
	Undeploy   Command = "undeploy"
	Release    Command = "release"
	Break      Command = "break"
	Fix        Command = "fix"
	Retire     Command = "retire"
)

// Work is one row of the first table: a working state, how it is entered and how it ends.
type Work struct {
	State   State
	Command Command       // enters it; empty: only the state before it leads here
	From    []State       // where the command is allowed
	Done    State         // after success
	Failed  State         // after failure or the deadline
	Aborted State         // after abort
	Limit   time.Duration // default, configurable
}

// Move is one row of the second table: a change that takes effect at once.
type Move struct {
	Command Command
	From    []State
	To      State
}

// Works returns the table of working states. Nothing outside it and Moves assigns a state.
func Works() []Work {
	return []Work{
		{
			Commissioning, Commission,
			[]State{New, Ready, FailedCommissioning, Broken},
			Ready, FailedCommissioning, Back, 30 * time.Minute,
		},
		{
			Deploying, Deploy,
			[]State{Allocated, Deployed, FailedDeployment},
			Deployed, FailedDeployment, FailedDeployment, 45 * time.Minute,
		},
		{
			Undeploying, Undeploy,
			[]State{Deploying, Deployed, Broken, FailedDeployment},
			Allocated, FailedDeployment, FailedDeployment, 10 * time.Minute,
		},
		{
			Erasing, Release,
			[]State{Allocated, Deploying, Deployed, Broken, FailedDeployment, FailedReleasing, FailedErasing},
			Releasing, FailedErasing, FailedErasing, 12 * time.Hour,
		},
		{
			Releasing, "",
			nil,
			Ready, FailedReleasing, FailedReleasing, 15 * time.Minute,
		},
	}
}

// Moves returns the table of changes that need no work.
func Moves() []Move {
	return []Move{
		{Allocate, []State{Ready}, Allocated},
		{Break, []State{New, Ready, Allocated, Deployed, FailedCommissioning, FailedDeployment, FailedReleasing, FailedErasing}, Broken},
		{Fix, []State{Broken}, Ready},
		{Retire, []State{New, Ready, Broken, FailedCommissioning}, Retired},
	}
}

// States returns every state, resting ones first.
func States() []State {
	return []State{
		New, Ready, Allocated, Deployed, Broken, Retired,
		FailedCommissioning, FailedDeployment, FailedReleasing, FailedErasing,
		Commissioning, Deploying, Undeploying, Erasing, Releasing,
	}
}

// Working returns the row of a working state, and false for a resting one.
func Working(s State) (Work, bool) {
	for _, w := range Works() {
		if w.State == s {
			return w, true
		}
	}
	return Work{}, false
}

// Next returns the state that cmd leads to from s at once, or a Conflict error that says where cmd is allowed.
func Next(s State, cmd Command) (State, error) {
	var allowed []State
	for _, w := range Works() {
		if w.Command != cmd {
			continue
		}
		if slices.Contains(w.From, s) {
			return w.State, nil
		}
		allowed = append(allowed, w.From...)
	}
	for _, m := range Moves() {
		if m.Command != cmd {
			continue
		}
		if slices.Contains(m.From, s) {
			return m.To, nil
		}
		allowed = append(allowed, m.From...)
	}
	return "", Errorf(Conflict, "cannot %s a machine that is %s: it must be %s", cmd, s, oneOf(allowed))
}

// oneOf writes states for a person: "new, ready or broken".
func oneOf(states []State) string {
	var b strings.Builder
	for i, s := range states {
		switch {
		case i == 0:
		case i == len(states)-1:
			b.WriteString(" or ")
		default:
			b.WriteString(", ")
		}
		b.WriteString(string(s))
	}
	return b.String()
}
