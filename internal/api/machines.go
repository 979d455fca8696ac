package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// ListMachinesRequest filters by every field that is not empty.
type ListMachinesRequest struct {
	Page
	IDs    []string `query:"ids" doc:"Only these ids, separated by commas; unknown ones are left out"`
	Name   string   `query:"name"`
	MAC    string   `query:"mac" doc:"Has a NIC with this address"`
	Serial string   `query:"serial"`
	UUID   string   `query:"uuid"`
	Pool   string   `query:"pool"`
	State  string   `query:"state"`
	Tag    string   `query:"tag"`
}

// MachineBody is what is written of a machine.
type MachineBody struct {
	metal.MachineSpec
	// Password of the BMC. Absent in an update: the stored one stays.
	Password *string `json:"bmc_password,omitempty" doc:"Password of the BMC; kept sealed and never read back. Absent in an update: the stored one stays" writeOnly:"true"`
}

// CreateMachineRequest declares a machine. A machine that has one of the MACs already, because it enlisted itself,
// is adopted; one that was declared with the same MACs before is returned as it is after taking over the spec.
// A different declared machine that holds one of the MACs or the name is a conflict.
type CreateMachineRequest struct {
	Body MachineBody
}

// UpdateMachineRequest replaces a machine's spec.
type UpdateMachineRequest struct {
	ByID
	Precondition
	Body MachineBody
}

// GetMachineRequest reads one machine.
type GetMachineRequest struct {
	ByID
	// Wait makes the call a long poll: it answers when the machine is settled, or after this time.
	Wait string `query:"wait" doc:"Answer when the machine is settled, or after this time (Go duration, at most 60s)"`
}

// DeleteMachineRequest forgets a machine's record. It erases nothing. A machine that is allocated, locked or
// protected is a conflict.
type DeleteMachineRequest struct {
	ByID
	Precondition
}

// CommandRequest starts an operation on a machine.
type CommandRequest struct {
	ByID
	// Key makes a repeat of the call return the operation that the first one started.
	Key string `header:"Idempotency-Key" maxLength:"128" doc:"A repeat with the same key returns the same operation"`
}

// PowerRequest switches a machine by its BMC.
type PowerRequest struct {
	CommandRequest
	Body PowerBody
}

// PowerBody says what to do.
type PowerBody struct {
	Action string `json:"action" enum:"on,off,cycle"`
}

// LockRequest sets or clears the lock.
type LockRequest struct {
	ByID
	Body LockBody
}

// LockBody says which.
type LockBody struct {
	Locked bool `json:"locked"`
}

// MarkRequest is a change of state that needs no work: break, fix or retire.
type MarkRequest struct {
	ByID
	Body MarkBody
}

// MarkBody says which, and why.
type MarkBody struct {
	Command metal.Command `json:"command" enum:"break,fix,retire"`
	Reason  string        `json:"reason,omitempty" maxLength:"1024"`
}

const machines = "machines"

// Endpoints of machines.
var (
	ListMachines      = Endpoint[ListMachinesRequest, List[metal.Machine]]{"ListMachines", "GET", "/v1/machines", 200, "List machines", machines}
	CreateMachine     = Endpoint[CreateMachineRequest, metal.Machine]{"CreateMachine", "POST", "/v1/machines", 200, "Declare a machine, or adopt one that enlisted itself", machines}
	GetMachine        = Endpoint[GetMachineRequest, metal.Machine]{"GetMachine", "GET", "/v1/machines/{id}", 200, "Read a machine", machines}
	UpdateMachine     = Endpoint[UpdateMachineRequest, metal.Machine]{"UpdateMachine", "PUT", "/v1/machines/{id}", 200, "Replace a machine's declaration", machines}
	DeleteMachine     = Endpoint[DeleteMachineRequest, None]{"DeleteMachine", "DELETE", "/v1/machines/{id}", 204, "Forget a machine", machines}
	GetInventory      = Endpoint[ByID, metal.Inventory]{"GetInventory", "GET", "/v1/machines/{id}/inventory", 200, "Read a machine's hardware inventory", machines}
	CommissionMachine = Endpoint[CommandRequest, metal.Operation]{"CommissionMachine", "POST", "/v1/machines/{id}/commission", 202, "Inspect a machine and make it ready", machines}
	AbortMachine      = Endpoint[ByID, metal.Machine]{"AbortMachine", "POST", "/v1/machines/{id}/abort", 200, "Stop the operation that works on a machine", machines}
	PowerMachine      = Endpoint[PowerRequest, metal.Operation]{"PowerMachine", "POST", "/v1/machines/{id}/power", 202, "Switch a machine on or off", machines}
	LockMachine       = Endpoint[LockRequest, metal.Machine]{"LockMachine", "POST", "/v1/machines/{id}/lock", 200, "Lock or unlock a machine", machines}
	MarkMachine       = Endpoint[MarkRequest, metal.Machine]{"MarkMachine", "POST", "/v1/machines/{id}/mark", 200, "Mark a machine broken, fixed or retired", machines}
)

// ReleaseRequest gives a machine back to its pool, claim and deployment and all: what ends a failed release.
type ReleaseRequest struct {
	CommandRequest
	Body metal.ReleasePolicy
}

// ReleaseMachine ends whatever claim there is on a machine.
var ReleaseMachine = Endpoint[ReleaseRequest, metal.Operation]{"ReleaseMachine", "POST", "/v1/machines/{id}/release", 202, "Wipe a machine and give it back to its pool", machines}
