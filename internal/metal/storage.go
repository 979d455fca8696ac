package metal

// A StorageLayout is a ready-made arrangement of disks, or "custom", which has only what is written out.
type StorageLayout string

const (
	LayoutFlat   StorageLayout = "flat"  // one disk, one partition for root
	LayoutLVM    StorageLayout = "lvm"   // a volume group over one disk or several, a logical volume for root
	LayoutRAID0  StorageLayout = "raid0" // the RAID layouts take every disk that the rule matches
	LayoutRAID1  StorageLayout = "raid1"
	LayoutRAID5  StorageLayout = "raid5"
	LayoutRAID6  StorageLayout = "raid6"
	LayoutRAID10 StorageLayout = "raid10"
	LayoutBtrfs  StorageLayout = "btrfs" // one disk, subvolumes for root and /home
	LayoutCustom StorageLayout = "custom"
)

// StorageSpec declares what is made of a machine's disks. Sizes are texts: "20GiB" (units of 1024, from KiB to TiB),
// "50%" of what the element is cut out of, or "rest". A layout other than custom stands for a set of elements with
// fixed names; the lists add to them.
//
// Devices (disks, partitions, arrays, volume groups, logical volumes, encrypted volumes) share one name space, and
// each can be used once, but a disk with partitions and a volume group with its volumes.
type StorageSpec struct {
	Layout StorageLayout `json:"layout,omitempty" doc:"Ready-made arrangement. Empty: custom where elements are written out, otherwise flat" enum:"flat,lvm,raid0,raid1,raid5,raid6,raid10,btrfs,custom"`
	// Disk is the rule for the disks of the layout. A layout of one disk needs a rule that one disk meets.
	Disk       *DiskRule          `json:"disk,omitempty" doc:"Which disks the layout takes"`
	Filesystem string             `json:"filesystem,omitempty" doc:"Of root; default ext4, and btrfs in the layout btrfs" enum:"ext4,xfs,btrfs"`
	RootSize   string             `json:"root_size,omitempty" doc:"Size of root; default rest"`
	BootSize   string             `json:"boot_size,omitempty" doc:"Size of /boot of its own; default none, and 1GiB where the boot loader could not read root"`
	Swap       string             `json:"swap,omitempty" doc:"Size of swap; default none"`
	Encryption *StorageEncryption `json:"encryption,omitempty" doc:"Encrypts everything of the layout but /boot"`

	Disks          []StorageDisk          `json:"disks,omitempty" maxItems:"64"`
	Partitions     []StoragePartition     `json:"partitions,omitempty" maxItems:"128"`
	RAIDs          []StorageRAID          `json:"raids,omitempty" maxItems:"32"`
	VolumeGroups   []StorageVolumeGroup   `json:"volume_groups,omitempty" maxItems:"32"`
	LogicalVolumes []StorageLogicalVolume `json:"logical_volumes,omitempty" maxItems:"128"`
	Encrypted      []StorageEncrypted     `json:"encrypted,omitempty" maxItems:"32"`
	Filesystems    []StorageFilesystem    `json:"filesystems,omitempty" maxItems:"128"`
	Swaps          []StorageSwap          `json:"swaps,omitempty" maxItems:"16"`
}

// DiskRule says which disks are meant. Everything that is set has to hold. Removable and read-only disks never match.
type DiskRule struct {
	Name    string `json:"name,omitempty" doc:"Kernel name, as in sda; it may change from boot to boot"`
	Path    string `json:"path,omitempty" doc:"Stable path, as in pci-0000:00:17.0-ata-1"`
	Serial  string `json:"serial,omitempty"`
	WWN     string `json:"wwn,omitempty"`
	Model   string `json:"model,omitempty" doc:"Model, with * and ? as wildcards; case does not matter"`
	Bus     string `json:"bus,omitempty" doc:"nvme, sata, sas, scsi, virtio, usb or mmc"`
	Kind    string `json:"kind,omitempty" doc:"ssd is every disk that does not rotate, nvme those on that bus" enum:"ssd,hdd,nvme"`
	MinSize string `json:"min_size,omitempty" doc:"As in 200GiB"`
	MaxSize string `json:"max_size,omitempty" doc:"As in 2TiB"`
	Pick    string `json:"pick,omitempty" doc:"Of those that match, the smallest or the largest; without it, more matches than asked for are refused" enum:"smallest,largest"`
	Count   int    `json:"count,omitempty" doc:"How many; default: one, and for the RAID layouts every disk that matches" minimum:"0" maximum:"64"`
}

