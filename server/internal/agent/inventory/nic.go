package inventory

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agent/network"
)

// Ethtool asks a NIC's driver what sysfs does not tell.
type Ethtool interface {
	// Firmware returns the version of the NIC's firmware, or empty.
	Firmware(nic string) string
	// PermanentMAC returns the address that the NIC was made with, or empty.
	PermanentMAC(nic string) metal.MAC
}

// nics lists the NICs that are hardware. Their MAC is the permanent one where the driver knows it: a bond lends its
// address to its members.
func (s Sources) nics() []metal.NIC {
	names := network.Hardware(s.Sys)
	all := make([]metal.NIC, 0, len(names))
	for _, name := range names {
		dir := filepath.Join(s.Sys, "class/net", name)
		n := metal.NIC{
			Name:      name,
			Driver:    link(dir, "device/driver"),
			Carrier:   text(dir, "carrier") == "1",
			SpeedMbps: max(0, number(0, dir, "speed")), // -1 when the driver does not know
			NUMANode:  max(0, s.numaNode(dir)),
			PCI:       pciAddress(dir),
		}
		if mac, err := metal.ParseMAC(text(dir, "address")); err == nil {
			n.MAC = mac
		}
		if s.NICs != nil {
			n.Firmware = s.NICs.Firmware(name)
			if mac := s.NICs.PermanentMAC(name); mac != "" {
				n.MAC = mac
			}
		}
		if n.MAC == "" {
			continue // not one that a machine could be known by, or boot from
		}
		n.Boot = n.MAC == s.BootMAC
		if s.Neighbor != nil {
			n.LLDP = s.Neighbor(name)
		}
		all = append(all, n)
	}
	return all
}

// pciAddress returns the address of the PCI function that a NIC is on; empty when it is on none. A virtio NIC is a
// device of its own below the function.
func pciAddress(dir string) string {
	device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	if err != nil {
		return ""
	}
	for ; len(device) > 1; device = filepath.Dir(device) {
		if name := filepath.Base(device); isPCIAddress(name) {
			return name
		}
	}
	return ""
}

// isPCIAddress says whether s is as 0000:3b:00.1: domain (of four digits or more), bus, device and function.
func isPCIAddress(s string) bool {
	domain, rest, ok := strings.Cut(s, ":")
	if !ok || len(domain) < 4 || len(rest) != len("3b:00.1") || rest[2] != ':' || rest[5] != '.' {
		return false
	}
	return strings.Trim(domain+rest[:2]+rest[3:5]+rest[6:], "0123456789abcdef") == ""
}

// numaNode returns the node that a device is near; the nearest device above it tells it.
func (s Sources) numaNode(dir string) int {
	device, err := filepath.EvalSymlinks(filepath.Join(dir, "device"))
	if err != nil {
		return 0
	}
	for ; len(device) > len(s.Sys); device = filepath.Dir(device) {
		if _, err := os.Stat(filepath.Join(device, "numa_node")); err == nil {
			return number(0, device, "numa_node")
		}
	}
	return 0
}

// MACs returns the addresses of the NICs that are hardware, as sysfs tells them.
func (s Sources) MACs() []metal.MAC {
	macs := []metal.MAC{}
	for _, name := range network.Hardware(s.Sys) {
		if mac, err := metal.ParseMAC(text(s.Sys, "class/net", name, "address")); err == nil {
			macs = append(macs, mac)
		}
	}
	return macs
}
