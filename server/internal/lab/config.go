package lab

import (
	"net/netip"
	"path/filepath"
	"regexp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Kinds of BMC a lab can give its machines.
const (
	IPMI    = "ipmi"
	Redfish = "redfish"
)

// Disk buses.
const (
	VirtioDisk = "virtio"
	NVMe       = "nvme"
)

// NIC models, named as QEMU names them.
const (
	VirtioNIC = "virtio-net-pci"
	E1000     = "e1000"
	E1000e    = "e1000e"
)

// maxMachines keeps the BMC ports of the two protocols and the host addresses of a /24 apart.
const maxMachines = 200

// DefaultName is the name of a lab that was given none.
const DefaultName = "metal-lab"

// Config says what rack to make. The zero value of a field means its default, but Dir must be set.
type Config struct {
	// Dir holds everything the lab writes. It is made when absent; what else lies in it stays untouched.
	Dir string `json:"dir"`
	// Name is the lab's network namespace; default DefaultName. Labs of different names and directories run side by side.
	Name string `json:"name"`
	// Machines is how many there are, 1 to 200; default 1.
	Machines int `json:"machines"`
	// Arch is metal.AMD64 (the default) or metal.ARM64, which has UEFI alone and implies NativePXE.
	Arch metal.Arch `json:"arch"`
	// Firmware is metal.BIOS (the default) or metal.UEFI.
	Firmware metal.BootMode `json:"firmware"`
	// BMC is IPMI (the default) or Redfish.
	BMC string `json:"bmc"`
	// CPUs and MemoryMiB are of each machine; default 1 and 512.
	CPUs      int `json:"cpus"`
	MemoryMiB int `json:"memory_mib"`
	// Disks is how many each machine has; default 1.
	Disks int `json:"disks"`
	// DiskBytes is the size of each, at least 1 MiB; default 4 GiB. They are sparse.
	DiskBytes int64 `json:"disk_bytes"`
	// DiskBus is VirtioDisk (the default) or NVMe.
	DiskBus string `json:"disk_bus"`
	// NIC is VirtioNIC (the default), E1000 or E1000e.
	NIC string `json:"nic"`
	// NativePXE leaves out iPXE, which is QEMU's option ROM, so that the UEFI firmware's own PXE runs.
	NativePXE bool `json:"native_pxe"`
	// HTTPBoot makes the UEFI firmware start by HTTP (UEFI 2.10, 24.7) instead of PXE. It implies NativePXE.
	HTTPBoot bool `json:"http_boot"`
	// SecureBoot has the UEFI firmware run only what Microsoft's keys vouch for. It implies NativePXE: QEMU's iPXE is not.
	SecureBoot bool `json:"secure_boot"`
	// TPM gives each machine a TPM 2.0.
	TPM bool `json:"tpm"`
	// Subnet is the rack's IPv4 network; default 172.31.0.0/24. The host has its first address.
	Subnet netip.Prefix `json:"subnet"`
}

// The name becomes a file below /run/netns.
var namePattern = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// withDefaults returns c with every zero field filled in.
func (c Config) withDefaults() Config {
	fill(&c.Name, DefaultName)
	fill(&c.Machines, 1)
	fill(&c.Arch, metal.AMD64)
	fill(&c.Firmware, metal.BIOS)
	fill(&c.BMC, IPMI)
	fill(&c.CPUs, 1)
	fill(&c.MemoryMiB, 512)
	fill(&c.Disks, 1)
	fill(&c.DiskBytes, 4<<30)
	fill(&c.DiskBus, VirtioDisk)
	fill(&c.NIC, VirtioNIC)
	fill(&c.Subnet, netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, 0, 0}), 24))
	if c.Dir != "" {
		c.Dir = filepath.Clean(c.Dir)
	}
	c.NativePXE = c.NativePXE || c.HTTPBoot || c.SecureBoot || c.Arch == metal.ARM64
	return c
}

