package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type poolModel struct{ labelModel }

func (m *poolModel) set(_ context.Context, p metal.Pool) diag.Diagnostics {
	m.label(p.Name, p.Description)
	return nil
}

// pools group machines, for allocations to take from. Their data sources tell how many are free besides.
func pools() *kind[metal.Pool, poolModel, *poolModel] {
	return &kind[metal.Pool, poolModel, *poolModel]{
		name: "pool", words: "pool",
		schema: func() schema.Schema {
			return labelSchema("pool", "A pool groups machines: an allocation takes a machine out of one pool. Every machine is in exactly one; "+
				"the pool `default` always exists.")
		},
		put: func(ctx context.Context, c *client.Client, m *poolModel, _ tfsdk.Config) (metal.Pool, diag.Diagnostics, error) {
			p, err := c.PutPool(ctx, api.PutPoolRequest{ByName: byName(m.Name), Body: api.PoolBody{Description: m.Description.ValueString()}})
			return p, nil, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.Pool, error) { return r.pools.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeletePool(ctx, deletion(id)) },
	}
}
