package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// PreviewDeployment says what a deployment would make of a machine's disks.
func (c *Client) PreviewDeployment(ctx context.Context, in api.PreviewDeploymentRequest) (metal.Impact, error) {
	return callAgain(ctx, c, api.PreviewDeployment, in)
}

// RevealRecoveryKeys tells the keys that the server made for volumes of a deployment which the TPM opens.
func (c *Client) RevealRecoveryKeys(ctx context.Context, in api.ByID) (api.RecoveryKeys, error) {
	return callAgain(ctx, c, api.RevealRecoveryKeys, in)
}
