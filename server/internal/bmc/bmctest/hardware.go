// Package bmctest holds virtual BMCs that speak real protocols over a socket: an IPMI 2.0 one and a Redfish service.
// What they control is behind Hardware, so that the same BMC serves a QEMU machine, a simulated fleet or a test.
package bmctest

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Hardware is the machine behind a virtual BMC. Its methods are called from several goroutines at once. The text of
// an error is shown to the BMC's client where the protocol has room for one.
type Hardware interface {
	// Power returns PowerOn or PowerOff.
	Power(ctx context.Context) (metal.Power, error)
	// SetPower turns the machine hard on or off; it returns nil when it already is so.
	SetPower(ctx context.Context, on bool) error
	// Reset pulls the reset line. It does nothing to a machine that is off.
	Reset(ctx context.Context) error
	// Shutdown presses the ACPI power button of a machine that is on; the operating system decides what follows.
	Shutdown(ctx context.Context) error
	// SetBoot overrides the boot device for the next boot (once) or until further notice; "" takes the override away.
	// uefi asks for the UEFI form of the boot.
	SetBoot(ctx context.Context, device metal.BootDevice, once bool, uefi bool) error
	// Boot returns the override that waits; "" when there is none. The hardware itself consumes a one-time override
	// when the machine starts.
	Boot(ctx context.Context) (device metal.BootDevice, once bool, err error)
}

// Identity is what a virtual BMC tells about the machine and itself.
type Identity struct {
	UUID   string // RFC 9562 text form
	Serial string
	Model  string
	Name   string
	MACs   []metal.MAC // the machine's own network interfaces, not the BMC's
}

// Account is the one account a virtual BMC knows; it has the administrator's rights.
type Account struct {
	Username string
	Password metal.Secret
}
