package client

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// ListZones lists declared zones.
func (c *Client) ListZones(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Zone], error) {
	return call(ctx, c, api.ListZones, in)
}

// GetZone reads a zone.
func (c *Client) GetZone(ctx context.Context, in api.ByZone) (metal.Zone, error) {
	return call(ctx, c, api.GetZone, in)
}

// PutZone makes or changes a zone.
func (c *Client) PutZone(ctx context.Context, in api.PutZoneRequest) (metal.Zone, error) {
	return call(ctx, c, api.PutZone, in)
}

// DeleteZone deletes a zone without record sets.
func (c *Client) DeleteZone(ctx context.Context, in api.DeleteZoneRequest) error {
	_, err := call(ctx, c, api.DeleteZone, in)
	return err
}

// ListRecordSets lists record sets.
func (c *Client) ListRecordSets(ctx context.Context, in api.ListRecordSetsRequest) (api.List[metal.RecordSet], error) {
	return call(ctx, c, api.ListRecordSets, in)
}

// GetRecordSet reads a record set.
func (c *Client) GetRecordSet(ctx context.Context, in api.ByRecordSet) (metal.RecordSet, error) {
	return call(ctx, c, api.GetRecordSet, in)
}

// PutRecordSet makes or replaces a record set.
func (c *Client) PutRecordSet(ctx context.Context, in api.PutRecordSetRequest) (metal.RecordSet, error) {
	return call(ctx, c, api.PutRecordSet, in)
}

// DeleteRecordSet deletes a record set.
func (c *Client) DeleteRecordSet(ctx context.Context, in api.DeleteRecordSetRequest) error {
	_, err := call(ctx, c, api.DeleteRecordSet, in)
	return err
}

// ListDNSKeys lists TSIG keys.
func (c *Client) ListDNSKeys(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.DNSKey], error) {
	return call(ctx, c, api.ListDNSKeys, in)
}

// GetDNSKey reads a TSIG key, without its secret.
func (c *Client) GetDNSKey(ctx context.Context, in api.ByName) (metal.DNSKey, error) {
	return call(ctx, c, api.GetDNSKey, in)
}

// PutDNSKey makes or changes a TSIG key.
func (c *Client) PutDNSKey(ctx context.Context, in api.PutDNSKeyRequest) (metal.DNSKey, error) {
	return call(ctx, c, api.PutDNSKey, in)
}

// DeleteDNSKey deletes a TSIG key that no zone names.
func (c *Client) DeleteDNSKey(ctx context.Context, in api.DeleteByNameRequest) error {
	_, err := call(ctx, c, api.DeleteDNSKey, in)
	return err
}
