// Package bmc is what the server needs of a baseboard management controller: three calls, each safe to repeat.
// The drivers live below it, one a package; there is no falling through from one driver to another, because the
// first may have acted already.
package bmc

import (
	"context"
	"errors"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Controller is an open way to one BMC. It is not safe for concurrent use: a BMC gets one connection at a time.
type Controller interface {
	// Power returns PowerOn or PowerOff, never PowerUnknown without an error.
	Power(ctx context.Context) (metal.Power, error)
	// SetPower turns the machine on or off (hard). It returns nil when it already is so. It does not wait until
	// the change is observed: the caller asks Power.
	SetPower(ctx context.Context, want metal.Power) error
	// BootOnce makes the next boot, and only that, start from device. mode is the firmware kind the machine boots
	// with, which IPMI needs to know (IPMI 2.0, table 28-14, EFI bit).
	BootOnce(ctx context.Context, device metal.BootDevice, mode metal.BootMode) error
	// Close ends the session at the BMC.
	Close() error
}

// An Endpoint says where a BMC is and how to log in.
type Endpoint struct {
	// Address is host, host:port or, for Redfish, a URL.
	Address  string
	Username string
	Password metal.Secret
	// TLS says how far a Redfish service's certificate is trusted: TLSVerify (the default), TLSPinned or TLSInsecure.
	TLS metal.BMCTLS
	// Timeout bounds each call; zero means 15 s.
	Timeout time.Duration
}

// Dial opens a Controller. Errors are, or wrap, one of the sentinels below where the cause is known.
type Dial func(ctx context.Context, e Endpoint) (Controller, error)

var (
	// ErrUnreachable means that nothing answered at the address in time.
	ErrUnreachable = errors.New("the BMC does not answer")
	// ErrRefused means that the BMC answered and refused the user name or password.
	ErrRefused = errors.New("the BMC refused the user name or password")
	// ErrUntrusted means that the BMC's certificate is neither trusted nor the pinned one.
	ErrUntrusted = errors.New("the BMC's certificate is not trusted")
	// ErrUnsupported means that the BMC answered and does not know the command.
	ErrUnsupported = errors.New("the BMC does not support this command")
)