func fill[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate returns an Invalid error for the first field that cannot be built. Defaults count as filled in.
func (c Config) Validate() error {
	c = c.withDefaults()
	switch {
	case !filepath.IsAbs(c.Dir):
		return metal.Errorf(metal.Invalid, "lab directory %q: write an absolute path", c.Dir)
	case !namePattern.MatchString(c.Name):
		return metal.Errorf(metal.Invalid, "lab name %q: use 1 to 63 lower-case letters, digits and dashes", c.Name)
	case c.Machines < 1 || c.Machines > maxMachines:
		return metal.Errorf(metal.Invalid, "%d machines: a lab has 1 to %d", c.Machines, maxMachines)
	case c.Arch != metal.AMD64 && c.Arch != metal.ARM64:
		return metal.Errorf(metal.Invalid, "architecture %q: it is %s or %s", c.Arch, metal.AMD64, metal.ARM64)
	case c.Arch == metal.ARM64 && (c.Firmware != metal.UEFI || c.HTTPBoot):
		return metal.Errorf(metal.Invalid, "machines with %s: choose firmware %s, without HTTP boot", metal.ARM64, metal.UEFI)
	case c.Firmware != metal.BIOS && c.Firmware != metal.UEFI:
		return metal.Errorf(metal.Invalid, "firmware %q: it is %s or %s", c.Firmware, metal.BIOS, metal.UEFI)
	case c.BMC != IPMI && c.BMC != Redfish:
		return metal.Errorf(metal.Invalid, "BMC %q: it is %s or %s", c.BMC, IPMI, Redfish)
	case c.CPUs < 1 || c.CPUs > 64:
		return metal.Errorf(metal.Invalid, "%d CPUs: a machine has 1 to 64", c.CPUs)
	case c.MemoryMiB < 128:
		return metal.Errorf(metal.Invalid, "%d MiB of memory: a machine needs at least 128", c.MemoryMiB)
	case c.Disks < 1 || c.Disks > 8:
		return metal.Errorf(metal.Invalid, "%d disks: a machine has 1 to 8", c.Disks)
	case c.DiskBytes < 1<<20 || c.DiskBytes%512 != 0:
		return metal.Errorf(metal.Invalid, "a disk of %d bytes: it must be at least 1 MiB, in whole sectors of 512", c.DiskBytes)
	case c.DiskBus != VirtioDisk && c.DiskBus != NVMe:
		return metal.Errorf(metal.Invalid, "disk bus %q: it is %s or %s", c.DiskBus, VirtioDisk, NVMe)
	case c.NIC != VirtioNIC && c.NIC != E1000 && c.NIC != E1000e:
		return metal.Errorf(metal.Invalid, "NIC %q: it is %s, %s or %s", c.NIC, VirtioNIC, E1000, E1000e)
	case c.NativePXE && c.Firmware != metal.UEFI:
		return metal.Errorf(metal.Invalid, "Secure Boot, or PXE or HTTP boot of the firmware's own: SeaBIOS has none of them, choose firmware %s", metal.UEFI)
	case c.SecureBoot && c.HTTPBoot:
		return metal.Errorf(metal.Invalid, "Secure Boot and HTTP boot: Debian's signed GRUB speaks TFTP alone, choose one of them")
	case c.NativePXE && c.NIC != VirtioNIC:
		return metal.Errorf(metal.Invalid, "PXE or HTTP boot of the firmware's own: OVMF has no driver for %s, choose NIC %s", c.NIC, VirtioNIC)
	case !c.Subnet.Addr().Is4() || c.Subnet != c.Subnet.Masked() || c.Subnet.Bits() > 29:
		return metal.Errorf(metal.Invalid, "subnet %s: write an IPv4 network of /29 or larger, host bits zero", c.Subnet)
	}
	return nil
}

// host is the address of the lab's own end of the bridge.
func (c Config) host() netip.Addr { return c.Subnet.Addr().Next() }
