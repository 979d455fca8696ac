package metal

// Power is the observed power state of a machine.
type Power string

const (
	PowerUnknown Power = "unknown" // never asked, or the BMC did not say
	PowerOn      Power = "on"
	PowerOff     Power = "off"
)

// BootDevice is where a machine starts from at its next boot.
type BootDevice string

const (
	BootNetwork BootDevice = "network"
	BootDisk    BootDevice = "disk"
)

// BootMode is the kind of firmware a machine has.
type BootMode string

const (
	BIOS BootMode = "bios"
	UEFI BootMode = "uefi"
)

// Arch is a processor architecture, named as Go and Debian name it.
type Arch string

const (
	AMD64 Arch = "amd64"
	ARM64 Arch = "arm64"
)
