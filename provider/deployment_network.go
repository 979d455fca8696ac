package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// The models of a network have the names of the API's JSON, and go there and back by it. What is absent is nil in both.
type (
	networkModel struct {
		Mode       *string                 `tfsdk:"mode" json:"mode,omitempty"`
		Interfaces []networkInterfaceModel `tfsdk:"interfaces" json:"interfaces,omitempty"`
		Bonds      []networkBondModel      `tfsdk:"bonds" json:"bonds,omitempty"`
		VLANs      []networkVLANModel      `tfsdk:"vlans" json:"vlans,omitempty"`
		Bridges    []networkBridgeModel    `tfsdk:"bridges" json:"bridges,omitempty"`
	}
	networkLinkModel struct {
		Name      *string             `tfsdk:"name" json:"name,omitempty"`
		Primary   *bool               `tfsdk:"primary" json:"primary,omitempty"`
		DHCP4     *bool               `tfsdk:"dhcp4" json:"dhcp4,omitempty"`
		DHCP6     *bool               `tfsdk:"dhcp6" json:"dhcp6,omitempty"`
		AcceptRA  *bool               `tfsdk:"accept_ra" json:"accept_ra,omitempty"`
		Subnets   []string            `tfsdk:"subnets" json:"subnets,omitempty"`
		Addresses []string            `tfsdk:"addresses" json:"addresses,omitempty"`
		MTU       *int64              `tfsdk:"mtu" json:"mtu,omitempty"`
		Routes    []networkRouteModel `tfsdk:"routes" json:"routes,omitempty"`
		DNS       []string            `tfsdk:"dns" json:"dns,omitempty"`
		Search    []string            `tfsdk:"search" json:"search,omitempty"`
	}
	networkRouteModel struct {
		To     *string `tfsdk:"to" json:"to,omitempty"`
		Via    *string `tfsdk:"via" json:"via,omitempty"`
		Metric *int64  `tfsdk:"metric" json:"metric,omitempty"`
	}
	networkInterfaceModel struct {
		networkLinkModel
		MAC *string `tfsdk:"mac" json:"mac,omitempty"`
		NIC *string `tfsdk:"nic" json:"nic,omitempty"`
	}
	networkBondModel struct {
		networkLinkModel
		Interfaces     []string `tfsdk:"interfaces" json:"interfaces,omitempty"`
		Mode           *string  `tfsdk:"mode" json:"mode,omitempty"`
		MIIMon         *int64   `tfsdk:"miimon" json:"miimon,omitempty"`
		UpDelay        *int64   `tfsdk:"up_delay" json:"up_delay,omitempty"`
		DownDelay      *int64   `tfsdk:"down_delay" json:"down_delay,omitempty"`
		MinLinks       *int64   `tfsdk:"min_links" json:"min_links,omitempty"`
		LACPRate       *string  `tfsdk:"lacp_rate" json:"lacp_rate,omitempty"`
		XmitHashPolicy *string  `tfsdk:"xmit_hash_policy" json:"xmit_hash_policy,omitempty"`
		PrimaryPort    *string  `tfsdk:"primary_port" json:"primary_port,omitempty"`
	}
	networkVLANModel struct {
		networkLinkModel
		ID   *int64  `tfsdk:"id" json:"id,omitempty"`
		Link *string `tfsdk:"link" json:"link,omitempty"`
	}
	networkBridgeModel struct {
		networkLinkModel
		Interfaces   []string `tfsdk:"interfaces" json:"interfaces,omitempty"`
		STP          *bool    `tfsdk:"stp" json:"stp,omitempty"`
		ForwardDelay *int64   `tfsdk:"forward_delay" json:"forward_delay,omitempty"`
		Priority     *int64   `tfsdk:"priority" json:"priority,omitempty"`
	}
)

// networkFrom reads the attribute. Everything in it is known.
func networkFrom(ctx context.Context, o types.Object) (metal.NetworkSpec, diag.Diagnostics) {
	var s metal.NetworkSpec
	if o.IsNull() || o.IsUnknown() {
		return s, nil
	}
	var m networkModel
	diags := o.As(ctx, &m, basetypes.ObjectAsOptions{})
	if err := convert(m, &s); err != nil {
		diags.AddAttributeError(path.Root("network"), "Cannot read network", sentence(err.Error()))
	}
	return s, diags
}

// newNetwork is what the server has. Where that means the same as before, it keeps the words of before: the server
// knows no difference between false and absent, and one spelling of a MAC address.
func newNetwork(ctx context.Context, prior types.Object, now metal.NetworkSpec) (types.Object, diag.Diagnostics) {
	now.Mode = orElse(now.Mode, staticMode)
	before, diags := networkFrom(ctx, prior)
	if !prior.IsNull() && !diags.HasError() && spoken[networkModel](before) == spoken[networkModel](now) {
		return prior, nil
	}
	kinds := networkType()
	var m networkModel
	if err := convert(now, &m); err != nil {
		return types.ObjectNull(kinds), diag.Diagnostics{diag.NewErrorDiagnostic("Cannot read the network as the server has it", sentence(err.Error()))}
	}
	return types.ObjectValueFrom(ctx, kinds, m)
}

func networkType() map[string]attr.Type { return typesOf(networkAttributes()) }

// plainNetwork is what a deployment has that says nothing of its network.
func plainNetwork() types.Object {
	kinds, values := networkType(), map[string]attr.Value{}
	for name, kind := range kinds {
		if list, ok := kind.(types.ListType); ok {
			values[name] = types.ListNull(list.ElemType)
		}
	}
	values["mode"] = types.StringValue(staticMode)
	return types.ObjectValueMust(kinds, values)
}
