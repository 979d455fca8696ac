package bmctest

import (
	"context"
	"log/slog"
	"sync"

	"github.com/bougou/go-ipmi/pkg/command/chassis"
	"github.com/bougou/go-ipmi/pkg/handlers"
	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Completion codes of Set System Boot Options (IPMI 2.0, 28.12).
const (
	codeParameterUnsupported types.CompletionCode = 0x80
	codeSetInProgress        types.CompletionCode = 0x81
)

// Boot option parameters (IPMI 2.0, table 28-14).
const (
	paramSetInProgress = 0
	paramValidBitClear = 3
	paramInfoAck       = 4
	paramBootFlags     = 5
)

// Bits of the first byte of parameter 5, the boot flags.
const (
	flagsValid      = 0x80
	flagsPersistent = 0x40
	flagsEFI        = 0x20
)

// ipmiChassis answers the chassis commands (IPMI 2.0, chapter 28). Unlike a BMC by the book it does not forget boot
// flags when no Chassis Control follows within 60 seconds: a lab machine may be started by hand.
type ipmiChassis struct {
	hw     Hardware
	faults func() Faults
	log    *slog.Logger

	mu         sync.Mutex
	inProgress bool    // parameter 0
	ack        [2]byte // parameter 4
	flags      [5]byte // parameter 5 as last written
}

// status answers Get Chassis Status (28.2).
func (c *ipmiChassis) status(ctx context.Context, _ *handlers.HandlerContext, _ []byte) ([]byte, types.CompletionCode, error) {
	power, err := c.hw.Power(ctx)
	if err != nil {
		return nil, c.failed("read power state", err), nil
	}
	r := chassis.GetChassisStatusResponse{PowerIsOn: power == metal.PowerOn}
	return r.Pack(), types.CodeOK, nil
}

// control answers Chassis Control (28.3).
func (c *ipmiChassis) control(ctx context.Context, _ *handlers.HandlerContext, request []byte) ([]byte, types.CompletionCode, error) {
	var r chassis.ChassisControlRequest
	if err := r.Unpack(request); err != nil {
		return nil, types.CodeRequestDataLengthInvalid, nil
	}
	if c.faults().RefusePower {
		return nil, types.CodeNotSupported, nil
	}
	var err error
	switch r.ChassisControl {
	case chassis.ChassisControlPowerDown:
		err = c.hw.SetPower(ctx, false)
	case chassis.ChassisControlPowerUp:
		err = c.hw.SetPower(ctx, true)
	case chassis.ChassisControlPowerCycle:
		return nil, c.cycle(ctx), nil
	case chassis.ChassisControlHardReset:
		err = c.hw.Reset(ctx)
	case chassis.ChassisControlSoftShutdown:
		err = c.hw.Shutdown(ctx)
	default:
		return nil, types.CodeRequestDataFieldInvalid, nil
	}
	if err != nil {
		return nil, c.failed("control chassis", err), nil
	}
	return nil, types.CodeOK, nil
}

// cycle answers D5h when the machine is off, as table 28-4 recommends.
func (c *ipmiChassis) cycle(ctx context.Context) types.CompletionCode {
	power, err := c.hw.Power(ctx)
	if err == nil && power != metal.PowerOn {
		return types.CodeNotSupported
	}
	if err == nil {
		err = c.hw.SetPower(ctx, false)
	}
	if err == nil {
		err = c.hw.SetPower(ctx, true)
	}
	if err != nil {
		return c.failed("cycle power", err)
	}
	return types.CodeOK
}

// setBootOption answers Set System Boot Options (28.12).
func (c *ipmiChassis) setBootOption(ctx context.Context, _ *handlers.HandlerContext, request []byte) ([]byte, types.CompletionCode, error) {
	if len(request) == 0 {
		return nil, types.CodeRequestDataLengthInvalid, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	param, data := request[0]&0x7f, request[1:]
	switch {
	case param > paramBootFlags || param == 1 || param == 2: // service partition: there is none
		return nil, codeParameterUnsupported, nil
	case len(data) == 0: // only the parameter's own valid bit is written, which is not kept
		return nil, types.CodeOK, nil
	case param == paramSetInProgress:
		claim := data[0]&3 == 1
		if claim && c.inProgress {
			return nil, codeSetInProgress, nil
		}
		c.inProgress = claim
		return nil, types.CodeOK, nil
	case param == paramInfoAck && len(data) >= len(c.ack):
		c.ack = [2]byte(data)
		return nil, types.CodeOK, nil
	case param == paramBootFlags && len(data) >= len(c.flags):
		return nil, c.setFlags(ctx, [5]byte(data)), nil
	case param == paramValidBitClear: // this BMC clears the valid bit in none of the cases the parameter names
		return nil, types.CodeOK, nil
	}
	return nil, types.CodeRequestDataLengthInvalid, nil
}

func (c *ipmiChassis) setFlags(ctx context.Context, flags [5]byte) types.CompletionCode {
	device, ok := deviceOf(flags)
	if !ok {
		return types.CodeRequestDataFieldInvalid
	}
	err := c.hw.SetBoot(ctx, device, device != "" && flags[0]&flagsPersistent == 0, flags[0]&flagsEFI != 0)
	if err != nil {
		return c.failed("set boot flags", err)
	}
	c.flags = flags
	return types.CodeOK
}

// bootOption answers Get System Boot Options (28.13).
func (c *ipmiChassis) bootOption(ctx context.Context, _ *handlers.HandlerContext, request []byte) ([]byte, types.CompletionCode, error) {
	if len(request) < 3 {
		return nil, types.CodeRequestDataLengthInvalid, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	param := request[0] & 0x7f
	answer := []byte{1, param} // parameter version, valid and unlocked
	switch param {
	case paramSetInProgress:
		state := byte(0)
		if c.inProgress {
			state = 1
		}
		return append(answer, state), types.CodeOK, nil
	case paramValidBitClear:
		return append(answer, 0x1f), types.CodeOK, nil // not cleared on any of the five occasions
	case paramInfoAck:
		return append(answer, c.ack[:]...), types.CodeOK, nil
	case paramBootFlags:
		device, once, err := c.hw.Boot(ctx)
		if err != nil {
			return nil, c.failed("read boot flags", err), nil
		}
		flags := currentFlags(c.flags, device, once)
		return append(answer, flags[:]...), types.CodeOK, nil
	}
	return nil, codeParameterUnsupported, nil
}

// failed logs what the hardware said, for which a completion code has no room.
func (c *ipmiChassis) failed(act string, err error) types.CompletionCode {
	c.log.Warn("hardware refused", "act", act, "error", err)
	return types.CodeUnspecifiedError
}

// deviceOf returns what boot flags ask for: "" for no override, and false for a device that is not there.
func deviceOf(flags [5]byte) (metal.BootDevice, bool) {
	selector := types.BootDeviceSelector(flags[1] >> 2 & 0x0f)
	switch {
	case flags[0]&flagsValid == 0 || selector == types.BootDeviceSelectorNoOverride:
		return "", true
	case selector == types.BootDeviceSelectorForcePXE:
		return metal.BootNetwork, true
	case selector == types.BootDeviceSelectorForceHardDrive:
		return metal.BootDisk, true
	}
	return "", false
}

// currentFlags returns the flags that are true now: those written, unless the hardware has consumed them or somebody
// has set the boot device past this BMC, in which case the EFI bit is not known and left out.
func currentFlags(written [5]byte, device metal.BootDevice, once bool) [5]byte {
	if d, _ := deviceOf(written); d == device && (device == "" || once == (written[0]&flagsPersistent == 0)) {
		if device == "" {
			written[0] &^= flagsValid
		}
		return written
	}
	flags := [5]byte{flagsValid}
	switch device {
	case metal.BootNetwork:
		flags[1] = byte(types.BootDeviceSelectorForcePXE) << 2
	case metal.BootDisk:
		flags[1] = byte(types.BootDeviceSelectorForceHardDrive) << 2
	default:
		return [5]byte{}
	}
	if !once {
		flags[0] |= flagsPersistent
	}
	return flags
}
