package bmctest

import (
	"context"
	"fmt"
	"sync"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Boot is one start of a Fake: the override that was in force, which it has consumed if it was for once.
type Boot struct {
	Device metal.BootDevice // "" when the firmware's own order holds
	Once   bool
	UEFI   bool
}

// Fake is Hardware in memory: a machine that is off until told otherwise. The callbacks, which may be nil, are set
// before first use. They run on the caller's goroutine, without locks held, after the state has changed.
type Fake struct {
	OnPowerOn  func(Boot) // from off to on
	OnPowerOff func()     // from on to off
	OnReset    func(Boot) // reset while on
	// OnShutdown is the operating system that hears the power button. Nil means one that powers off at once.
	OnShutdown func()

	mu    sync.Mutex
	on    bool
	boot  Boot
	fault error
}

var _ Hardware = (*Fake)(nil)

// SetFault makes every call but Boot and Power fail with err, until it is set to nil.
func (f *Fake) SetFault(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fault = err
}

// Power returns whether the machine is on.
func (f *Fake) Power(context.Context) (metal.Power, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.on {
		return metal.PowerOn, nil
	}
	return metal.PowerOff, nil
}

// SetPower turns the machine on or off.
func (f *Fake) SetPower(_ context.Context, on bool) error {
	f.mu.Lock()
	if f.fault != nil || f.on == on {
		defer f.mu.Unlock()
		return f.fault
	}
	f.on = on
	var boot Boot
	if on {
		boot = f.start()
	}
	f.mu.Unlock()
	switch {
	case on && f.OnPowerOn != nil:
		f.OnPowerOn(boot)
	case !on && f.OnPowerOff != nil:
		f.OnPowerOff()
	}
	return nil
}

// Reset restarts a machine that is on.
func (f *Fake) Reset(context.Context) error {
	f.mu.Lock()
	if f.fault != nil || !f.on {
		defer f.mu.Unlock()
		return f.fault
	}
	boot := f.start()
	f.mu.Unlock()
	if f.OnReset != nil {
		f.OnReset(boot)
	}
	return nil
}

// Shutdown presses the power button of a machine that is on.
func (f *Fake) Shutdown(ctx context.Context) error {
	f.mu.Lock()
	on, fault := f.on, f.fault
	f.mu.Unlock()
	switch {
	case fault != nil || !on:
		return fault
	case f.OnShutdown != nil:
		f.OnShutdown()
		return nil
	}
	return f.SetPower(ctx, false)
}

// SetBoot overrides the boot device.
func (f *Fake) SetBoot(_ context.Context, device metal.BootDevice, once, uefi bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fault != nil {
		return f.fault
	}
	switch device {
	case "":
		f.boot = Boot{}
	case metal.BootNetwork, metal.BootDisk:
		f.boot = Boot{Device: device, Once: once, UEFI: uefi}
	default:
		return fmt.Errorf("set boot device %q: no such device", device)
	}
	return nil
}

// Boot returns the override that waits.
func (f *Fake) Boot(context.Context) (metal.BootDevice, bool, error) {
	b := f.NextBoot()
	return b.Device, b.Once, nil
}

// NextBoot returns the override that waits, with the kind of boot it asks for.
func (f *Fake) NextBoot() Boot {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.boot
}

// start consumes a one-time override, as firmware does. f.mu is held.
func (f *Fake) start() Boot {
	b := f.boot
	if b.Once {
		f.boot = Boot{}
	}
	return b
}
