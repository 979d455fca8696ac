package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type subnetDataModel struct {
	subnetModel
	Total    types.Int64 `tfsdk:"total"`
	Assigned types.Int64 `tfsdk:"assigned"`
	Dynamic  types.Int64 `tfsdk:"dynamic"`
	Reserved types.Int64 `tfsdk:"reserved"`
	Leased   types.Int64 `tfsdk:"leased"`
	Free     types.Int64 `tfsdk:"free"`
}

func (m *subnetDataModel) set(ctx context.Context, s metal.Subnet) diag.Diagnostics {
	m.Total, m.Assigned = types.Int64Value(s.Use.Total), types.Int64Value(s.Use.Assigned)
	m.Dynamic, m.Reserved = types.Int64Value(s.Use.Dynamic), types.Int64Value(s.Use.Reserved)
	m.Leased, m.Free = types.Int64Value(s.Use.Leased), types.Int64Value(s.Use.Free)
	return m.subnetModel.set(ctx, s)
}

func subnetAttributes() map[string]schema.Attribute {
	return with(computed(subnetSchema().Attributes), map[string]schema.Attribute{
		"total":    computedNumber("Usable addresses."),
		"assigned": computedNumber("Addresses that belong to machines, devices and reservations, outside of the ranges."),
		"dynamic":  computedNumber("Addresses in the dynamic ranges."),
		"reserved": computedNumber("Addresses in reserved ranges, or the gateway's or a server's."),
		"leased":   computedNumber("Addresses that other clients hold now."),
		"free":     computedNumber("Addresses that can still be assigned."),
	})
}

func newSubnetDataSource() datasource.DataSource {
	return &dataSource[subnetDataModel]{
		name: "subnet",
		schema: schema.Schema{
			MarkdownDescription: "One subnet, and how its addresses are used.",
			Attributes:          with(subnetAttributes(), map[string]schema.Attribute{"name": requiredText("Name of the subnet.")}),
		},
		read: func(ctx context.Context, c *connection, m *subnetDataModel) (diag.Diagnostics, error) {
			s, err := c.api.GetSubnet(ctx, api.ByName{Name: m.Name.ValueString()})
			if err != nil {
				return nil, err
			}
			return m.set(ctx, s), nil
		},
	}
}

type subnetsModel struct {
	Fabric  types.String      `tfsdk:"fabric"`
	VLAN    types.Int64       `tfsdk:"vlan"`
	Subnets []subnetDataModel `tfsdk:"subnets"`
}

func newSubnetsDataSource() datasource.DataSource {
	return &dataSource[subnetsModel]{
		name: "subnets",
		schema: schema.Schema{
			MarkdownDescription: "All subnets that meet every given filter.",
			Attributes: map[string]schema.Attribute{
				"fabric": optionalText("Only this fabric. Default: all."),
				"vlan":   schema.Int64Attribute{Optional: true, MarkdownDescription: "Only this VLAN id. Default: all."},
				"subnets": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "The subnets, in the order of their names.",
					NestedObject: schema.NestedAttributeObject{Attributes: subnetAttributes()},
				},
			},
		},
		read: readSubnets,
	}
}

func readSubnets(ctx context.Context, c *connection, m *subnetsModel) (diag.Diagnostics, error) {
	found, err := all(func(after string) ([]metal.Subnet, string, error) {
		got, err := c.api.ListSubnets(ctx, api.ListByNamesRequest{Page: api.Page{After: after}})
		return got.Items, got.Next, err
	})
	var diags diag.Diagnostics
	m.Subnets = []subnetDataModel{}
	for _, s := range found {
		if matches(m.Fabric, s.Spec.Fabric) && (m.VLAN.IsNull() || m.VLAN.ValueInt64() == int64(s.Spec.VLAN)) {
			var row subnetDataModel
			diags.Append(row.set(ctx, s)...)
			m.Subnets = append(m.Subnets, row)
		}
	}
	return diags, err
}
