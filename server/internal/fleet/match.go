package fleet

import (
	"fmt"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// mismatch says why a machine's hardware and labels do not meet the constraints; nil when they do. largest is the
// size of its largest disk in bytes.
func mismatch(m *metal.Machine, largest int64, c metal.Constraints) []string {
	var why []string
	no := func(format string, args ...any) { why = append(why, fmt.Sprintf(format, args...)) }
	h := m.Hardware
	if c.Machine != "" && c.Machine != m.ID && c.Machine != m.Spec.Name {
		no("it is not %s", c.Machine)
	}
	if slices.Contains(c.NotMachines, m.ID) || slices.Contains(c.NotMachines, m.Spec.Name) {
		no("it is one of not_machines")
	}
	if c.Arch != "" && c.Arch != m.Arch() {
		no("architecture is %s, asked for %s", m.Arch(), c.Arch)
	}
	if c.BootMode != "" && c.BootMode != h.BootMode {
		no("it boots by %s, asked for %s", h.BootMode, c.BootMode)
	}
	if c.Zone != "" && c.Zone != m.Spec.Zone {
		no("zone is %q, asked for %q", m.Spec.Zone, c.Zone)
	}
	if h.CPUs < c.MinCPUs {
		no("%d CPUs, asked for %d", h.CPUs, c.MinCPUs)
	}
	if h.MemoryBytes < c.MinMemory {
		no("%s of memory, asked for %s", size(h.MemoryBytes), size(c.MinMemory))
	}
	if largest < c.MinDisk {
		no("largest disk is %s, asked for %s", size(largest), size(c.MinDisk))
	}
	if h.Disks < c.MinDisks {
		no("%d disks, asked for %d", h.Disks, c.MinDisks)
	}
	if h.NICs < c.MinNICs {
		no("%d NICs, asked for %d", h.NICs, c.MinNICs)
	}
	for _, t := range c.Tags {
		if !slices.Contains(m.Spec.Tags, t) {
			no("it has no tag %s", t)
		}
	}
	for _, t := range c.NotTags {
		if slices.Contains(m.Spec.Tags, t) {
			no("it has the tag %s", t)
		}
	}
	return why
}

// unavailable says why a machine cannot be taken now, whatever it is made of; nil when it can.
func unavailable(m *metal.Machine, pool string) []string {
	var why []string
	if m.Spec.Pool != pool {
		why = append(why, fmt.Sprintf("it is in pool %s", m.Spec.Pool))
	}
	if m.State != metal.Ready {
		why = append(why, "it is "+string(m.State))
	} else if !m.Settled {
		why = append(why, "an operation works on it")
	}
	if m.Locked {
		why = append(why, "it is locked")
	}
	return why
}

// better says whether a is taken before b: one whose agent still waits in RAM starts at once, then the smallest one
// that will do, then by name, so that the answer is the same each time.
func better(a, b *metal.Machine) bool {
	if warmA, warmB := a.Power == metal.PowerOn, b.Power == metal.PowerOn; warmA != warmB {
		return warmA
	}
	if a.Hardware.MemoryBytes != b.Hardware.MemoryBytes {
		return a.Hardware.MemoryBytes < b.Hardware.MemoryBytes
	}
	if a.Hardware.CPUs != b.Hardware.CPUs {
		return a.Hardware.CPUs < b.Hardware.CPUs
	}
	return a.Spec.Name < b.Spec.Name
}

// size writes bytes for a person.
func size(n int64) string {
	const unit = 1024
	if n < unit {
		return fmt.Sprintf("%d B", n)
	}
	v, names := float64(n), []string{"KiB", "MiB", "GiB", "TiB", "PiB"}
	for i, name := range names {
		v /= unit
		if v < unit || i == len(names)-1 {
			return fmt.Sprintf("%.4g %s", v, name)
		}
	}
	return ""
}