// StorageDisk names one disk, for the elements to refer to.
type StorageDisk struct {
	Name string   `json:"name" doc:"What other elements call it"`
	Rule DiskRule `json:"rule"`
}

// StoragePartition is a partition of a GPT. Those that the firmware needs are made without being asked for.
type StoragePartition struct {
	Name     string `json:"name" doc:"What other elements call it, and its label in the partition table"`
	Disk     string `json:"disk" doc:"Name of a disk of disks; in a layout disk1, disk2 and so on"`
	Size     string `json:"size" doc:"As in 20GiB, 50% of the disk, or rest"`
	Use      string `json:"use,omitempty" doc:"esp or bios_boot say what the firmware needs; default: data" enum:"esp,bios_boot"`
	Preserve bool   `json:"preserve,omitempty" doc:"Keep what is on it at a redeployment"`
}

// StorageRAID is a Linux software RAID (md) with metadata 1.2.
type StorageRAID struct {
	Name    string   `json:"name"`
	Level   int      `json:"level" doc:"0, 1, 5, 6 or 10"`
	Devices []string `json:"devices" doc:"Names of disks or partitions"`
	Spares  []string `json:"spares,omitempty"`
	Chunk   string   `json:"chunk,omitempty" doc:"Chunk size of levels 0, 5, 6 and 10; default 512KiB"`
}

// StorageVolumeGroup is an LVM volume group.
type StorageVolumeGroup struct {
	Name    string   `json:"name"`
	Devices []string `json:"devices" doc:"Names of disks, partitions, arrays or encrypted volumes"`
}

// StorageLogicalVolume is a linear LVM volume.
type StorageLogicalVolume struct {
	Name        string `json:"name"`
	VolumeGroup string `json:"volume_group"`
	Size        string `json:"size" doc:"As in 20GiB, 50% of the volume group, or rest"`
	Preserve    bool   `json:"preserve,omitempty" doc:"Keep what is on it at a redeployment"`
}

// StorageEncryption says how a LUKS2 volume is opened at boot. Its key is written apart and kept sealed; only
// an identity that changes with it is part of this. With TPM2 and no key, the server makes a recovery key of its own.
type StorageEncryption struct {
	TPM2  bool   `json:"tpm2,omitempty" doc:"Opened by the machine's TPM 2.0; otherwise the key is asked for on the console at each boot"`
	PCRs  []int  `json:"pcrs,omitempty" doc:"Registers of the TPM that have to be as they are in the RAM environment; default none: this machine opens it, whatever it boots" maxItems:"24"`
	KeyID string `json:"key_id,omitempty" doc:"Changes with the key; set by the server, empty where no key was given"`
	// Random makes a new key at each start: for swap, whose content nobody wants back.
	Random bool `json:"random,omitempty" doc:"A new key at each start, for swap only"`
}

// StorageEncrypted is a LUKS2 volume.
type StorageEncrypted struct {
	Name   string `json:"name"`
	Device string `json:"device"`
	StorageEncryption
}

// StorageFilesystem is a file system on a device, and where it is mounted.
type StorageFilesystem struct {
	Device       string             `json:"device"`
	Type         string             `json:"type,omitempty" doc:"Default ext4; vfat is for the ESP" enum:"ext4,xfs,btrfs,vfat"`
	Label        string             `json:"label,omitempty"`
	Mount        string             `json:"mount,omitempty" doc:"Where it is mounted; empty: nowhere"`
	MountOptions []string           `json:"mount_options,omitempty" maxItems:"32"`
	MkfsOptions  []string           `json:"mkfs_options,omitempty" doc:"Arguments for mkfs, one each" maxItems:"32"`
	Subvolumes   []StorageSubvolume `json:"subvolumes,omitempty" doc:"Of btrfs" maxItems:"64"`
	Preserve     bool               `json:"preserve,omitempty" doc:"Keep what is on it at a redeployment"`
}

// StorageSubvolume is a subvolume of btrfs.
type StorageSubvolume struct {
	Name         string   `json:"name" doc:"As in @home"`
	Mount        string   `json:"mount,omitempty"`
	MountOptions []string `json:"mount_options,omitempty" maxItems:"32"`
}

// StorageSwap is swap space on a device.
type StorageSwap struct {
	Device string `json:"device"`
}
