package metal

// A StoragePlan is a StorageSpec resolved for one machine: what to make, in order, in bytes. It holds no secret: keys
// are named. The same deployment, spec and disks give the same plan, with the same UUIDs.
type StoragePlan struct {
	Disks []PlannedDisk `json:"disks" doc:"The disks it uses, and no others"`
	// Image is set for an image of a whole disk, and then nothing below is.
	Image *PlannedImage `json:"image,omitempty"`
	// Actions are done one after the other. Each makes the devices of its name (the partition action: those of its
	// partitions) from devices that are disks or were made before.
	Actions []StorageAction `json:"actions,omitempty"`
	Mounts  []PlannedMount  `json:"mounts,omitempty" doc:"In the order of mounting, root first"`
	// FSTab, Crypttab and MDAdm are the lines of /etc/fstab, /etc/crypttab and mdadm.conf, without line ends.
	FSTab    []string    `json:"fstab,omitempty"`
	Crypttab []string    `json:"crypttab,omitempty"`
	MDAdm    []string    `json:"mdadm,omitempty"`
	Boot     PlannedBoot `json:"boot,omitzero"`
}

// PlannedDisk is a disk of the machine, by every name it goes by: the agent takes the one that all which are set fit,
// and refuses when there is none.
type PlannedDisk struct {
	Name      string `json:"name" doc:"What the plan calls it"`
	Kernel    string `json:"kernel" doc:"Kernel name when it was inventoried, as in sda; it may have changed where there is a serial number or WWN"`
	Serial    string `json:"serial,omitempty"`
	WWN       string `json:"wwn,omitempty"`
	Path      string `json:"path,omitempty"`
	Model     string `json:"model,omitempty"`
	Bytes     int64  `json:"bytes"`
	BlockSize int    `json:"block_size"`
}

// PlannedImage says where an image of a whole disk goes.
type PlannedImage struct {
	Disk string `json:"disk"`
}

// StorageActionKind says which program makes a device.
type StorageActionKind string

const (
	ActionWipe          StorageActionKind = "wipe"           // signatures, partition tables, head and tail of disk Name; what runs on it is stopped first
	ActionPartition     StorageActionKind = "partition"      // writes the GPT of disk Name: see Partitions
	ActionRAID          StorageActionKind = "raid"           // makes /dev/md/Name
	ActionVolumeGroup   StorageActionKind = "volume_group"   // makes each device a physical volume, and the group Name of them
	ActionLogicalVolume StorageActionKind = "logical_volume" // makes /dev/Devices[0]/Name; Devices[0] is the volume group
	ActionEncrypt       StorageActionKind = "encrypt"        // makes LUKS2 on Devices[0] and opens it as /dev/mapper/Name
	ActionFilesystem    StorageActionKind = "filesystem"     // makes a file system on Devices[0]
	ActionSwap          StorageActionKind = "swap"           // makes swap space on Devices[0]
)

// A StorageAction is one step of a plan.
type StorageAction struct {
	Kind StorageActionKind `json:"kind"`
	// Name is the device it makes; of a file system or swap, the device it is on.
	Name string `json:"name"`
	// Preserve: it exists already and is kept. It is checked (size, UUID, label), assembled, activated or opened, and
	// never made; what does not fit stops the plan. A partition action has it per partition. In a volume group that is
	// preserved, a logical volume that is not is removed first.
	Preserve bool     `json:"preserve,omitempty"`
	Devices  []string `json:"devices,omitempty" doc:"What it is made of"`
	Bytes    int64    `json:"bytes,omitempty" doc:"Size of what it makes; of a logical volume, whole extents of 4 MiB"`
	// UUID: of an array as mdadm writes it (four groups of eight digits), of LUKS, swap and file systems as blkid does
	// (vfat: ABCD-1234). Volume groups and logical volumes have none: their names are their identity.
	UUID       string             `json:"uuid,omitempty"`
	Partitions []PlannedPartition `json:"partitions,omitempty"`
	RAID       *PlannedRAID       `json:"raid,omitempty"`
	Encryption *PlannedEncryption `json:"encryption,omitempty"`
	Filesystem *PlannedFilesystem `json:"filesystem,omitempty"`
}

