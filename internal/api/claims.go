package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// ListByIDsRequest lists, or reads the given ids in one call.
type ListByIDsRequest struct {
	Page
	IDs []string `query:"ids" doc:"Only these, separated by commas; unknown ones are left out"`
}

// PutAllocationRequest claims a machine under a name. The same name and spec return the same claim. Another spec is
// taken over when the held machine meets it, and is a conflict otherwise.
type PutAllocationRequest struct {
	ByName
	Precondition
	Body metal.AllocationSpec
}

// DeleteAllocationRequest releases the machine by the policy stored in the claim. It answers once the release is
// durably accepted; the operation tells when the disks are wiped.
type DeleteAllocationRequest struct {
	ByID
}

// PreviewAllocationRequest asks which machine a claim would get.
type PreviewAllocationRequest struct {
	// Name of an existing claim: then the answer is about the machine it holds.
	Name string `query:"name" doc:"Name of an existing claim, whose machine is asked about"`
	Body metal.AllocationSpec
}

// AllocationPreview is the answer.
type AllocationPreview struct {
	// Machine is the one that would be taken; nil when none matches.
	Machine *metal.Match  `json:"machine,omitempty" doc:"The machine that would be taken (or is held); absent when none matches"`
	Others  []metal.Match `json:"others" doc:"Every other machine, and why it does not match"`
}

// DeploymentBody is what is written of a deployment.
type DeploymentBody struct {
	metal.DeploymentSpec
	// UserData is cloud-init user data. Absent in an update: the stored one stays. Empty: none.
	UserData *string `json:"user_data,omitempty" doc:"cloud-init user data; kept sealed and never read back. Absent in an update: the stored one stays" writeOnly:"true" maxLength:"1048576"`
	// StorageKeys open encrypted volumes: "layout" is that of an encrypted layout, others are by volume. Absent in an
	// update: the stored ones stay.
	StorageKeys map[string]string `json:"storage_keys,omitempty" doc:"Keys of encrypted volumes by name, layout for that of the layout; kept sealed and never read back. Absent in an update: the stored ones stay" writeOnly:"true"`
}

// CreateDeploymentRequest deploys to an allocated machine. When the machine has a deployment already (the repeat of
// a create whose answer was lost), its spec is replaced as UpdateDeployment does, and that deployment is returned.
type CreateDeploymentRequest struct {
	Body CreateDeploymentBody
}

// CreateDeploymentBody names the machine.
type CreateDeploymentBody struct {
	MachineID string `json:"machine_id"`
	DeploymentBody
}

// UpdateDeploymentRequest replaces the spec: what changes is stored, or redeployed at once, as redeploy_on says.
type UpdateDeploymentRequest struct {
	ByID
	Precondition
	Body DeploymentBody
}

// PlanDeploymentRequest asks what UpdateDeployment would do, and does nothing.
type PlanDeploymentRequest struct {
	ByID
	Body DeploymentBody
}

// GetDeploymentRequest reads one deployment.
type GetDeploymentRequest struct {
	ByID
	Wait string `query:"wait" doc:"Answer when the machine is settled, or after this time (Go duration, at most 60s)"`
}

const (
	allocations = "allocations"
	deployments = "deployments"
)

// Endpoints of claims.
var (
	ListAllocations   = Endpoint[ListByIDsRequest, List[metal.Allocation]]{"ListAllocations", "GET", "/v1/allocations", 200, "List claims", allocations}
	GetAllocation     = Endpoint[ByID, metal.Allocation]{"GetAllocation", "GET", "/v1/allocations/{id}", 200, "Read a claim", allocations}
	PutAllocation     = Endpoint[PutAllocationRequest, metal.Allocation]{"PutAllocation", "PUT", "/v1/allocations/{name}", 200, "Claim a machine", allocations}
	DeleteAllocation  = Endpoint[DeleteAllocationRequest, metal.Operation]{"DeleteAllocation", "DELETE", "/v1/allocations/{id}", 202, "Release a machine", allocations}
	PreviewAllocation = Endpoint[PreviewAllocationRequest, AllocationPreview]{"PreviewAllocation", "POST", "/v1/allocation-previews", 200, "Say which machine a claim would get, and why not the others", allocations}

	ListDeployments  = Endpoint[ListByIDsRequest, List[metal.Deployment]]{"ListDeployments", "GET", "/v1/deployments", 200, "List deployments", deployments}
	GetDeployment    = Endpoint[GetDeploymentRequest, metal.Deployment]{"GetDeployment", "GET", "/v1/deployments/{id}", 200, "Read a deployment", deployments}
	CreateDeployment = Endpoint[CreateDeploymentRequest, metal.Deployment]{"CreateDeployment", "POST", "/v1/deployments", 202, "Deploy an image to an allocated machine", deployments}
	UpdateDeployment = Endpoint[UpdateDeploymentRequest, metal.Deployment]{"UpdateDeployment", "PUT", "/v1/deployments/{id}", 202, "Change what is deployed", deployments}
	PlanDeployment   = Endpoint[PlanDeploymentRequest, metal.Impact]{"PlanDeployment", "POST", "/v1/deployments/{id}/plan", 200, "Say what a change would do", deployments}
	DeleteDeployment = Endpoint[ByID, metal.Operation]{"DeleteDeployment", "DELETE", "/v1/deployments/{id}", 202, "Take the system off the machine, which stays allocated", deployments}
)
