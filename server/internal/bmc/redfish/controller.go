// Package redfish drives BMCs over Redfish (DMTF DSP0266), with a session that it closes at the end.
package redfish

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/stmcginnis/gofish/schemas"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	defaultTimeout = 15 * time.Second
	// closeTimeout bounds the farewell: a session that is not closed ends by itself, mostly after half an hour.
	closeTimeout = 5 * time.Second
)

// controller is a login at one Redfish service and the system there that is driven.
type controller struct {
	target  target
	login   *login
	timeout time.Duration
	system  string // path
}

var _ bmc.Dial = Dial

// Dial logs in to the Redfish service at e.Address: host, host:port or an https URL, whose path may name the system
// (/redfish/v1/Systems/...) where a service has several. http is taken only with TLS.Insecure. Errors: Invalid for an
// address, fingerprint or choice of system that cannot be; else the sentinels of package bmc.
func Dial(ctx context.Context, e bmc.Endpoint) (bmc.Controller, error) {
	t, err := parseAddress(e.Address, e.TLS.Insecure)
	if err != nil {
		return nil, err
	}
	transport, err := newTransport(t, e.TLS)
	if err != nil {
		return nil, err
	}
	timeout := e.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	c := &controller{
		target: t, timeout: timeout, system: t.system,
		login: &login{endpoint: t.endpoint, username: e.Username, password: e.Password, transport: transport},
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := c.open(ctx); err != nil {
		_ = c.Close() // the first error tells more
		return nil, fmt.Errorf("log in to the BMC at %s: %w", t.endpoint, err)
	}
	return c, nil
}

// Power returns the system's power state. A system that is on its way is still what it was.
func (c *controller) Power(ctx context.Context) (metal.Power, error) {
	power := metal.PowerUnknown
	err := c.do(ctx, func(system *schemas.ComputerSystem) (err error) {
		power, err = powerOf(system.PowerState)
		return err
	})
	if err != nil {
		return metal.PowerUnknown, fmt.Errorf("ask the BMC at %s for the power state: %w", c.target.endpoint, err)
	}
	return power, nil
}

// SetPower turns the system hard on or off (ComputerSystem.Reset; DSP0268), unless it is so or on its way there.
func (c *controller) SetPower(ctx context.Context, want metal.Power) error {
	err := c.do(ctx, func(system *schemas.ComputerSystem) error { return setPower(system, want) })
	if err != nil {
		return fmt.Errorf("ask the BMC at %s to turn power %s: %w", c.target.endpoint, want, err)
	}
	return nil
}

// BootOnce overrides the boot source for the next boot (ComputerSystem.Boot; DSP0268).
func (c *controller) BootOnce(ctx context.Context, device metal.BootDevice, mode metal.BootMode) error {
	attempts := 0
	err := c.do(ctx, func(system *schemas.ComputerSystem) error {
		attempts++
		// There are services whose ETag does not match itself (weak for strong, other quotes). Ours is the only hand
		// on the BMC, so that after two refusals the precondition is dropped.
		system.DisableEtagMatch(attempts > 2)
		return bootOnce(system, device, mode)
	})
	if err != nil {
		return fmt.Errorf("ask the BMC at %s to boot from %s once: %w", c.target.endpoint, device, err)
	}
	return nil
}

// Close ends the session at the BMC and closes the connections.
func (c *controller) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), min(c.timeout, closeTimeout))
	defer cancel()
	if err := c.login.close(ctx); err != nil {
		return fmt.Errorf("log out of the BMC at %s: %w", c.target.endpoint, err)
	}
	return nil
}

// open logs in and finds the system.
func (c *controller) open(ctx context.Context) error {
	if err := c.login.open(ctx); err != nil {
		return err
	}
	if c.system != "" {
		return nil
	}
	path, err := c.login.onlySystem(ctx)
	c.system = path
	return err
}

