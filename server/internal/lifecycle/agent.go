package lifecycle

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// Ids of the steps that belong to no operation.
const (
	enlistStep = "enlist" // the inventory of a machine that nobody asked about
	restStep   = "rest"   // power-off of a machine that was ready for long
)

// errRestarted says that the machine runs from memory, and has no system any more.
var errRestarted = errors.New("the machine started again")

// An Enlister adds a machine that nobody declared, in the caller's transaction.
type Enlister func(tx *store.Tx, h agentapi.Hello) (*metal.Machine, error)

// Hello begins the session of one boot. The machine is found by its MAC addresses, or by its SMBIOS UUID where a
// NIC was changed; an unknown one is enlisted.
func (e *Engine) Hello(ctx context.Context, h agentapi.Hello, enlist Enlister) (agentapi.Session, error) {
	mac, nonce, err := e.openBootToken(h.Token)
	if err != nil {
		return agentapi.Session{}, err
	}
	if h.BootID == "" || !slices.Contains(h.MACs, mac) {
		return agentapi.Session{}, metal.Errorf(metal.Unauthorized, "the boot token was given to %s, which is none of this machine's NICs", mac)
	}
	token, hash := newSessionToken()
	var m *metal.Machine
	err = e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		bootID, machineID, err := tx.BootTokenUse(nonce)
		switch {
		case err != nil:
			return err
		case bootID != "" && bootID != h.BootID:
			return metal.Errorf(metal.Unauthorized, "the boot token was used by another boot: boot the machine from the network again")
		case bootID != "":
			if _, err := tx.Machine(machineID); err != nil { // forgotten since: this boot does not enlist it anew
				return err
			}
		}
		if m, err = recognise(tx, mac, h); err != nil {
			return err
		}
		if m == nil {
			if m, err = enlist(tx, h); err != nil {
				return err
			}
		}
		m.AgentSeen, m.Power = tx.Now, metal.PowerOn
		m.Hardware.BootMode, m.Hardware.Arch = h.BootMode, h.Arch
		if err := tx.SaveMachine(m); err != nil {
			return err
		}
		begun := tx.Now
		if s, err := tx.BootSessionOf(m.ID); err != nil {
			return err
		} else if s != nil && s.BootID == h.BootID {
			begun = s.BegunAt // the same boot says hello again, after a restart of the server
		}
		return tx.PutBootSession(store.BootSession{MachineID: m.ID, Nonce: nonce, BootID: h.BootID, Hash: hash, BegunAt: begun, SeenAt: tx.Now})
	})
	if err != nil {
		return agentapi.Session{}, err
	}
	return agentapi.Session{Token: token, MachineID: m.ID, Name: m.Spec.Name, UnixTime: e.cfg.Now().Unix()}, nil
}

func recognise(tx *store.Tx, mac metal.MAC, h agentapi.Hello) (*metal.Machine, error) {
	for _, mac := range append([]metal.MAC{mac}, h.MACs...) {
		m, err := tx.MachineByMAC(mac)
		if err == nil || metal.CodeOf(err) != metal.NotFound {
			return m, err
		}
	}
	if h.SMBIOS.UUID == "" {
		return nil, nil
	}
	known, err := tx.Machines(store.MachineFilter{UUID: h.SMBIOS.UUID})
	if err != nil || len(known) != 1 { // boards with the same made-up UUID are told apart by their NICs alone
		return nil, err
	}
	return &known[0], nil
}

// Session returns the machine that a session token speaks for; metal.Unauthorized.
func (e *Engine) Session(ctx context.Context, token string) (machineID string, err error) {
	err = e.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		s, err := tx.BootSessionByHash(hashToken(token))
		if err == nil && s == nil {
			return metal.Errorf(metal.Unauthorized, "the session is not known: say hello again")
		}
		if err == nil {
			machineID = s.MachineID
		}
		return err
	})
	return machineID, err
}

