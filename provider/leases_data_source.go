package main

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type leasesModel struct {
	Subnet types.String `tfsdk:"subnet"`
	Leases []leaseModel `tfsdk:"leases"`
}

type leaseModel struct {
	Subnet    types.String `tfsdk:"subnet"`
	Address   types.String `tfsdk:"address"`
	Bits      types.Int64  `tfsdk:"prefix_length"`
	MAC       types.String `tfsdk:"mac"`
	ClientID  types.String `tfsdk:"client_id"`
	Hostname  types.String `tfsdk:"hostname"`
	State     types.String `tfsdk:"state"`
	ExpiresAt types.String `tfsdk:"expires_at"`
}

func newLeasesDataSource() datasource.DataSource {
	return &dataSource[leasesModel]{
		name: "leases",
		schema: schema.Schema{
			MarkdownDescription: "The DHCP leases of clients that nobody declared, of both families.",
			Attributes: map[string]schema.Attribute{
				"subnet": optionalText("Only those of this subnet. Default: all."),
				"leases": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "The leases, by subnet and address.",
					NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
						"subnet":        computedText("Subnet of the address."),
						"address":       computedText("The address, or the first one of a delegated prefix."),
						"prefix_length": computedNumber("Length of a delegated prefix; null for an address."),
						"mac":           computedText("MAC address of the client; null where it is not known."),
						"client_id":     computedText("Client identifier or DUID in hex; null where the client sends none."),
						"hostname":      computedText("Host name that the client calls itself; null for none."),
						"state":         computedText("`offered`, `active` or `declined`."),
						"expires_at":    computedText("When it ends, as RFC 3339 writes time."),
					}},
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *leasesModel) (diag.Diagnostics, error) {
			found, err := all(func(after string) ([]metal.Lease, string, error) {
				l, err := c.api.ListLeases(ctx, api.ListLeasesRequest{Page: api.Page{After: after}, Subnet: m.Subnet.ValueString()})
				return l.Items, l.Next, err
			})
			m.Leases = []leaseModel{}
			for _, l := range found {
				m.Leases = append(m.Leases, leaseModel{
					Subnet: types.StringValue(l.Subnet), Address: types.StringValue(l.Addr.String()), Bits: newInt(types.Int64Null(), int64(l.Bits)),
					MAC: newString(types.StringNull(), string(l.MAC)), ClientID: newString(types.StringNull(), l.ClientID),
					Hostname: newString(types.StringNull(), l.Hostname), State: types.StringValue(string(l.State)),
					ExpiresAt: types.StringValue(l.ExpiresAt.UTC().Format(time.RFC3339)),
				})
			}
			return nil, err
		},
	}
}

type addressesModel struct {
	Subnet    types.String      `tfsdk:"subnet"`
	FreeOnly  types.Bool        `tfsdk:"free_only"`
	Addresses []addressUseModel `tfsdk:"addresses"`
}

type addressUseModel struct {
	First types.String `tfsdk:"first"`
	Last  types.String `tfsdk:"last"`
	Use   types.String `tfsdk:"use"`
	Who   types.String `tfsdk:"who"`
	MAC   types.String `tfsdk:"mac"`
}

func newAddressesDataSource() datasource.DataSource {
	return &dataSource[addressesModel]{
		name: "subnet_addresses",
		schema: schema.Schema{
			MarkdownDescription: "What the addresses of a subnet are for: each one that somebody has, and the runs between them.",
			Attributes: map[string]schema.Attribute{
				"subnet":    requiredText("Name of the subnet."),
				"free_only": schema.BoolAttribute{Optional: true, MarkdownDescription: "Only what is free. Default: `false`."},
				"addresses": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "Addresses and runs of them, in their order.",
					NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
						"first": computedText("First address."), "last": computedText("Last address, which belongs to the run."),
						"use": computedText("`free`, `dynamic`, `reserved`, `gateway`, `server`, `assigned`, `leased`, or `seen` for one that is in use although nobody was given it."),
						"who": computedText("Owner, client, or what was seen; null for nobody."), "mac": computedText("MAC address of that; null where it is not known."),
					}},
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *addressesModel) (diag.Diagnostics, error) {
			found, err := all(func(after string) ([]metal.AddressUse, string, error) {
				l, err := c.api.ListAddresses(ctx, api.ListAddressesRequest{ByName: byName(m.Subnet), Page: api.Page{After: after}, Free: m.FreeOnly.ValueBool()})
				return l.Items, l.Next, err
			})
			m.Addresses = []addressUseModel{}
			for _, a := range found {
				m.Addresses = append(m.Addresses, addressUseModel{
					First: types.StringValue(a.First.String()), Last: types.StringValue(a.Last.String()), Use: types.StringValue(a.Use),
					Who: newString(types.StringNull(), a.Who), MAC: newString(types.StringNull(), string(a.MAC)),
				})
			}
			return nil, err
		},
	}
}
