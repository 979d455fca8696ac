package metal

import "time"

// Erase is how far disks are wiped at release.
type Erase string

const (
	EraseNone   Erase = "none"
	EraseQuick  Erase = "quick"  // signatures, partition tables, and what the disk discards
	EraseZero   Erase = "zero"   // every block is overwritten
	EraseSecure Erase = "secure" // the device's own sanitise or format
)

// An Allocation is a claim on one machine.
type Allocation struct {
	ID        string         `json:"id"`
	Name      string         `json:"name" doc:"The claim's name, its idempotency key"`
	Spec      AllocationSpec `json:"spec"`
	MachineID string         `json:"machine_id"`
	Machine   string         `json:"machine" doc:"The machine's name"`
	Addresses []string       `json:"addresses"`
	FQDN      string         `json:"fqdn,omitempty"`
	CreatedAt time.Time      `json:"created_at"`
	Revision  int64          `json:"revision"`
}

// AllocationSpec is what a claim asks for.
type AllocationSpec struct {
	Pool        string        `json:"pool,omitempty" doc:"Pool to take from" default:"default"`
	Constraints Constraints   `json:"constraints,omitzero"`
	Release     ReleasePolicy `json:"release,omitzero"`
}

// Constraints are what a machine must meet to be taken. Zero values ask for nothing.
type Constraints struct {
	Machine     string   `json:"machine,omitempty" doc:"Id or name of the one machine wanted"`
	Arch        Arch     `json:"arch,omitempty" enum:"amd64,arm64"`
	Zone        string   `json:"zone,omitempty"`
	MinCPUs     int      `json:"min_cpus,omitempty" minimum:"0"`
	MinMemory   int64    `json:"min_memory,omitempty" doc:"Bytes" minimum:"0"`
	MinDisk     int64    `json:"min_disk,omitempty" doc:"Bytes, of the largest disk" minimum:"0"`
	MinDisks    int      `json:"min_disks,omitempty" minimum:"0"`
	MinNICs     int      `json:"min_nics,omitempty" minimum:"0"`
	Tags        []string `json:"tags,omitempty" doc:"All of these"`
	NotTags     []string `json:"not_tags,omitempty" doc:"None of these"`
	BootMode    BootMode `json:"boot_mode,omitempty" enum:"bios,uefi"`
	NotMachines []string `json:"not_machines,omitempty" doc:"Ids or names that are not wanted"`
}

// ReleasePolicy is what happens to the machine when the claim ends. It is stored at claim time.
type ReleasePolicy struct {
	Erase Erase `json:"erase,omitempty" enum:"none,quick,zero,secure" default:"quick"`
	// PowerOff switches the machine off once it is wiped, instead of keeping it in RAM for the next claim.
	PowerOff bool `json:"power_off,omitempty" doc:"Power the machine off after the wipe, instead of keeping it awake a while for the next claim"`
}

// A Match says whether one machine meets the constraints, and if not, why.
type Match struct {
	MachineID string   `json:"machine_id"`
	Machine   string   `json:"machine"`
	Reasons   []string `json:"reasons,omitempty" doc:"Why it does not match; empty when it does"`
}

// A Deployment is what runs on an allocated machine.
type Deployment struct {
	ID        string         `json:"id"`
	MachineID string         `json:"machine_id"`
	Spec      DeploymentSpec `json:"spec" doc:"What is asked for"`
	// Applied is what was last put on the disk; nil before the first time.
	Applied *DeploymentSpec `json:"applied,omitempty" doc:"What was last put on the machine"`
	// Digest is the content of the image this deployment is pinned to.
	Digest         string    `json:"digest" doc:"Content of the image it is pinned to"`
	RawBytes       int64     `json:"raw_bytes" doc:"Size of that content on the disk"`
	StoredBytes    int64     `json:"stored_bytes" doc:"Size of that content as stored and streamed"`
	StoragePlan    []string  `json:"storage_plan,omitempty" doc:"What was last decided to make of the disks, in words; empty where nothing was declared of them"`
	PendingChanges []string  `json:"pending_changes" doc:"Fields of spec that differ from what runs, and wait for a redeployment"`
	SSHHostKeys    []string  `json:"ssh_host_keys,omitempty" doc:"Public host keys the system reported when it came up"`
	State          State     `json:"state" doc:"The machine's state"`
	Settled        bool      `json:"settled"`
	Failure        *Failure  `json:"failure,omitempty"`
	OperationID    string    `json:"operation_id,omitempty"`
	Addresses      []string  `json:"addresses"`
	FQDN           string    `json:"fqdn,omitempty"`
	DeployedAt     time.Time `json:"deployed_at,omitzero"`
	CreatedAt      time.Time `json:"created_at"`
	Revision       int64     `json:"revision"`
	Generation     int64     `json:"generation"`
}

// DeploymentSpec is what a person asks to run on a machine. User data is written apart, kept sealed, and only its
// digest is part of this.
type DeploymentSpec struct {
	Image            string      `json:"image" doc:"Name of the image"`
	Hostname         string      `json:"hostname,omitempty" doc:"Empty: the machine's name" pattern:"^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)?$"`
	SSHKeys          []string    `json:"ssh_keys,omitempty" doc:"Names of stored keys, or public keys as in authorized_keys"`
	UserDataSHA256   string      `json:"user_data_sha256,omitempty" doc:"Digest of the user data; set by the server"`
	Network          NetworkSpec `json:"network,omitzero"`
	KernelParameters string      `json:"kernel_parameters,omitempty"`
	// Disk is the name, serial or WWN of the disk to write; empty means the smallest that fits.
	Disk string `json:"disk,omitempty" doc:"Name, serial or WWN of the target disk; empty: the smallest one that fits"`
	// Storage says what is made of the disks; nil leaves that to the image, or is one partition for a root archive.
	Storage *StorageSpec `json:"storage,omitempty" doc:"What is made of the disks"`
	// Boot is how the machine gets from the RAM environment into the system: one of the constants below.
	Boot string `json:"boot,omitempty" doc:"reboot, kexec, or memory: a root archive then runs from memory, no disk is touched, and a restart begins afresh" enum:"reboot,kexec,memory" default:"reboot"`
	// Trigger is any text; a change of it is a change of spec.
	Trigger string `json:"trigger,omitempty" doc:"Any text: a change asks for a redeployment where redeploy_on has trigger"`
	// RedeployOn lists the fields whose change redeploys at once; others are stored and wait.
	RedeployOn []string `json:"redeploy_on,omitempty" doc:"Fields whose change redeploys; default image, disk and trigger"`
	Protected  bool     `json:"protected,omitempty" doc:"Refuse every redeployment"`
}

// Ways into a deployed system.
const (
	BootReboot = "reboot" // through the firmware
	BootKexec  = "kexec"  // by kexec, where that works
	// BootMemory has a root archive run from memory, by its own kernel. What it writes is gone when the machine starts
	// again: then the same deployment is put there anew. No disk is touched.
	BootMemory = "memory"
)

// Impact is what applying a spec would do to a machine that runs.
type Impact struct {
	Action  string   `json:"action" doc:"none, store (waits for a redeployment) or deploy (erases and installs)" enum:"none,store,deploy"`
	Changes []string `json:"changes" doc:"Fields that differ from what runs"`
	Erases  string   `json:"erases,omitempty" doc:"The disk that would be overwritten, in words"`
	Storage []string `json:"storage,omitempty" doc:"What would be made of the disks, in words; empty where nothing is declared of them, or nothing changes"`
	Problem string   `json:"problem,omitempty" doc:"Why it would be refused now; empty when it would not"`
}
