package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListEraseCertificates lists the signed records of wipes.
func (c *Client) ListEraseCertificates(ctx context.Context, in api.ListEraseCertificatesRequest) (api.List[metal.EraseCertificate], error) {
	return call(ctx, c, api.ListEraseCertificates, in)
}

// GetEraseCertificate reads the signed record of a wipe.
func (c *Client) GetEraseCertificate(ctx context.Context, id string) (metal.EraseCertificate, error) {
	return call(ctx, c, api.GetEraseCertificate, api.ByID{ID: id})
}

// GetEraseKey reads the public key that erase certificates are signed with.
func (c *Client) GetEraseKey(ctx context.Context) (metal.JWK, error) {
	return call(ctx, c, api.GetEraseKey, api.None{})
}
