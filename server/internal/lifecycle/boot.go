package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// errAgentLost means that the agent fell silent in the middle of a step: the machine is booted again.
var errAgentLost = errors.New("the agent on the machine fell silent")

// alive says whether an agent spoke so lately that it still waits for its next step.
func alive(s *store.BootSession, now time.Time, silence time.Duration) bool {
	return s != nil && now.Sub(s.SeenAt) < silence
}

// bootAgent ends when an agent runs in the machine's RAM. One that runs there already is taken as it is: a machine
// that was commissioned a minute ago is deployed without another boot.
func bootAgent(ctx context.Context, j *job) error {
	for {
		var m *metal.Machine
		var w work
		var up bool
		err := j.read(ctx, func(tx *store.Tx, v view) error {
			s, err := tx.BootSessionOf(v.m.ID)
			m, w, up = v.m, *v.w, alive(s, tx.Now, j.e.limits.Silence) && !s.BegunAt.Before(v.w.BootSince)
			return err
		})
		if err != nil || up {
			return err
		}
		if w.Cycling { // metald was stopped in the middle of it
			w.Cycles--
		}
		if w.Cycling || w.Cycles == 0 || j.e.cfg.Now().Sub(w.BootSince) >= j.e.limits.Boot {
			if err := j.startBoot(ctx, m, w.Cycles); err != nil {
				return err
			}
			continue
		}
		left := j.e.limits.Boot - j.e.cfg.Now().Sub(w.BootSince)
		if err := j.awaitSession(ctx, left, w.BootSince); err != nil {
			return err
		}
	}
}

// startBoot makes the machine boot from the network: by its BMC, or by asking a person.
func (j *job) startBoot(ctx context.Context, m *metal.Machine, cycles int) error {
	if cycles >= j.e.limits.Boots {
		return fail("machine %s never called back: it was booted from the network %d times and no agent spoke within %s each time; look at its console: does it boot from the network, and is DHCP served on its VLAN?", m.Spec.Name, cycles, j.e.limits.Boot)
	}
	err := j.update(ctx, func(tx *store.Tx, v view) error {
		v.w.Cycles, v.w.BootSince, v.w.Cycling = cycles+1, tx.Now, !byHand(m)
		if err := tx.EndBootSession(v.m.ID); err != nil {
			return err
		}
		if byHand(m) {
			return note(tx, v.op, "power the machine on by hand: it has no BMC, and must boot from the network")
		}
		return note(tx, v.op, fmt.Sprintf("power-cycle into the network by %s at %s (%d of %d)", m.Spec.BMC.Type, m.Spec.BMC.Address, cycles+1, j.e.limits.Boots))
	})
	if err != nil || byHand(m) {
		return err
	}
	if err := j.e.powerCycle(ctx, m, metal.BootNetwork); err != nil {
		return err
	}
	return j.update(ctx, func(_ *store.Tx, v view) error { v.w.Cycling = false; return nil })
}

func byHand(m *metal.Machine) bool { return m.Spec.BMC == nil || m.Spec.BMC.Type == "manual" }

// awaitSession returns when an agent called that began after since, or after a while.
func (j *job) awaitSession(ctx context.Context, limit time.Duration, since time.Time) error {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		changed := j.e.cfg.DB.Changed()
		var up bool
		err := j.read(ctx, func(tx *store.Tx, v view) error {
			s, err := tx.BootSessionOf(v.m.ID)
			up = s != nil && !s.BegunAt.Before(since)
			return err
		})
		if err != nil || up {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
			return nil
		case <-changed:
		}
	}
}

// ask gives the agent a step and waits for its result. The step's failure is the operation's.
func (j *job) ask(ctx context.Context, s agentapi.Step) (*agentapi.Result, error) {
	err := j.update(ctx, func(tx *store.Tx, v view) error {
		if v.w.Ask == nil {
			s.ID = newID("s")
			v.w.Ask = &s
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for {
		changed := j.e.cfg.DB.Changed()
		var result *agentapi.Result
		var wait time.Duration
		err := j.read(ctx, func(tx *store.Tx, v view) error {
			result = v.w.Answer
			session, err := tx.BootSessionOf(v.m.ID)
			if err == nil && result == nil && !alive(session, tx.Now, j.e.limits.Silence) {
				return errAgentLost
			}
			if session != nil {
				wait = session.SeenAt.Add(j.e.limits.Silence).Sub(tx.Now)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		if result != nil {
			if f := result.Failure; f != nil {
				return nil, fail("%s", f.Message).with(f.Detail)
			}
			return result, nil
		}
		timer := time.NewTimer(max(wait, 10*time.Millisecond))
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
