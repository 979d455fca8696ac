package metal

import "time"

// A Machine is one physical server as the fleet knows it.
type Machine struct {
	ID    string `json:"id" doc:"Stable identity, m- and 12 characters"`
	State State  `json:"state" doc:"Life-cycle state"`
	// Settled is false while an operation works on the machine.
	Settled bool        `json:"settled" doc:"False while an operation is working on the machine"`
	Spec    MachineSpec `json:"spec" doc:"What was declared"`
	// Declared is false for a machine that enlisted itself and that nobody adopted yet.
	Declared bool   `json:"declared" doc:"False while the machine only enlisted itself"`
	Power    Power  `json:"power" doc:"Power state last observed"`
	Hardware Facts  `json:"hardware" doc:"The few stable facts of the last inventory; zero before the first"`
	Address  string `json:"address,omitempty" doc:"The IP address that is the machine's own on its boot subnet"`
	FQDN     string `json:"fqdn,omitempty" doc:"The DNS name that answers for the machine"`
	Locked   bool   `json:"locked" doc:"A locked machine refuses commands"`
	// Prior is the state a working machine had, and goes back to when the work says so.
	Prior        State     `json:"prior,omitempty" doc:"State before the operation under way"`
	AllocationID string    `json:"allocation_id,omitempty" doc:"The claim on the machine"`
	DeploymentID string    `json:"deployment_id,omitempty" doc:"What is deployed, or being deployed, on it"`
	OperationID  string    `json:"operation_id,omitempty" doc:"The latest operation on the machine"`
	Failure      *Failure  `json:"failure,omitempty" doc:"Why the machine is in a failed state"`
	Erased       *Erasure  `json:"erased,omitempty" doc:"Proof of the last erase"`
	AgentSeen    time.Time `json:"agent_seen,omitzero" doc:"When an agent in the machine's RAM last spoke; zero when none ever did"`
	CreatedAt    time.Time `json:"created_at"`
	ChangedAt    time.Time `json:"changed_at"`
	Revision     int64     `json:"revision" doc:"Rises with every change; the ETag"`
	Generation   int64     `json:"generation" doc:"Rises with every change of spec"`
}

// Arch is the architecture that the machine has: as its firmware or agent said, before that as it was declared.
func (m *Machine) Arch() Arch {
	if m.Hardware.Arch != "" {
		return m.Hardware.Arch
	}
	return m.Spec.Arch
}

// MachineSpec is what a person declares of a machine.
type MachineSpec struct {
	Name             string   `json:"name" doc:"Host name, one DNS label" pattern:"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"`
	MACs             []MAC    `json:"macs" doc:"MAC addresses of its NICs, the one it boots from first" minItems:"1"`
	Arch             Arch     `json:"arch,omitempty" doc:"Processor architecture" enum:"amd64,arm64" default:"amd64"`
	Pool             string   `json:"pool,omitempty" doc:"Pool it belongs to" default:"default"`
	Zone             string   `json:"zone,omitempty" doc:"Failure domain"`
	Tags             []string `json:"tags,omitempty" doc:"Tags set by hand"`
	Notes            string   `json:"notes,omitempty"`
	KernelParameters string   `json:"kernel_parameters,omitempty" doc:"Added to the kernel command line of the RAM environment"`
	BMC              *BMC     `json:"bmc,omitempty" doc:"How its power is controlled; absent: by hand"`
	Protected        bool     `json:"protected,omitempty" doc:"Refuse to forget the machine"`
}

// BMC says how to reach a machine's baseboard management controller. The password is not part of it: it is
// written apart, kept sealed, and never read back.
type BMC struct {
	Type     string `json:"type" doc:"Protocol" enum:"ipmi,redfish,manual"`
	Address  string `json:"address,omitempty" doc:"host, host:port, or the URL of a Redfish service"`
	Username string `json:"username,omitempty"`
	TLS      BMCTLS `json:"tls,omitzero"`
}

// BMCTLS says which certificate of a BMC is believed.
type BMCTLS struct {
	// Insecure accepts any certificate.
	Insecure bool `json:"insecure,omitempty" doc:"Accept any certificate"`
	// Fingerprint pins the certificate: SHA-256 of its DER form in hex.
	Fingerprint string `json:"fingerprint,omitempty" doc:"SHA-256 of the certificate, in hex: only this one is accepted"`
}

// Facts are the few things about a machine's hardware that plans and constraints need.
type Facts struct {
	Vendor      string   `json:"vendor,omitempty"`
	Product     string   `json:"product,omitempty"`
	Serial      string   `json:"serial,omitempty"`
	UUID        string   `json:"uuid,omitempty" doc:"SMBIOS system UUID"`
	Arch        Arch     `json:"arch,omitempty"`
	BootMode    BootMode `json:"boot_mode,omitempty" doc:"bios or uefi"`
	CPUs        int      `json:"cpus,omitempty" doc:"Logical processors"`
	MemoryBytes int64    `json:"memory_bytes,omitempty"`
	Disks       int      `json:"disks,omitempty" doc:"Number of disks"`
	DiskBytes   int64    `json:"disk_bytes,omitempty" doc:"Size of all disks together"`
	NICs        int      `json:"nics,omitempty" doc:"Number of network interfaces"`
}

// A Pool groups machines: what an allocation takes from, and later what rights are given on.
type Pool struct {
	Name        string    `json:"name"`
	Description string    `json:"description,omitempty"`
	Machines    int       `json:"machines" doc:"How many machines are in it"`
	Ready       int       `json:"ready" doc:"How many of them are free to take"`
	CreatedAt   time.Time `json:"created_at"`
	Revision    int64     `json:"revision"`
}

// An SSHKey is a public key that deployments can name.
type SSHKey struct {
	Name      string    `json:"name"`
	PublicKey string    `json:"public_key" doc:"One line as in authorized_keys"`
	CreatedAt time.Time `json:"created_at"`
	Revision  int64     `json:"revision"`
}
