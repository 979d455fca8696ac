package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListOperations lists operations, newest first.
func (c *Client) ListOperations(ctx context.Context, in api.ListOperationsRequest) (api.List[metal.Operation], error) {
	return call(ctx, c, api.ListOperations, in)
}

// GetOperation reads an operation.
func (c *Client) GetOperation(ctx context.Context, in api.GetOperationRequest) (metal.Operation, error) {
	return call(ctx, c, api.GetOperation, in)
}

// GetOperationLog reads an operation's log.
func (c *Client) GetOperationLog(ctx context.Context, in api.GetLogRequest) (api.Log, error) {
	return call(ctx, c, api.GetOperationLog, in)
}

// ListEvents reads what changed.
func (c *Client) ListEvents(ctx context.Context, in api.ListEventsRequest) (api.List[metal.Event], error) {
	return call(ctx, c, api.ListEvents, in)
}

// GetStatus tells who the caller and the server are.
func (c *Client) GetStatus(ctx context.Context) (api.ServerStatus, error) {
	return call(ctx, c, api.GetStatus, api.None{})
}

// ListTokens lists tokens.
func (c *Client) ListTokens(ctx context.Context) (api.List[api.Token], error) {
	return call(ctx, c, api.ListTokens, api.None{})
}

// CreateToken makes a token.
func (c *Client) CreateToken(ctx context.Context, in api.CreateTokenRequest) (api.NewToken, error) {
	return call(ctx, c, api.CreateToken, in)
}

// DeleteToken revokes a token.
func (c *Client) DeleteToken(ctx context.Context, in api.ByName) error {
	_, err := call(ctx, c, api.DeleteToken, in)
	return err
}