// do reads the system and hands it to act, within the time for one call. It does so again when the service was busy
// or somebody changed the system in between, and when the session had ended.
func (c *controller) do(ctx context.Context, act func(*schemas.ComputerSystem) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return retry(ctx, func() error {
		return c.login.with(ctx, func(client schemas.Client) error {
			system, err := schemas.GetComputerSystem(client, c.system)
			if err != nil {
				return err
			}
			return act(system)
		})
	})
}

// powerOf reads a power state (DSP0268, Resource.PowerState).
func powerOf(state schemas.PowerState) (metal.Power, error) {
	switch state {
	case schemas.OnPowerState, schemas.PoweringOffPowerState, schemas.PausedPowerState:
		return metal.PowerOn, nil
	case schemas.OffPowerState, schemas.PoweringOnPowerState:
		return metal.PowerOff, nil
	}
	return metal.PowerUnknown, fmt.Errorf("the system has the power state %q", state)
}

func setPower(system *schemas.ComputerSystem, want metal.Power) error {
	var there []schemas.PowerState
	var kinds []schemas.ResetType // best first
	switch want {
	case metal.PowerOn:
		there = []schemas.PowerState{schemas.OnPowerState, schemas.PoweringOnPowerState}
		kinds = []schemas.ResetType{schemas.OnResetType, schemas.ForceOnResetType}
	case metal.PowerOff:
		there = []schemas.PowerState{schemas.OffPowerState, schemas.PoweringOffPowerState}
		kinds = []schemas.ResetType{schemas.ForceOffResetType}
	default:
		return metal.Errorf(metal.Invalid, "%q is not a power state to ask for: on or off", want)
	}
	if slices.Contains(there, system.PowerState) {
		return nil
	}
	kind, err := resetType(system, kinds)
	if err != nil {
		return err
	}
	system.DisableEtagMatch(true) // an action does not depend on what was read
	_, err = system.Reset(kind)
	return err
}

// resetType returns the first of kinds that the system allows. One that does not tell is taken to allow all.
func resetType(system *schemas.ComputerSystem, kinds []schemas.ResetType) (schemas.ResetType, error) {
	allowed, err := system.GetSupportedResetTypes()
	if err != nil {
		return "", err
	}
	if len(allowed) == 0 {
		return kinds[0], nil
	}
	for _, kind := range kinds {
		if slices.Contains(allowed, kind) {
			return kind, nil
		}
	}
	return "", fmt.Errorf("%w: of the reset types %v it allows %v only", bmc.ErrUnsupported, kinds, allowed)
}

func bootOnce(system *schemas.ComputerSystem, device metal.BootDevice, mode metal.BootMode) error {
	boot := schemas.Boot{BootSourceOverrideEnabled: schemas.OnceBootSourceOverrideEnabled}
	switch device {
	case metal.BootNetwork:
		boot.BootSourceOverrideTarget = schemas.PxeBootSource
	case metal.BootDisk:
		boot.BootSourceOverrideTarget = schemas.HddBootSource
	default:
		return metal.Errorf(metal.Invalid, "%q is not a boot device: network or disk", device)
	}
	allowed := system.Boot.AllowableBootSourceOverrideTargetValues
	if len(allowed) > 0 && !slices.Contains(allowed, boot.BootSourceOverrideTarget) {
		return fmt.Errorf("%w: it can boot from %v, not from %s", bmc.ErrUnsupported, allowed, boot.BootSourceOverrideTarget)
	}
	// Services without the property refuse it. A machine whose firmware nobody saw yet keeps its own mode.
	if mode != "" && system.Boot.BootSourceOverrideMode != "" {
		boot.BootSourceOverrideMode = schemas.LegacyBootSourceOverrideMode
		if mode == metal.UEFI {
			boot.BootSourceOverrideMode = schemas.UEFIBootSourceOverrideMode
		}
	}
	return system.SetBoot(&boot)
}
