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
	Leased   types.Int64 `tfsdk:"leased"`
	Free     types.Int64 `tfsdk:"free"`
}

func (m *subnetDataModel) set(ctx context.Context, s metal.Subnet) diag.Diagnostics {
	m.Total, m.Assigned = types.Int64Value(s.Use.Total), types.Int64Value(s.Use.Assigned)
	m.Leased, m.Free = types.Int64Value(s.Use.Leased), types.Int64Value(s.Use.Free)
	return m.subnetModel.set(ctx, s)
}

func subnetAttributes() map[string]schema.Attribute {
	address := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, CustomType: textType{spelling: addressSpelling}, MarkdownDescription: description}
	}
	addresses := func(description string) schema.ListAttribute {
		return schema.ListAttribute{Computed: true, ElementType: textType{spelling: addressSpelling}, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"id":      computedText("The subnet's name."),
		"name":    computedText("Name of the subnet."),
		"cidr":    schema.StringAttribute{Computed: true, CustomType: textType{spelling: networkSpelling}, MarkdownDescription: "The network in CIDR form."},
		"fabric":  computedText("Layer-2 fabric."),
		"vlan":    computedNumber("VLAN id within the fabric; 0 is untagged."),
		"gateway": address("Default router that clients are told."),
		"dns":     addresses("Name servers that clients are told; null: the server itself."),
		"ntp":     addresses("Time servers that clients are told; null: the server itself."),
		"domain":  computedText("DNS domain of the machines' names; null: the server's."),
		"dhcp": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "How the server answers DHCP here.",
			Attributes: map[string]schema.Attribute{
				"enabled":       computedBool("Whether it answers DHCP."),
				"lease_seconds": computedNumber("How long clients that nobody declared keep an address, in seconds."),
				"ranges": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "Addresses for clients that nobody declared.",
					NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
						"first": address("First address of the range."), "last": address("Last address of the range."),
					}},
				},
			},
		},
		"total":    computedNumber("Usable addresses."),
		"assigned": computedNumber("Addresses that belong to machines."),
		"leased":   computedNumber("Addresses that other clients hold now."),
		"free":     computedNumber("Addresses that nobody has."),
	}
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
