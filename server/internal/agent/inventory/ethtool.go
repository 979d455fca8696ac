package inventory

import (
	"strings"

	"github.com/safchain/ethtool"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Drivers asks the kernel's drivers by ethtool's ioctl.
type Drivers struct{ socket *ethtool.Ethtool }

// OpenDrivers opens the socket that the questions go through.
func OpenDrivers() (*Drivers, error) {
	e, err := ethtool.NewEthtool()
	if err != nil {
		return nil, err
	}
	return &Drivers{e}, nil
}

// Close closes the socket.
func (d *Drivers) Close() { d.socket.Close() }

// Firmware returns the firmware's version; many drivers tell none.
func (d *Drivers) Firmware(nic string) string {
	info, err := d.socket.DriverInfo(nic)
	if err != nil {
		return ""
	}
	return meaningful(strings.TrimSpace(info.FwVersion))
}

// PermanentMAC returns the NIC's own address; virtual NICs may have none.
func (d *Drivers) PermanentMAC(nic string) metal.MAC {
	addr, err := d.socket.PermAddr(nic)
	if err != nil {
		return ""
	}
	mac, err := metal.ParseMAC(addr)
	if err != nil {
		return "" // all zeros: the driver does not know
	}
	return mac
}
