package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type rangeOfModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Subnet      types.String `tfsdk:"subnet"`
	First       textValue    `tfsdk:"first"`
	Last        textValue    `tfsdk:"last"`
	Kind        types.String `tfsdk:"kind"`
	Description types.String `tfsdk:"description"`
	Options     types.Object `tfsdk:"options"`
}

func (m *rangeOfModel) key() types.String { return m.ID }

func (m *rangeOfModel) set(ctx context.Context, r metal.IPRange) (diags diag.Diagnostics) {
	m.ID, m.Name, m.Subnet = types.StringValue(r.Name), types.StringValue(r.Name), types.StringValue(r.Spec.Subnet)
	m.First = newText(m.First, addressSpelling, addressText(r.Spec.First))
	m.Last = newText(m.Last, addressSpelling, addressText(r.Spec.Last))
	m.Kind, m.Description = types.StringValue(string(r.Spec.Kind)), newString(m.Description, r.Spec.Description)
	m.Options, diags = newOptions(ctx, m.Options, r.Spec.Options)
	return diags
}

func (m *rangeOfModel) spec(ctx context.Context) (metal.IPRangeSpec, diag.Diagnostics) {
	options, diags := optionsOf(ctx, m.Options)
	read := addressReader{diags: &diags}
	return metal.IPRangeSpec{
		Subnet: m.Subnet.ValueString(), First: read.addr(m.First.ValueString()), Last: read.addr(m.Last.ValueString()),
		Kind: metal.RangeKind(m.Kind.ValueString()), Description: m.Description.ValueString(), Options: options,
	}, diags
}

// subnetOf is the subnet that a thing belongs to for good.
func subnetOf(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, MarkdownDescription: description + " Another subnet replaces it.",
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
	}
}

func rangeSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A range of a subnet's addresses that is set apart: `dynamic` for DHCP clients that nobody declared, `reserved` for nobody, since others manage it. " +
			"Its ends can be moved in place; a client that holds an address outside of the new ends is told when it renews.",
		Attributes: map[string]schema.Attribute{
			"id":          idAttribute("The range's name."),
			"name":        nameAttribute("Name of the range."),
			"subnet":      subnetOf("Subnet it belongs to."),
			"first":       rangeEnd("First address of the range."),
			"last":        rangeEnd("Last address of the range, which belongs to it."),
			"kind":        choice("What it is for: `dynamic` or `reserved`. Default: `dynamic`.", "dynamic", "dynamic", "reserved"),
			"description": descriptionAttribute("What the range is for"),
			"options":     optionsAttribute("clients of the range"),
		},
	}
}

// ranges set addresses apart.
func ranges() *kind[metal.IPRange, rangeOfModel, *rangeOfModel] {
	return &kind[metal.IPRange, rangeOfModel, *rangeOfModel]{
		name: "ip_range", plural: "ip_ranges", words: "IP range", schema: rangeSchema,
		put: func(ctx context.Context, c *client.Client, m *rangeOfModel, _ tfsdk.Config) (r metal.IPRange, diags diag.Diagnostics, err error) {
			spec, diags := m.spec(ctx)
			if !diags.HasError() {
				r, err = c.PutRange(ctx, api.PutRangeRequest{ByName: byName(m.Name), Body: spec})
			}
			return r, diags, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.IPRange, error) { return r.ranges.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteRange(ctx, deletion(id)) },
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.IPRange, string, error) {
			l, err := c.ListRanges(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *rangeOfModel) (metal.IPRange, error) {
			return c.GetRange(ctx, byName(m.Name))
		},
		filters: map[string]func(metal.IPRange) string{
			"subnet": func(r metal.IPRange) string { return r.Spec.Subnet },
			"kind":   func(r metal.IPRange) string { return string(r.Spec.Kind) },
		},
	}
}
