package ipmi

import (
	"context"
	"errors"
	"fmt"

	"github.com/bougou/go-ipmi/pkg/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

// Completion codes of Set System Boot Options (IPMI 2.0, 28.12).
const (
	codeParameterUnsupported types.CompletionCode = 0x80
	codeSetInProgress        types.CompletionCode = 0x81
)

// Boot option parameters (IPMI 2.0, table 28-14).
const (
	paramSetInProgress = 0
	paramInfoAck       = 4
	paramBootFlags     = 5
)

// Values of parameter 0.
const (
	setComplete   = 0
	setInProgress = 1
)

// bootFlags returns parameter 5 for one boot from device: valid, not persistent, with the EFI bit for UEFI.
func bootFlags(device metal.BootDevice, mode metal.BootMode) ([5]byte, error) {
	flags := [5]byte{0x80}
	if mode == metal.UEFI {
		flags[0] |= 0x20
	}
	switch device {
	case metal.BootNetwork:
		flags[1] = byte(types.BootDeviceSelectorForcePXE) << 2
	case metal.BootDisk:
		flags[1] = byte(types.BootDeviceSelectorForceHardDrive) << 2
	default:
		return flags, metal.Errorf(metal.Invalid, "%q is not a boot device: network or disk", device)
	}
	return flags, nil
}

// bootOnce writes the boot flags between claiming and releasing the boot options.
func (c *controller) bootOnce(ctx context.Context, device metal.BootDevice, mode metal.BootMode) error {
	flags, err := bootFlags(device, mode)
	if err != nil {
		return err
	}
	claimed, err := c.claimBootOptions(ctx)
	if err != nil {
		return err
	}
	err = c.writeBootFlags(ctx, flags)
	if claimed {
		err = errors.Join(err, c.setBootOption(ctx, paramSetInProgress, setComplete))
	}
	return err
}

func (c *controller) writeBootFlags(ctx context.Context, flags [5]byte) error {
	// Tells the firmware that it has not seen these flags yet. Optional in the specification and missing in places,
	// so what the BMC says to it does not matter.
	err := c.setBootOption(ctx, paramInfoAck, 0x01, 0x01)
	if refused := (*completionError)(nil); err != nil && !errors.As(err, &refused) {
		return err
	}
	err = c.setBootOption(ctx, paramBootFlags, flags[:]...)
	if isCode(err, codeParameterUnsupported) {
		return fmt.Errorf("%w: %w", bmc.ErrUnsupported, err)
	}
	return err
}

// claimBootOptions sets set-in-progress, and says whether that has to be taken back. A BMC that does not take the
// parameter (80h by the book, CCh from ipmi_sim) needs no claim. The claim of somebody who never came back is taken
// over: the server talks to a BMC on one connection only.
func (c *controller) claimBootOptions(ctx context.Context) (bool, error) {
	err := c.setBootOption(ctx, paramSetInProgress, setInProgress)
	if isCode(err, codeSetInProgress) {
		return true, nil
	}
	if refused := (*completionError)(nil); errors.As(err, &refused) {
		return false, nil
	}
	return err == nil, err
}

func (c *controller) setBootOption(ctx context.Context, param byte, data ...byte) error {
	_, err := c.command(ctx, types.CommandSetSystemBootOptions, append([]byte{param}, data...))
	return err
}
