package fleet

import "github.com/metalform/terraform-provider-metal/internal/metal"

// leastMemory is what a machine needs to run a root archive from memory, in bytes. kexec_file_load(2) is given the
// system in a file, reads it into a buffer and copies that to where the next kernel finds it, which makes three of it;
// and that kernel's root may fill half of the memory, of which the system is to have some to write to.
func leastMemory(rawBytes int64) int64 { return 3*rawBytes + 512<<20 }

// checkDiskless refuses a spec that runs from memory and says something of disks.
func checkDiskless(spec metal.DeploymentSpec) error {
	if spec.Boot == metal.BootMemory && (spec.Storage != nil || spec.Disk != "") {
		return metal.Errorf(metal.Invalid, "boot = memory touches no disk: leave storage and disk out, or boot another way")
	}
	return nil
}

// checkMemory refuses a deployment that cannot run from memory: for its image, or for its machine.
func checkMemory(m *metal.Machine, image *metal.Image) error {
	switch least := leastMemory(image.RawBytes); {
	case image.Spec.Kind != metal.ImageRoot:
		return metal.Errorf(metal.Invalid, "cannot run image %s from memory: it is a whole disk; boot = memory takes a root archive (kind root)", image.Name)
	case m.Hardware.MemoryBytes > 0 && m.Hardware.MemoryBytes < least:
		return metal.Errorf(metal.Invalid, "cannot run image %s from the memory of machine %s: it takes %s, and the machine has %s", image.Name, m.Spec.Name, size(least), size(m.Hardware.MemoryBytes))
	}
	return nil
}
