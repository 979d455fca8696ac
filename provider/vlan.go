package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type vlanModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Fabric      types.String `tfsdk:"fabric"`
	VID         types.Int64  `tfsdk:"vid"`
	MTU         types.Int64  `tfsdk:"mtu"`
	Space       types.String `tfsdk:"space"`
	Description types.String `tfsdk:"description"`
	RA          types.Object `tfsdk:"router_advertisements"`
}

type routerAdModel struct {
	Enabled    types.Bool `tfsdk:"enabled"`
	Managed    types.Bool `tfsdk:"managed"`
	Other      types.Bool `tfsdk:"other"`
	Autonomous types.Bool `tfsdk:"autonomous"`
	Router     types.Bool `tfsdk:"router"`
}

func (m *vlanModel) key() types.String { return m.ID }

func (m *vlanModel) set(_ context.Context, v metal.VLAN) diag.Diagnostics {
	m.ID, m.Name = types.StringValue(v.Name), types.StringValue(v.Name)
	m.Fabric, m.VID = types.StringValue(v.Spec.Fabric), types.Int64Value(int64(v.Spec.VID))
	m.MTU = types.Int64Value(int64(v.Spec.MTU))
	m.Space, m.Description = newString(m.Space, v.Spec.Space), newString(m.Description, v.Spec.Description)
	m.RA = routerAdValue(v.Spec.RA)
	return nil
}

func routerAdValue(ra metal.RouterAd) types.Object {
	kinds, values := map[string]attr.Type{}, map[string]attr.Value{}
	for name, on := range map[string]bool{
		"enabled": ra.Enabled, "managed": ra.Managed, "other": ra.Other, "autonomous": ra.Autonomous, "router": ra.Router,
	} {
		kinds[name], values[name] = types.BoolType, types.BoolValue(on)
	}
	return types.ObjectValueMust(kinds, values)
}

func (m *vlanModel) spec(ctx context.Context) (metal.VLANSpec, diag.Diagnostics) {
	var ra routerAdModel
	diags := m.RA.As(ctx, &ra, basetypes.ObjectAsOptions{})
	return metal.VLANSpec{
		Fabric: m.Fabric.ValueString(), VID: int(m.VID.ValueInt64()), MTU: int(m.MTU.ValueInt64()), Space: m.Space.ValueString(),
		Description: m.Description.ValueString(), RA: metal.RouterAd{
			Enabled: ra.Enabled.ValueBool(), Managed: ra.Managed.ValueBool(), Other: ra.Other.ValueBool(),
			Autonomous: ra.Autonomous.ValueBool(), Router: ra.Router.ValueBool(),
		},
	}, diags
}

func vlanSchema() schema.Schema {
	flag := func(description string) schema.BoolAttribute {
		return schema.BoolAttribute{Optional: true, Computed: true, Default: booldefault.StaticBool(false), MarkdownDescription: description + " Default: `false`."}
	}
	return schema.Schema{
		MarkdownDescription: "A VLAN is one layer-2 network of a fabric. The untagged one, id 0, is there without being declared; declare it to give it an MTU, a space or router advertisements.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The VLAN's name."),
			"name": nameAttribute("Name of the VLAN."),
			"fabric": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString(metal.DefaultFabric),
				MarkdownDescription: "Fabric it is on. Another fabric replaces it. Default: `default`.",
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"vid": schema.Int64Attribute{
				Required: true, MarkdownDescription: "802.1Q id within the fabric, 0 to 4094; 0 is untagged. Another id replaces it.",
				PlanModifiers: []planmodifier.Int64{int64planmodifier.RequiresReplace()},
				Validators:    []validator.Int64{int64validator.Between(0, 4094)},
			},
			"mtu": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(1500),
				MarkdownDescription: "Largest packet in bytes that all of its links carry, 576 to 9216. Default: `1500`.",
				Validators:          []validator.Int64{int64validator.Between(576, 9216)},
			},
			"space":       schema.StringAttribute{Optional: true, MarkdownDescription: "Space it belongs to. Default: none."},
			"description": descriptionAttribute("What the VLAN is for"),
			"router_advertisements": schema.SingleNestedAttribute{
				Optional: true, Computed: true, Default: objectdefault.StaticValue(routerAdValue(metal.RouterAd{})),
				MarkdownDescription: "What the server's IPv6 router advertisements tell the hosts of the VLAN. Default: none are sent, but to firmware that asks.",
				Attributes: map[string]schema.Attribute{
					"enabled":    flag("Advertise the prefixes of the VLAN's IPv6 subnets, their name servers and search domains."),
					"managed":    flag("Tell that addresses come by DHCPv6 (M flag)."),
					"other":      flag("Tell that other settings come by DHCPv6 (O flag)."),
					"autonomous": flag("Let hosts make addresses of the prefix by themselves (SLAAC)."),
					"router":     flag("Offer the server's host as default router."),
				},
			},
		},
	}
}

// vlans are the networks that subnets are on.
func vlans() *kind[metal.VLAN, vlanModel, *vlanModel] {
	return &kind[metal.VLAN, vlanModel, *vlanModel]{
		name: "vlan", plural: "vlans", words: "VLAN", schema: vlanSchema,
		put: func(ctx context.Context, c *client.Client, m *vlanModel, _ tfsdk.Config) (v metal.VLAN, diags diag.Diagnostics, err error) {
			spec, diags := m.spec(ctx)
			if !diags.HasError() {
				v, err = c.PutVLAN(ctx, api.PutVLANRequest{ByName: byName(m.Name), Body: spec})
			}
			return v, diags, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.VLAN, error) { return r.vlans.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteVLAN(ctx, deletion(id)) },
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.VLAN, string, error) {
			l, err := c.ListVLANs(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *vlanModel) (metal.VLAN, error) {
			return c.GetVLAN(ctx, byName(m.Name))
		},
		filters: map[string]func(metal.VLAN) string{
			"fabric": func(v metal.VLAN) string { return v.Spec.Fabric },
			"space":  func(v metal.VLAN) string { return v.Spec.Space },
		},
	}
}