// PlannedPartition is one entry of a GPT, in bytes from the start of the disk. Start and Bytes are multiples of 1 MiB.
type PlannedPartition struct {
	Number int    `json:"number" doc:"From 1"`
	Name   string `json:"name" doc:"Its device in the plan, and its label in the table"`
	Start  int64  `json:"start"`
	Bytes  int64  `json:"bytes"`
	Type   string `json:"type" doc:"Type GUID, lower case"`
	UUID   string `json:"uuid" doc:"PARTUUID, lower case"`
	// Preserve: the disk has this partition already, with this label, start and size; its content is not touched.
	// Of the others, signatures are wiped.
	Preserve bool `json:"preserve,omitempty"`
}

// PlannedRAID is what mdadm is told of an array of metadata 1.2; Devices of the action are its active members.
type PlannedRAID struct {
	Level       int      `json:"level"`
	Spares      []string `json:"spares,omitempty"`
	Chunk       int64    `json:"chunk,omitempty" doc:"Bytes; 0 for level 1"`
	DataOffset  int64    `json:"data_offset" doc:"Bytes from the start of each member to its data"`
	MemberBytes int64    `json:"member_bytes" doc:"Bytes of data on each member (mdadm --size)"`
}

// PlannedEncryption is what cryptsetup is told. The header takes the first 16 MiB.
type PlannedEncryption struct {
	// Key names the key that comes with the step: the passphrase of the volume, or its recovery key.
	Key string `json:"key,omitempty"`
	// KeyID changes with that key: a volume that is kept is opened by the key that it was made with.
	KeyID string `json:"key_id,omitempty"`
	TPM2  bool   `json:"tpm2,omitempty" doc:"Enrol a second key, bound to the TPM"`
	PCRs  []int  `json:"pcrs,omitempty"`
	// Random: nothing is made now; the line of crypttab makes it anew at each start, and so does the swap on it.
	Random bool `json:"random,omitempty"`
}

// PlannedFilesystem is what mkfs is told.
type PlannedFilesystem struct {
	Type       string   `json:"type" doc:"ext4, xfs, btrfs or vfat"`
	Label      string   `json:"label,omitempty"`
	Options    []string `json:"options,omitempty" doc:"Further arguments of mkfs, before the device"`
	Subvolumes []string `json:"subvolumes,omitempty" doc:"To be made at the top of btrfs, in this order"`
}

// PlannedMount is a mount of the target, as fstab has it.
type PlannedMount struct {
	Device  string   `json:"device" doc:"Name of a device of the plan"`
	Path    string   `json:"path" doc:"In the target; / for root"`
	Type    string   `json:"type"`
	Options []string `json:"options,omitempty" doc:"With subvol= for a subvolume"`
}

// PlannedBoot says where the boot loader goes. All of its targets get it, so that the machine starts from any.
type PlannedBoot struct {
	Mode BootMode `json:"mode"`
	// Disks get a boot loader for BIOS; each has a bios_boot partition.
	Disks []string `json:"disks,omitempty"`
	// ESPs are partitions with a vfat made by the plan. The first is mounted on /boot/efi; the others get a copy.
	ESPs []string `json:"esps,omitempty"`
	// Root is the value of root=; Parameters are what it needs beside it, as in rootflags=subvol=@.
	Root       string   `json:"root"`
	Parameters []string `json:"parameters,omitempty"`
}

// Type GUIDs of a GPT (UEFI 2.10 section 5.3.3, GRUB, and the Discoverable Partitions Specification).
const (
	PartitionESP      = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
	PartitionBIOSBoot = "21686148-6449-6e6f-744e-656564454649"
	PartitionLinux    = "0fc63daf-8483-4772-8e79-3d69d8477de4"
	PartitionSwap     = "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f"
	PartitionRAID     = "a19d880f-05fc-4d3b-a006-743f0f84911e"
	PartitionLVM      = "e6d6d379-f507-44c2-a23c-238f2a3df928"
	PartitionLUKS     = "ca7d7ccb-63ed-4c53-861c-1742536059cc"
)
