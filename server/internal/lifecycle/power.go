package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const (
	bmcTries   = 3
	settleTime = 60 * time.Second // a machine that is told to go off or on is expected to by then
)

// withBMC opens a machine's BMC, one caller at a time, and closes it after f. Nothing answering is tried again with
// back-off; a refused password is not: accounts lock.
func (e *Engine) withBMC(ctx context.Context, m *metal.Machine, f func(bmc.Controller) error) error {
	dial, ok := e.cfg.Dial[m.Spec.BMC.Type]
	if !ok {
		return fail("machine %s has a BMC of type %q, which this server does not speak", m.Spec.Name, m.Spec.BMC.Type)
	}
	gate := e.gate(m.ID)
	gate.Lock()
	defer gate.Unlock()
	at, err := e.endpoint(ctx, m)
	if err != nil {
		return err
	}
	for try := 1; ; try++ {
		err = once(ctx, dial, at, f)
		e.noteLogin(m.ID, at, err)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return bmcFailure(m, err, try)
		}
		if try == bmcTries || errors.Is(err, bmc.ErrRefused) || errors.Is(err, bmc.ErrUntrusted) || errors.Is(err, bmc.ErrUnsupported) {
			return bmcFailure(m, err, try)
		}
		select {
		case <-ctx.Done():
			return bmcFailure(m, err, try)
		case <-time.After(time.Duration(try) * 2 * time.Second):
		}
	}
}

// noteLogin remembers with what a BMC refused to let us in: the watch on its power does not try that again.
func (e *Engine) noteLogin(machine string, at bmc.Endpoint, err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.refused, machine)
	if errors.Is(err, bmc.ErrRefused) {
		e.refused[machine] = at
	}
}

func (e *Engine) wasRefused(machine string, at bmc.Endpoint) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	before, ok := e.refused[machine]
	return ok && before == at
}

// endpoint is where and with what to log in to a machine's BMC.
func (e *Engine) endpoint(ctx context.Context, m *metal.Machine) (at bmc.Endpoint, err error) {
	at = bmc.Endpoint{Address: m.Spec.BMC.Address, Username: m.Spec.BMC.Username, TLS: m.Spec.BMC.TLS}
	err = e.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
		at.Password, err = tx.BMCPassword(m.ID)
		return err
	})
	return at, err
}

func once(ctx context.Context, dial bmc.Dial, at bmc.Endpoint, f func(bmc.Controller) error) error {
	c, err := dial(ctx, at)
	if err != nil {
		return err
	}
	err = f(c)
	// A session that cannot be closed ends by itself; the work is done.
	_ = c.Close()
	return err
}

func bmcFailure(m *metal.Machine, err error, tries int) error {
	at := fmt.Sprintf("the BMC of machine %s (%s at %s)", m.Spec.Name, m.Spec.BMC.Type, m.Spec.BMC.Address)
	var f *failure
	switch {
	case errors.Is(err, bmc.ErrRefused):
		f = fail("%s refused the user name %q or its password: correct them in the machine's bmc block", at, m.Spec.BMC.Username)
	case errors.Is(err, bmc.ErrUntrusted):
		f = fail("%s shows a certificate that is not trusted: set bmc.tls.fingerprint to its SHA-256, or bmc.tls.insecure", at)
	case errors.Is(err, bmc.ErrUnreachable):
		f = fail("%s does not answer (%d tries): check its address, cable and network", at, tries)
	case errors.Is(err, bmc.ErrUnsupported):
		f = fail("%s does not support what was asked of it", at)
	default:
		f = fail("%s failed: %v", at, err)
	}
	return f.with(err.Error()).because(err)
}

func (e *Engine) gate(machine string) *sync.Mutex {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gates[machine] == nil {
		e.gates[machine] = new(sync.Mutex)
	}
	return e.gates[machine]
}

// bootOnce makes the machine's next boot start from device.
func (e *Engine) bootOnce(ctx context.Context, m *metal.Machine, device metal.BootDevice) error {
	return e.withBMC(ctx, m, func(c bmc.Controller) error { return c.BootOnce(ctx, device, m.Hardware.BootMode) })
}

// setPower switches a machine and waits until its BMC says that it is so.
func (e *Engine) setPower(ctx context.Context, m *metal.Machine, want metal.Power) error {
	return e.withBMC(ctx, m, func(c bmc.Controller) error { return switchAndSee(ctx, c, want) })
}

