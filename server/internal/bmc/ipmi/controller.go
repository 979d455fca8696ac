// Package ipmi drives BMCs over IPMI 2.0 LAN (RMCP+), with cipher suite 17 where the BMC has it, and else 3.
//
// The messages are go-ipmi's; the session is our own: go-ipmi v0.9.1's client does not check the integrity of what it
// receives, slices a short answer out of bounds on a goroutine of its own, and joins the errors of a handshake as text.
package ipmi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/rmcpplus"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	defaultTimeout = 15 * time.Second
	// maxPassword is the room for a password, in bytes (IPMI 2.0, 22.30).
	maxPassword = 20
	// closeTimeout bounds the farewell: a BMC that misses it drops the session by itself after a minute.
	closeTimeout = 2 * time.Second
	// sessionIdle is how long a session is trusted without an exchange. BMCs drop theirs after 60 s, give or take 3
	// (IPMI 2.0, 6.12.15).
	sessionIdle = 45 * time.Second
)

// controller is a session with one BMC. It opens the session anew when the BMC has forgotten it.
type controller struct {
	address  string
	username string
	password metal.Secret
	timeout  time.Duration
	link     *link
	session  *session
	lastUsed time.Time
}

var _ bmc.Dial = Dial

// Dial logs in to the BMC at e.Address, which is host or host:port with 623 as the default port. Errors: Invalid for
// an address or account that cannot be; else the sentinels of package bmc.
func Dial(ctx context.Context, e bmc.Endpoint) (bmc.Controller, error) {
	c, err := newController(e)
	if err != nil {
		return nil, err
	}
	if err := c.open(ctx); err != nil {
		return nil, fmt.Errorf("log in to the BMC at %s: %w", c.address, err)
	}
	return c, nil
}

// newController checks e. The controller is not open yet.
func newController(e bmc.Endpoint) (*controller, error) {
	address, err := parseAddress(e.Address)
	if err != nil {
		return nil, err
	}
	if len(e.Username) > rmcpplus.MaxUserNameLength {
		return nil, metal.Errorf(metal.Invalid, "the user name %q for the BMC at %s has %d bytes: IPMI has room for %d",
			e.Username, address, len(e.Username), rmcpplus.MaxUserNameLength)
	}
	if n := len(e.Password.Reveal()); n > maxPassword {
		return nil, metal.Errorf(metal.Invalid, "the password for the BMC at %s has %d bytes: IPMI 2.0 has room for %d",
			address, n, maxPassword)
	}
	timeout := e.Timeout
	if timeout <= 0 {
		timeout = defaultTimeout
	}
	return &controller{
		address: address, username: e.Username, password: e.Password, timeout: timeout,
		link: &link{firstWait: firstWait(timeout)},
	}, nil
}

// open opens the socket and logs in.
func (c *controller) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "udp", c.address)
	if err != nil {
		return fmt.Errorf("%w: %w", bmc.ErrUnreachable, err)
	}
	c.link.conn = conn
	if err := c.login(ctx); err != nil {
		return errors.Join(err, conn.Close())
	}
	return nil
}

// Power asks for the power state (Get Chassis Status; IPMI 2.0, 28.2).
func (c *controller) Power(ctx context.Context) (metal.Power, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	power, err := c.power(ctx)
	if err != nil {
		return metal.PowerUnknown, fmt.Errorf("ask the BMC at %s for the power state: %w", c.address, err)
	}
	return power, nil
}

// SetPower turns the machine hard on or off (Chassis Control; IPMI 2.0, 28.3).
func (c *controller) SetPower(ctx context.Context, want metal.Power) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.setPower(ctx, want); err != nil {
		return fmt.Errorf("ask the BMC at %s to turn power %s: %w", c.address, want, err)
	}
	return nil
}

// BootOnce sets the boot flags for the next boot (Set System Boot Options; IPMI 2.0, 28.12). BMCs forget them when
// no SetPower follows within 60 seconds (28.13, note on parameter 5).
func (c *controller) BootOnce(ctx context.Context, device metal.BootDevice, mode metal.BootMode) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	if err := c.bootOnce(ctx, device, mode); err != nil {
		return fmt.Errorf("ask the BMC at %s to boot from %s once: %w", c.address, device, err)
	}
	return nil
}

// Close ends the session and closes the socket, which is closed even when the BMC does not answer.
func (c *controller) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), min(c.timeout, closeTimeout))
	defer cancel()
	err := c.logout(ctx)
	if err != nil {
		err = fmt.Errorf("log out of the BMC at %s: %w", c.address, err)
	}
	return errors.Join(err, c.link.conn.Close())
}

func (c *controller) power(ctx context.Context) (metal.Power, error) {
	data, err := c.command(ctx, types.CommandGetChassisStatus, nil)
	if err != nil {
		return "", err
	}
	if len(data) < 3 {
		return "", fmt.Errorf("the answer to %s has %d bytes of at least 3", types.CommandGetChassisStatus.Name, len(data))
	}
	if data[0]&1 != 0 {
		return metal.PowerOn, nil
	}
	return metal.PowerOff, nil
}

// setPower asks first, because some BMCs answer with an error when the machine already is as it should be.
func (c *controller) setPower(ctx context.Context, want metal.Power) error {
	var control chassis.ChassisControl
	switch want {
	case metal.PowerOn:
		control = chassis.ChassisControlPowerUp
	case metal.PowerOff:
		control = chassis.ChassisControlPowerDown
	default:
		return metal.Errorf(metal.Invalid, "%q is not a power state to ask for: on or off", want)
	}
	now, err := c.power(ctx)
	if err != nil || now == want {
		return err
	}
	_, err = c.command(ctx, types.CommandChassisControl, []byte{byte(control)})
	return err
}

// logout closes the session at the BMC, if there is one.
func (c *controller) logout(ctx context.Context) error {
	if c.session == nil {
		return nil
	}
	_, err := c.exchange(ctx, types.CommandCloseSession, c.session.closeRequest())
	c.session = nil
	return err
}