// Next returns what the agent of a machine is to do, or nil when there was nothing for as long as wait.
func (e *Engine) Next(ctx context.Context, machineID string, wait time.Duration) (*agentapi.Step, error) {
	if err := e.see(ctx, machineID); err != nil {
		return nil, err
	}
	end := e.cfg.Now().Add(wait)
	for {
		changed := e.cfg.DB.Changed()
		var s *agentapi.Step
		var idleFor time.Duration
		err := e.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
			s, idleFor, err = e.nextStep(tx, machineID)
			return err
		})
		if errors.Is(err, errRestarted) {
			if err := e.restart(ctx, machineID); err != nil {
				return nil, err
			}
			continue
		}
		left := end.Sub(e.cfg.Now())
		if err != nil || s != nil || left <= 0 {
			return s, err
		}
		if idleFor > 0 {
			left = min(left, idleFor)
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
		case <-timer.C:
		case <-changed:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
}

// nextStep decides what the agent does now; idleFor is how long until the answer changes by itself.
func (e *Engine) nextStep(tx *store.Tx, machineID string) (s *agentapi.Step, idleFor time.Duration, err error) {
	m, err := tx.Machine(machineID)
	if err != nil {
		return nil, 0, err
	}
	if open, err := tx.OpenOperation(machineID); err != nil {
		return nil, 0, err
	} else if open != nil {
		w := new(work)
		if _, err := tx.Operation(open.ID, w); err != nil || w.Answer != nil {
			return nil, 0, err
		}
		s, err := e.handOut(tx, m, open, w)
		return s, 0, err
	}
	if memory, err := RunsFromMemory(tx, m); err != nil {
		return nil, 0, err
	} else if memory {
		return nil, 0, errRestarted
	}
	if m.State == metal.New && m.Hardware.CPUs == 0 {
		return &agentapi.Step{ID: enlistStep, Kind: agentapi.StepInventory}, 0, nil
	}
	since, err := idleSince(tx, m)
	if err != nil {
		return nil, 0, err
	}
	s, idleFor = idleStep(m, since, tx.Now, e.limits.Idle)
	return s, idleFor, nil
}

// idleSince returns when the machine was last worked on, or booted.
func idleSince(tx *store.Tx, m *metal.Machine) (since time.Time, err error) {
	if s, err := tx.BootSessionOf(m.ID); err != nil {
		return since, err
	} else if s != nil {
		since = s.BegunAt
	}
	if m.OperationID == "" {
		return since, nil
	}
	last, err := tx.Operation(m.OperationID, nil)
	if err == nil && last.EndedAt.After(since) {
		since = last.EndedAt
	}
	return since, err
}

// idleStep is what an agent does on a machine that nothing worked on since a time; left is how long until that changes.
func idleStep(m *metal.Machine, since, now time.Time, idle time.Duration) (s *agentapi.Step, left time.Duration) {
	switch m.State {
	case metal.Deployed: // it went into the RAM environment by accident
		return &agentapi.Step{ID: "leave", Kind: agentapi.StepReboot, Reboot: &agentapi.Reboot{}}, 0
	case metal.Ready:
		if byHand(m) { // nobody could switch it on again
			return nil, 0
		}
		if left := since.Add(idle).Sub(now); left > 0 {
			return nil, left
		}
		return &agentapi.Step{ID: restStep, Kind: agentapi.StepPowerOff}, 0
	default:
		return nil, 0
	}
}

func (e *Engine) see(ctx context.Context, machineID string) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error { return tx.SeeBootSession(machineID) })
}

// Progress notes how far the agent is. It answers true when the step was called off.
func (e *Engine) Progress(ctx context.Context, machineID string, p agentapi.Progress) (cancel bool, err error) {
	err = e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.SeeBootSession(machineID); err != nil {
			return err
		}
		op, w, err := asked(tx, machineID, p.StepID)
		if err != nil || op == nil {
			cancel = op == nil && p.StepID != enlistStep
			return err
		}
		op.Progress = min(max(p.Fraction, 0), 1)
		if err := note(tx, op, clip(p.Log)...); err != nil {
			return err
		}
		return tx.SaveOperation(op, w)
	})
	return cancel, err
}

