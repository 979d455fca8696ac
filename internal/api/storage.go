package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// PreviewDeploymentRequest asks what CreateDeployment would do to a machine, and does nothing. The machine need not be
// allocated, and the image need not be ready: what that leaves open is the answer's problem.
type PreviewDeploymentRequest struct {
	Body CreateDeploymentBody
}

// PreviewDeployment is beside the endpoints of claims.
var PreviewDeployment = Endpoint[PreviewDeploymentRequest, metal.Impact]{"PreviewDeployment", "POST", "/v1/deployment-previews", 200, "Say what a deployment would make of a machine's disks", deployments}

// RecoveryKeys open volumes of a deployment by hand, where the TPM does not.
type RecoveryKeys struct {
	Keys map[string]string `json:"keys" doc:"Keys that the server made, by the name of the volume; layout for that of the layout"`
}

// RevealRecoveryKeys is a POST, because it leaves an event and nothing on the way may keep its answer.
var RevealRecoveryKeys = Endpoint[ByID, RecoveryKeys]{"RevealRecoveryKeys", "POST", "/v1/deployments/{id}/recovery-keys", 200, "Tell the recovery keys that the server made for volumes which the TPM opens", deployments}
