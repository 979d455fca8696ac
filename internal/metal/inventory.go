package metal

// Inventory is everything the agent saw of a machine's hardware. Sizes are in bytes.
type Inventory struct {
	Arch     Arch     `json:"arch"`
	BootMode BootMode `json:"boot_mode"`
	SMBIOS   SMBIOS   `json:"smbios"`
	CPU      CPU      `json:"cpu"`
	Memory   Memory   `json:"memory"`
	Disks    []Disk   `json:"disks"`
	NICs     []NIC    `json:"nics"`
	PCI      []PCI    `json:"pci"`
	USB      []USB    `json:"usb"`
	BMC      *BMCSeen `json:"bmc,omitempty"`
	TPM      string   `json:"tpm,omitempty" doc:"TPM version, 1.2 or 2.0"`
	// SecureBoot says that the firmware ran only what its keys vouch for.
	SecureBoot bool   `json:"secure_boot" doc:"The firmware runs only what its keys vouch for"`
	Kernel     string `json:"kernel" doc:"Release of the RAM environment's kernel"`
}

// SMBIOS holds the system's identity as its firmware tells it (DMTF DSP0134, types 0 to 3).
type SMBIOS struct {
	Vendor       string `json:"vendor,omitempty"`
	Product      string `json:"product,omitempty"`
	Version      string `json:"version,omitempty"`
	Serial       string `json:"serial,omitempty"`
	UUID         string `json:"uuid,omitempty"`
	SKU          string `json:"sku,omitempty"`
	BoardSerial  string `json:"board_serial,omitempty"`
	ChassisAsset string `json:"chassis_asset,omitempty"`
	BIOSVendor   string `json:"bios_vendor,omitempty"`
	BIOSVersion  string `json:"bios_version,omitempty"`
	BIOSDate     string `json:"bios_date,omitempty"`
}

// CPU is what /proc/cpuinfo and sysfs tell.
type CPU struct {
	Model   string   `json:"model"`
	Sockets int      `json:"sockets"`
	Cores   int      `json:"cores"`
	Threads int      `json:"threads" doc:"Logical processors"`
	MaxMHz  int      `json:"max_mhz,omitempty"`
	Flags   []string `json:"flags,omitempty"`
	NUMA    int      `json:"numa_nodes"`
}

// Memory is the machine's RAM.
type Memory struct {
	Bytes int64  `json:"bytes" doc:"Installed, as SMBIOS tells, or else what the kernel sees"`
	DIMMs []DIMM `json:"dimms,omitempty"`
}

// DIMM is one memory module (SMBIOS type 17).
type DIMM struct {
	Slot   string `json:"slot"`
	Bytes  int64  `json:"bytes"`
	Type   string `json:"type,omitempty"`
	MHz    int    `json:"mhz,omitempty"`
	Serial string `json:"serial,omitempty"`
	Part   string `json:"part,omitempty"`
}

// Disk is one whole block device that an operating system could be put on.
type Disk struct {
	Name        string `json:"name" doc:"Kernel name, as in sda"`
	Path        string `json:"path,omitempty" doc:"Stable path, relative to /dev/disk/by-path"`
	Model       string `json:"model,omitempty"`
	Serial      string `json:"serial,omitempty"`
	WWN         string `json:"wwn,omitempty"`
	Firmware    string `json:"firmware,omitempty"`
	Bytes       int64  `json:"bytes"`
	BlockSize   int    `json:"block_size" doc:"Logical block size in bytes"`
	Bus         string `json:"bus" doc:"nvme, sata, sas, scsi, virtio, usb, mmc"`
	Rotational  bool   `json:"rotational"`
	Removable   bool   `json:"removable"`
	ReadOnly    bool   `json:"read_only"`
	NUMANode    int    `json:"numa_node"`
	Partitioned bool   `json:"partitioned" doc:"It holds a partition table or a file system"`
}

// NIC is one network interface.
type NIC struct {
	Name      string    `json:"name"`
	MAC       MAC       `json:"mac"`
	Driver    string    `json:"driver,omitempty"`
	Firmware  string    `json:"firmware,omitempty"`
	SpeedMbps int       `json:"speed_mbps,omitempty" doc:"0 when unknown"`
	Carrier   bool      `json:"carrier"`
	Boot      bool      `json:"boot" doc:"The machine booted from this one"`
	PCI       string    `json:"pci,omitempty" doc:"PCI address"`
	NUMANode  int       `json:"numa_node"`
	LLDP      *Neighbor `json:"lldp,omitempty"`
}

// Neighbor is what the switch at the other end says of itself (IEEE 802.1AB).
type Neighbor struct {
	Chassis string `json:"chassis"`
	Port    string `json:"port"`
	System  string `json:"system,omitempty"`
	VLAN    int    `json:"vlan,omitempty"`
}

// PCI is one PCI function; ids in hex as in lspci -n.
type PCI struct {
	Address string `json:"address"`
	Vendor  string `json:"vendor"`
	Device  string `json:"device"`
	Class   string `json:"class"`
	Driver  string `json:"driver,omitempty"`
}

// USB is one USB device; ids in hex.
type USB struct {
	Bus     string `json:"bus"`
	Vendor  string `json:"vendor"`
	Product string `json:"product"`
	Name    string `json:"name,omitempty"`
}

// BMCSeen is what the machine's own BMC says of itself in band.
type BMCSeen struct {
	Address  string `json:"address,omitempty"`
	MAC      MAC    `json:"mac,omitempty"`
	Firmware string `json:"firmware,omitempty"`
	Vendor   string `json:"vendor,omitempty"`
}

// Facts returns the few stable facts of the inventory.
func (inv *Inventory) Facts() Facts {
	f := Facts{
		Vendor: inv.SMBIOS.Vendor, Product: inv.SMBIOS.Product, Serial: inv.SMBIOS.Serial, UUID: inv.SMBIOS.UUID,
		Arch: inv.Arch, BootMode: inv.BootMode, CPUs: inv.CPU.Threads, MemoryBytes: inv.Memory.Bytes, NICs: len(inv.NICs),
	}
	for _, d := range inv.Disks {
		if d.Removable || d.ReadOnly {
			continue
		}
		f.Disks++
		f.DiskBytes += d.Bytes
	}
	return f
}
