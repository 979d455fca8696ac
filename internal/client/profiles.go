package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListBootProfiles lists boot profiles.
func (c *Client) ListBootProfiles(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.BootProfile], error) {
	return call(ctx, c, api.ListBootProfiles, in)
}

// GetBootProfile reads a boot profile, without its secrets.
func (c *Client) GetBootProfile(ctx context.Context, in api.GetBootProfileRequest) (metal.BootProfile, error) {
	return call(ctx, c, api.GetBootProfile, in)
}

// PutBootProfile makes a boot profile or its next version, once the server has its files.
func (c *Client) PutBootProfile(ctx context.Context, in api.PutBootProfileRequest) (metal.BootProfile, error) {
	return call(ctx, c, api.PutBootProfile, in)
}

// CheckBootProfile checks a boot profile without making it.
func (c *Client) CheckBootProfile(ctx context.Context, in api.CheckBootProfileRequest) error {
	_, err := call(ctx, c, api.CheckBootProfile, in)
	return err
}

// DeleteBootProfile deletes a boot profile by which nothing installs now.
func (c *Client) DeleteBootProfile(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteBootProfile, in)
	return err
}

// ListInstallations lists what boot profiles install.
func (c *Client) ListInstallations(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Installation], error) {
	return call(ctx, c, api.ListInstallations, in)
}

// DeleteInstallation forgets an installation: the machine may install again.
func (c *Client) DeleteInstallation(ctx context.Context, in api.ByMAC) error {
	_, err := call(ctx, c, api.DeleteInstallation, in)
	return err
}
