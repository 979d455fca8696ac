package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type routeModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Subnet      types.String `tfsdk:"subnet"`
	Destination textValue    `tfsdk:"destination"`
	Gateway     textValue    `tfsdk:"gateway"`
	Metric      types.Int64  `tfsdk:"metric"`
}

func (m *routeModel) key() types.String { return m.ID }

func (m *routeModel) set(_ context.Context, r metal.StaticRoute) diag.Diagnostics {
	m.ID, m.Name, m.Subnet = types.StringValue(r.Name), types.StringValue(r.Name), types.StringValue(r.Spec.Subnet)
	m.Destination = newText(m.Destination, networkSpelling, r.Spec.Destination.String())
	m.Gateway = newText(m.Gateway, addressSpelling, addressText(r.Spec.Gateway))
	m.Metric = types.Int64Value(int64(r.Spec.Metric))
	return nil
}

func routeSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A route that the hosts of a subnet are told of, beside the one to their gateway: by DHCP (RFC 3442) and in the network configuration of what is deployed.",
		Attributes: map[string]schema.Attribute{
			"id":     idAttribute("The route's name."),
			"name":   nameAttribute("Name of the route."),
			"subnet": subnetOf("Subnet whose hosts are told."),
			"destination": schema.StringAttribute{
				Required: true, CustomType: textType{spelling: networkSpelling}, MarkdownDescription: "Network that it leads to, in CIDR form.",
				PlanModifiers: []planmodifier.String{respelled{networkSpelling}},
			},
			"gateway": rangeEnd("Router to it, an address of the subnet."),
			"metric": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(0),
				MarkdownDescription: "Preference where several routes lead there; the lower wins. Default: `0`.",
				Validators:          []validator.Int64{int64validator.AtLeast(0)},
			},
		},
	}
}

// routes are told to the hosts of subnets.
func routes() *kind[metal.StaticRoute, routeModel, *routeModel] {
	return &kind[metal.StaticRoute, routeModel, *routeModel]{
		name: "static_route", plural: "static_routes", words: "static route", schema: routeSchema,
		put: func(ctx context.Context, c *client.Client, m *routeModel, _ tfsdk.Config) (r metal.StaticRoute, diags diag.Diagnostics, err error) {
			read := addressReader{diags: &diags}
			spec := metal.StaticRouteSpec{
				Subnet: m.Subnet.ValueString(), Destination: read.prefix(m.Destination.ValueString()),
				Gateway: read.addr(m.Gateway.ValueString()), Metric: int(m.Metric.ValueInt64()),
			}
			if !diags.HasError() {
				r, err = c.PutStaticRoute(ctx, api.PutStaticRouteRequest{ByName: byName(m.Name), Body: spec})
			}
			return r, diags, err
		},
		get: func(ctx context.Context, r *readers, id string) (metal.StaticRoute, error) {
			return r.routes.get(ctx, id)
		},
		remove: func(ctx context.Context, c *client.Client, id string) error {
			return c.DeleteStaticRoute(ctx, deletion(id))
		},
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.StaticRoute, string, error) {
			l, err := c.ListStaticRoutes(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *routeModel) (metal.StaticRoute, error) {
			return c.GetStaticRoute(ctx, byName(m.Name))
		},
		filters: map[string]func(metal.StaticRoute) string{"subnet": func(r metal.StaticRoute) string { return r.Spec.Subnet }},
	}
}