// powerCycle turns a machine off, sees it off, and turns it on from device. There is no "cycle" command in it: each
// part is safe to repeat.
func (e *Engine) powerCycle(ctx context.Context, m *metal.Machine, device metal.BootDevice) error {
	return e.withBMC(ctx, m, func(c bmc.Controller) error {
		if err := switchAndSee(ctx, c, metal.PowerOff); err != nil {
			return err
		}
		if err := c.BootOnce(ctx, device, m.Hardware.BootMode); err != nil {
			return err
		}
		return switchAndSee(ctx, c, metal.PowerOn)
	})
}

func switchAndSee(ctx context.Context, c bmc.Controller, want metal.Power) error {
	ctx, cancel := context.WithTimeoutCause(ctx, settleTime, fmt.Errorf("the BMC accepted the command, and the machine is not %s after %s", want, settleTime))
	defer cancel()
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, 2*time.Second) {
		have, err := c.Power(ctx)
		if err != nil {
			return err
		}
		if have == want {
			return nil
		}
		if err := c.SetPower(ctx, want); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// switchPower is the step of a power operation.
func switchPower(ctx context.Context, j *job) error {
	var m *metal.Machine
	var action string
	if err := j.read(ctx, func(_ *store.Tx, v view) error { m, action = v.m, v.w.Action; return nil }); err != nil {
		return err
	}
	if byHand(m) {
		return fail("machine %s has no BMC: switch it by hand, or declare its bmc block", m.Spec.Name)
	}
	want := metal.PowerOn
	if action == "off" {
		want = metal.PowerOff
	}
	var err error
	if action == "cycle" {
		if err = j.e.setPower(ctx, m, metal.PowerOff); err != nil {
			return err
		}
	}
	if err = j.e.setPower(ctx, m, want); err != nil {
		return err
	}
	return j.update(ctx, func(tx *store.Tx, v view) error {
		v.m.Power = want
		if action != "on" {
			if err := tx.EndBootSession(v.m.ID); err != nil {
				return err
			}
		}
		return tx.SaveMachine(v.m)
	})
}

const (
	watchEvery = time.Minute
	watchers   = 8
)

// watchPower keeps the observed power of every machine with a BMC up to date.
func (e *Engine) watchPower(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			e.observeAll(ctx)
		}
	}
}

func (e *Engine) observeAll(ctx context.Context) {
	var machines []metal.Machine
	err := e.cfg.DB.Read(ctx, func(tx *store.Tx) (err error) {
		machines, err = tx.Machines(store.MachineFilter{})
		return err
	})
	if err != nil {
		e.cfg.Log.Error("observe power", "error", err)
		return
	}
	e.forgetBMCs(machines)
	var wg sync.WaitGroup
	slots := make(chan struct{}, watchers)
	for _, m := range machines {
		if byHand(&m) || !m.Settled || ctx.Err() != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			e.observe(ctx, &m)
		})
	}
	wg.Wait()
}

// forgetBMCs drops what is remembered of machines that are no more.
func (e *Engine) forgetBMCs(machines []metal.Machine) {
	known := make(map[string]bool, len(machines))
	for _, m := range machines {
		known[m.ID] = true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	maps.DeleteFunc(e.gates, func(id string, _ *sync.Mutex) bool { return !known[id] })
	maps.DeleteFunc(e.refused, func(id string, _ bmc.Endpoint) bool { return !known[id] })
}

func (e *Engine) observe(ctx context.Context, m *metal.Machine) {
	// Once a minute with a password that is wrong would lock the account for everybody.
	at, err := e.endpoint(ctx, m)
	if err != nil || e.wasRefused(m.ID, at) {
		return
	}
	var seen metal.Power
	err = e.withBMC(ctx, m, func(c bmc.Controller) (err error) { seen, err = c.Power(ctx); return err })
	if err != nil {
		e.cfg.Log.Warn("observe power", "machine", m.Spec.Name, "error", err)
		seen = metal.PowerUnknown
	}
	if seen == m.Power || ctx.Err() != nil {
		return
	}
	err = e.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		now, err := tx.Machine(m.ID)
		if err != nil || !now.Settled {
			return err
		}
		now.Power = seen
		return tx.SaveMachine(now)
	})
	if err != nil && ctx.Err() == nil {
		e.cfg.Log.Warn("note power", "machine", m.Spec.Name, "error", err)
	}
}
