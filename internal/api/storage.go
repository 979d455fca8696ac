package api

import "github.com/metalform/terraform-provider-metal/internal/metal"

// PreviewDeploymentRequest asks what CreateDeployment would do to a machine, and does nothing. The machine need not be
// allocated, and the image need not be ready: what that leaves open is the answer's problem.
type PreviewDeploymentRequest struct {
	Body CreateDeploymentBody
}

// PreviewDeployment is beside the endpoints of claims.
var PreviewDeployment = Endpoint[PreviewDeploymentRequest, metal.Impact]{"PreviewDeployment", "POST", "/v1/deployment-previews", 200, "Say what a deployment would make of a machine's disks", deployments}
