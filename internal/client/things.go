package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListPools lists pools.
func (c *Client) ListPools(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Pool], error) {
	return call(ctx, c, api.ListPools, in)
}

// GetPool reads a pool.
func (c *Client) GetPool(ctx context.Context, in api.ByName) (metal.Pool, error) {
	return call(ctx, c, api.GetPool, in)
}

// PutPool makes or changes a pool.
func (c *Client) PutPool(ctx context.Context, in api.PutPoolRequest) (metal.Pool, error) {
	return call(ctx, c, api.PutPool, in)
}

// DeletePool deletes an empty pool.
func (c *Client) DeletePool(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeletePool, in)
	return err
}

// ListSubnets lists subnets.
func (c *Client) ListSubnets(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Subnet], error) {
	return call(ctx, c, api.ListSubnets, in)
}

// GetSubnet reads a subnet.
func (c *Client) GetSubnet(ctx context.Context, in api.ByName) (metal.Subnet, error) {
	return call(ctx, c, api.GetSubnet, in)
}

// PutSubnet makes or changes a subnet.
func (c *Client) PutSubnet(ctx context.Context, in api.PutSubnetRequest) (metal.Subnet, error) {
	return call(ctx, c, api.PutSubnet, in)
}

// DeleteSubnet deletes a subnet without machines.
func (c *Client) DeleteSubnet(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteSubnet, in)
	return err
}

// ListLeases lists the leases of clients that nobody declared.
func (c *Client) ListLeases(ctx context.Context, in api.ListLeasesRequest) (api.List[metal.Lease], error) {
	return call(ctx, c, api.ListLeases, in)
}

// ListImages lists images.
func (c *Client) ListImages(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Image], error) {
	return call(ctx, c, api.ListImages, in)
}

// GetImage reads an image.
func (c *Client) GetImage(ctx context.Context, in api.GetImageRequest) (metal.Image, error) {
	return call(ctx, c, api.GetImage, in)
}

// PutImage makes an image and imports its content.
func (c *Client) PutImage(ctx context.Context, in api.PutImageRequest) (metal.Image, error) {
	return call(ctx, c, api.PutImage, in)
}

// UploadImage sends the content of an image that has no source.
func (c *Client) UploadImage(ctx context.Context, in api.UploadImageRequest) (metal.Image, error) {
	return call(ctx, c, api.UploadImage, in)
}

// DeleteImage deletes an image that no deployment names.
func (c *Client) DeleteImage(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteImage, in)
	return err
}

// ListSSHKeys lists SSH keys.
func (c *Client) ListSSHKeys(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.SSHKey], error) {
	return call(ctx, c, api.ListSSHKeys, in)
}

// GetSSHKey reads an SSH key.
func (c *Client) GetSSHKey(ctx context.Context, in api.ByName) (metal.SSHKey, error) {
	return call(ctx, c, api.GetSSHKey, in)
}

// PutSSHKey makes or changes an SSH key.
func (c *Client) PutSSHKey(ctx context.Context, in api.PutSSHKeyRequest) (metal.SSHKey, error) {
	return call(ctx, c, api.PutSSHKey, in)
}

// DeleteSSHKey deletes an SSH key.
func (c *Client) DeleteSSHKey(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteSSHKey, in)
	return err
}
