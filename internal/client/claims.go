package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListAllocations lists claims.
func (c *Client) ListAllocations(ctx context.Context, in api.ListByIDsRequest) (api.List[metal.Allocation], error) {
	return call(ctx, c, api.ListAllocations, in)
}

// GetAllocation reads a claim.
func (c *Client) GetAllocation(ctx context.Context, in api.ByID) (metal.Allocation, error) {
	return call(ctx, c, api.GetAllocation, in)
}

// PutAllocation claims a machine.
func (c *Client) PutAllocation(ctx context.Context, in api.PutAllocationRequest) (metal.Allocation, error) {
	return call(ctx, c, api.PutAllocation, in)
}

// DeleteAllocation releases a machine.
func (c *Client) DeleteAllocation(ctx context.Context, in api.DeleteAllocationRequest) (metal.Operation, error) {
	return call(ctx, c, api.DeleteAllocation, in)
}

// PreviewAllocation says which machine a claim would get, and why not the others.
func (c *Client) PreviewAllocation(ctx context.Context, in api.PreviewAllocationRequest) (api.AllocationPreview, error) {
	return callAgain(ctx, c, api.PreviewAllocation, in)
}

// ListDeployments lists deployments.
func (c *Client) ListDeployments(ctx context.Context, in api.ListByIDsRequest) (api.List[metal.Deployment], error) {
	return call(ctx, c, api.ListDeployments, in)
}

// GetDeployment reads a deployment.
func (c *Client) GetDeployment(ctx context.Context, in api.GetDeploymentRequest) (metal.Deployment, error) {
	return call(ctx, c, api.GetDeployment, in)
}

// CreateDeployment deploys an image to an allocated machine.
func (c *Client) CreateDeployment(ctx context.Context, in api.CreateDeploymentRequest) (metal.Deployment, error) {
	return callAgain(ctx, c, api.CreateDeployment, in)
}

// UpdateDeployment changes what is deployed.
func (c *Client) UpdateDeployment(ctx context.Context, in api.UpdateDeploymentRequest) (metal.Deployment, error) {
	return call(ctx, c, api.UpdateDeployment, in)
}

// PlanDeployment says what a change would do.
func (c *Client) PlanDeployment(ctx context.Context, in api.PlanDeploymentRequest) (metal.Impact, error) {
	return callAgain(ctx, c, api.PlanDeployment, in)
}

// DeleteDeployment takes the system off the machine, which stays allocated.
func (c *Client) DeleteDeployment(ctx context.Context, in api.ByID) (metal.Operation, error) {
	return call(ctx, c, api.DeleteDeployment, in)
}
