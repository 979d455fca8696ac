package lab

import "github.com/metalform/terraform-provider-metal/internal/metal"

// Boot indexes as QEMU counts them: the lowest is tried first, and no two devices may have the same. Disks stay where
// they are; the NICs move in front of them or behind.
const (
	nicFirst = 10
	diskBase = 50
	nicLast  = 100
)

// nicIndex is the boot index of the NIC of a machine that starts from first.
func nicIndex(first metal.BootDevice) int {
	if first == metal.BootDisk {
		return nicLast
	}
	return nicFirst
}

// A bootPlan is what decides where a machine starts from: the override its BMC holds, if any. The zero value is none.
type bootPlan struct {
	device metal.BootDevice // "" is no override
	once   bool
	// since is how many resets of the running process had been seen when the override was set: only later ones use it.
	since int
}

// first is what the machine tries first at its next start: the network, unless overridden.
func (p bootPlan) first() metal.BootDevice {
	if p.device == "" {
		return metal.BootNetwork
	}
	return p.device
}

// booted is the plan after a start of the machine used p.
func (p bootPlan) booted() bootPlan {
	if p.once {
		return bootPlan{}
	}
	p.since = 0
	return p
}

// afterResets is the plan when the running process was reset so many times in all.
func (p bootPlan) afterResets(resets int) bootPlan {
	if resets <= p.since {
		return p
	}
	return p.booted()
}
