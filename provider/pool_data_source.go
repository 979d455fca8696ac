package main

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type poolDataModel struct {
	poolModel
	Machines types.Int64 `tfsdk:"machines"`
	Ready    types.Int64 `tfsdk:"ready"`
}

func (m *poolDataModel) set(p metal.Pool) {
	m.label(p.Name, p.Description)
	m.Machines, m.Ready = types.Int64Value(int64(p.Machines)), types.Int64Value(int64(p.Ready))
}

func poolAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":          computedText("The pool's name."),
		"name":        computedText("Name of the pool."),
		"description": computedText("What the pool is for."),
		"machines":    computedNumber("How many machines are in it."),
		"ready":       computedNumber("How many of them are free to take."),
	}
}

func newPoolDataSource() datasource.DataSource {
	return &dataSource[poolDataModel]{
		name: "pool",
		schema: schema.Schema{
			MarkdownDescription: "One pool, and how many of its machines are free.",
			Attributes:          with(poolAttributes(), map[string]schema.Attribute{"name": requiredText("Name of the pool.")}),
		},
		read: func(ctx context.Context, c *connection, m *poolDataModel) (diag.Diagnostics, error) {
			p, err := c.api.GetPool(ctx, api.ByName{Name: m.Name.ValueString()})
			if err == nil {
				m.set(p)
			}
			return nil, err
		},
	}
}

type poolsModel struct {
	NamePrefix types.String    `tfsdk:"name_prefix"`
	Pools      []poolDataModel `tfsdk:"pools"`
}

func newPoolsDataSource() datasource.DataSource {
	return &dataSource[poolsModel]{
		name: "pools",
		schema: schema.Schema{
			MarkdownDescription: "All pools, by name.",
			Attributes: map[string]schema.Attribute{
				"name_prefix": optionalText("Only pools whose name begins like this. Default: all."),
				"pools": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "The pools, in the order of their names.",
					NestedObject: schema.NestedAttributeObject{Attributes: poolAttributes()},
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *poolsModel) (diag.Diagnostics, error) {
			found, err := all(func(after string) ([]metal.Pool, string, error) {
				got, err := c.api.ListPools(ctx, api.ListByNamesRequest{Page: api.Page{After: after}})
				return got.Items, got.Next, err
			})
			m.Pools = []poolDataModel{}
			for _, p := range found {
				if strings.HasPrefix(p.Name, m.NamePrefix.ValueString()) {
					var row poolDataModel
					row.set(p)
					m.Pools = append(m.Pools, row)
				}
			}
			return nil, err
		},
	}
}
