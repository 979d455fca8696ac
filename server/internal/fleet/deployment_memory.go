package fleet

import "github.com/metalform/terraform-provider-metal/internal/metal"

// leastMemory is what a machine needs to run a root archive from memory, in bytes: while it is loaded, and while it
// starts, the system is there twice, and programs want some too.
func leastMemory(rawBytes int64) int64 { return 2*rawBytes + 512<<20 }

// checkMemory refuses a deployment that cannot run from memory.
func checkMemory(m *metal.Machine, spec metal.DeploymentSpec, image *metal.Image) error {
	switch least := leastMemory(image.RawBytes); {
	case image.Spec.Kind != metal.ImageRoot:
		return metal.Errorf(metal.Invalid, "cannot run image %s from memory: it is a whole disk; boot = memory takes a root archive (kind root)", image.Name)
	case spec.Storage != nil || spec.Disk != "":
		return metal.Errorf(metal.Invalid, "boot = memory touches no disk: leave storage and disk out, or boot another way")
	case m.Hardware.MemoryBytes > 0 && m.Hardware.MemoryBytes < least:
		return metal.Errorf(metal.Invalid, "cannot run image %s from the memory of machine %s: it takes %s, and the machine has %s", image.Name, m.Spec.Name, size(least), size(m.Hardware.MemoryBytes))
	}
	return nil
}