// Result notes how a step ended. A repeat, or the result of a step that was called off, changes nothing.
func (e *Engine) Result(ctx context.Context, machineID string, r agentapi.Result) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if err := tx.SeeBootSession(machineID); err != nil {
			return err
		}
		switch r.StepID {
		case enlistStep:
			return e.enlisted(tx, machineID, r)
		case restStep:
			return e.resting(tx, machineID)
		}
		op, w, err := asked(tx, machineID, r.StepID)
		if err != nil || op == nil || w.Answer != nil {
			return err
		}
		w.Answer = &r
		if err := note(tx, op, clip(r.Log)...); err != nil {
			return err
		}
		w.Answer.Log = nil
		return tx.SaveOperation(op, w)
	})
}

func (e *Engine) enlisted(tx *store.Tx, machineID string, r agentapi.Result) error {
	m, err := tx.Machine(machineID)
	if err != nil || r.Failure != nil {
		return err
	}
	var inv metal.Inventory
	if err := json.Unmarshal(r.Output, &inv); err != nil {
		return metal.Errorf(metal.Invalid, "the inventory cannot be read: %v", err)
	}
	if err := keepInventory(tx, m, &inv); err != nil {
		return err
	}
	return tx.AddEvent("machine", m.ID, m.Spec.Name+" enlisted itself: "+m.Hardware.Product)
}

func (e *Engine) resting(tx *store.Tx, machineID string) error {
	m, err := tx.Machine(machineID)
	if err != nil {
		return err
	}
	m.Power = metal.PowerOff
	if err := tx.EndBootSession(machineID); err != nil {
		return err
	}
	return tx.SaveMachine(m)
}

// asked returns the open operation that gave the agent this step; nil when it is over.
func asked(tx *store.Tx, machineID, stepID string) (*metal.Operation, *work, error) {
	open, err := tx.OpenOperation(machineID)
	if err != nil || open == nil {
		return nil, nil, err
	}
	w := new(work)
	op, err := tx.Operation(open.ID, w)
	if err != nil || w.Ask == nil || w.Ask.ID != stepID {
		return nil, nil, err
	}
	return op, w, nil
}

// clip bounds what a machine can put into the log at once.
func clip(lines []string) []string {
	const most, width = 200, 1000
	if len(lines) > most {
		lines = append([]string{fmt.Sprintf("(%d lines left out)", len(lines)-most)}, lines[len(lines)-most:]...)
	}
	for i, l := range lines {
		if len(l) > width {
			lines[i] = l[:width] + "..."
		}
	}
	return lines
}

// PhoneHome notes that the system which an operation installed is up. A wrong token is metal.Unauthorized; a call
// after the operation ended changes nothing.
func (e *Engine) PhoneHome(ctx context.Context, operation, token string, hostKeys []string) error {
	return e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		op, w, err := installed(tx, operation, token)
		if err != nil || op == nil || w.Reported {
			return err
		}
		d, err := tx.Deployment(w.Deployment)
		if err != nil {
			return err
		}
		d.SSHHostKeys = hostKeys
		if err := tx.SaveDeployment(d); err != nil {
			return err
		}
		w.Reported, w.ReportedAt = true, tx.Now
		if err := note(tx, op, "the installed system called back"); err != nil {
			return err
		}
		return tx.SaveOperation(op, w)
	})
}

// WantsAgent says whether a machine that boots from the network now is to boot its RAM environment.
func WantsAgent(tx *store.Tx, m *metal.Machine) (bool, error) {
	if m.State == metal.New {
		return true, nil
	}
	open, err := tx.OpenOperation(m.ID)
	if err != nil || open == nil {
		return false, err
	}
	w := new(work)
	op, err := tx.Operation(open.ID, w)
	if err != nil {
		return false, err
	}
	return wantsAgent(op.Kind, w), nil
}
