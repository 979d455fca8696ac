package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListFabrics lists fabrics.
func (c *Client) ListFabrics(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Fabric], error) {
	return call(ctx, c, api.ListFabrics, in)
}

// GetFabric reads a fabric.
func (c *Client) GetFabric(ctx context.Context, in api.ByName) (metal.Fabric, error) {
	return call(ctx, c, api.GetFabric, in)
}

// PutFabric makes or changes a fabric.
func (c *Client) PutFabric(ctx context.Context, in api.PutFabricRequest) (metal.Fabric, error) {
	return call(ctx, c, api.PutFabric, in)
}

// DeleteFabric deletes a fabric without VLANs and subnets.
func (c *Client) DeleteFabric(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteFabric, in)
	return err
}

// ListSpaces lists spaces.
func (c *Client) ListSpaces(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Space], error) {
	return call(ctx, c, api.ListSpaces, in)
}

// GetSpace reads a space.
func (c *Client) GetSpace(ctx context.Context, in api.ByName) (metal.Space, error) {
	return call(ctx, c, api.GetSpace, in)
}

// PutSpace makes or changes a space.
func (c *Client) PutSpace(ctx context.Context, in api.PutSpaceRequest) (metal.Space, error) {
	return call(ctx, c, api.PutSpace, in)
}

// DeleteSpace deletes a space without VLANs.
func (c *Client) DeleteSpace(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteSpace, in)
	return err
}

// ListVLANs lists VLANs.
func (c *Client) ListVLANs(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.VLAN], error) {
	return call(ctx, c, api.ListVLANs, in)
}

// GetVLAN reads a VLAN.
func (c *Client) GetVLAN(ctx context.Context, in api.ByName) (metal.VLAN, error) {
	return call(ctx, c, api.GetVLAN, in)
}

// PutVLAN makes or changes a VLAN.
func (c *Client) PutVLAN(ctx context.Context, in api.PutVLANRequest) (metal.VLAN, error) {
	return call(ctx, c, api.PutVLAN, in)
}

// DeleteVLAN deletes a VLAN without subnets.
func (c *Client) DeleteVLAN(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteVLAN, in)
	return err
}

// ListRanges lists ranges.
func (c *Client) ListRanges(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.IPRange], error) {
	return call(ctx, c, api.ListRanges, in)
}

// GetRange reads a range.
func (c *Client) GetRange(ctx context.Context, in api.ByName) (metal.IPRange, error) {
	return call(ctx, c, api.GetRange, in)
}

// PutRange makes or changes a range.
func (c *Client) PutRange(ctx context.Context, in api.PutRangeRequest) (metal.IPRange, error) {
	return call(ctx, c, api.PutRange, in)
}

// DeleteRange deletes a range.
func (c *Client) DeleteRange(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteRange, in)
	return err
}

// ListReservations lists reservations.
func (c *Client) ListReservations(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Reservation], error) {
	return call(ctx, c, api.ListReservations, in)
}

// GetReservation reads a reservation.
func (c *Client) GetReservation(ctx context.Context, in api.ByName) (metal.Reservation, error) {
	return call(ctx, c, api.GetReservation, in)
}

// PutReservation makes or changes a reservation.
func (c *Client) PutReservation(ctx context.Context, in api.PutReservationRequest) (metal.Reservation, error) {
	return call(ctx, c, api.PutReservation, in)
}

// DeleteReservation deletes a reservation.
func (c *Client) DeleteReservation(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteReservation, in)
	return err
}

// ListStaticRoutes lists static routes.
func (c *Client) ListStaticRoutes(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.StaticRoute], error) {
	return call(ctx, c, api.ListStaticRoutes, in)
}

// GetStaticRoute reads a static route.
func (c *Client) GetStaticRoute(ctx context.Context, in api.ByName) (metal.StaticRoute, error) {
	return call(ctx, c, api.GetStaticRoute, in)
}

// PutStaticRoute makes or changes a static route.
func (c *Client) PutStaticRoute(ctx context.Context, in api.PutStaticRouteRequest) (metal.StaticRoute, error) {
	return call(ctx, c, api.PutStaticRoute, in)
}

// DeleteStaticRoute deletes a static route.
func (c *Client) DeleteStaticRoute(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteStaticRoute, in)
	return err
}

// ListDevices lists devices.
func (c *Client) ListDevices(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Device], error) {
	return call(ctx, c, api.ListDevices, in)
}

// GetDevice reads a device.
func (c *Client) GetDevice(ctx context.Context, in api.ByName) (metal.Device, error) {
	return call(ctx, c, api.GetDevice, in)
}

// PutDevice makes or changes a device.
func (c *Client) PutDevice(ctx context.Context, in api.PutDeviceRequest) (metal.Device, error) {
	return call(ctx, c, api.PutDevice, in)
}

// DeleteDevice forgets a device.
func (c *Client) DeleteDevice(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteDevice, in)
	return err
}

// ListAddresses says what the addresses of a subnet are for, the free ones as runs.
func (c *Client) ListAddresses(ctx context.Context, in api.ListAddressesRequest) (api.List[metal.AddressUse], error) {
	return call(ctx, c, api.ListAddresses, in)
}

// DeleteLease takes a lease from its client.
func (c *Client) DeleteLease(ctx context.Context, in api.DeleteLeaseRequest) error {
	_, err := call(ctx, c, api.DeleteLease, in)
	return err
}

// ImportLeases takes over the leases of another DHCP server.
func (c *Client) ImportLeases(ctx context.Context, in api.ImportLeasesRequest) (api.ImportedLeases, error) {
	return call(ctx, c, api.ImportLeases, in)
}
