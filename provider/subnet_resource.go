package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// subnets are IP networks, and what their clients are told. Their data sources tell how addresses are used besides.
func subnets() *kind[metal.Subnet, subnetModel, *subnetModel] {
	return &kind[metal.Subnet, subnetModel, *subnetModel]{
		name: "subnet", words: "subnet", schema: subnetSchema,
		put: func(ctx context.Context, c *client.Client, m *subnetModel, _ tfsdk.Config) (s metal.Subnet, diags diag.Diagnostics, err error) {
			spec, diags := m.spec(ctx)
			if !diags.HasError() {
				s, err = c.PutSubnet(ctx, api.PutSubnetRequest{ByName: byName(m.Name), Body: spec})
			}
			return s, diags, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.Subnet, error) { return r.subnets.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteSubnet(ctx, deletion(id)) },
	}
}
