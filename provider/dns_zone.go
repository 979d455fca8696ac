package main

import (
	"context"
	"net/netip"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type zoneModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	TTL         types.Int64  `tfsdk:"ttl"`
	NegativeTTL types.Int64  `tfsdk:"negative_ttl"`
	NameServers types.List   `tfsdk:"name_servers"`
	Mailbox     types.String `tfsdk:"mailbox"`
	Transfer    types.Object `tfsdk:"transfer"`
	UpdateKeys  types.Set    `tfsdk:"update_keys"`
}

type transferModel struct {
	Networks types.List `tfsdk:"networks"`
	Keys     types.Set  `tfsdk:"keys"`
	Notify   types.List `tfsdk:"notify"`
}

func transferTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"networks": types.ListType{ElemType: textType{spelling: networkSpelling}}, "keys": types.SetType{ElemType: types.StringType},
		"notify": types.ListType{ElemType: types.StringType},
	}
}

func (m *zoneModel) key() types.String { return m.ID }

func (m *zoneModel) set(ctx context.Context, z metal.Zone) (diags diag.Diagnostics) {
	m.ID, m.Name = types.StringValue(z.Name), types.StringValue(z.Name)
	m.TTL, m.NegativeTTL = types.Int64Value(int64(z.Spec.TTL)), types.Int64Value(int64(z.Spec.NegativeTTL))
	m.NameServers, m.Mailbox = newList(m.NameServers, z.Spec.NameServers), newString(m.Mailbox, z.Spec.Mailbox)
	m.UpdateKeys = newSet(m.UpdateKeys, z.Spec.Update.Keys)
	t := z.Spec.Transfer
	prior := transferModel{Networks: types.ListNull(textType{spelling: networkSpelling}), Keys: types.SetNull(types.StringType), Notify: types.ListNull(types.StringType)}
	switch {
	case !m.Transfer.IsNull() && !m.Transfer.IsUnknown():
		diags = m.Transfer.As(ctx, &prior, basetypes.ObjectAsOptions{})
	case len(t.Networks)+len(t.Keys)+len(t.Notify) == 0:
		m.Transfer = types.ObjectNull(transferTypes())
		return nil
	}
	m.Transfer = types.ObjectValueMust(transferTypes(), map[string]attr.Value{
		"networks": newTexts(prior.Networks, networkSpelling, t.Networks, netip.Prefix.String),
		"keys":     newSet(prior.Keys, t.Keys), "notify": newList(prior.Notify, t.Notify),
	})
	return diags
}

func (m *zoneModel) spec(ctx context.Context) (metal.ZoneSpec, diag.Diagnostics) {
	spec := metal.ZoneSpec{
		TTL: int(m.TTL.ValueInt64()), NegativeTTL: int(m.NegativeTTL.ValueInt64()), NameServers: stringsOf(m.NameServers),
		Mailbox: m.Mailbox.ValueString(), Update: metal.UpdateSpec{Keys: sorted(m.UpdateKeys)},
	}
	if m.Transfer.IsNull() {
		return spec, nil
	}
	var t transferModel
	diags := m.Transfer.As(ctx, &t, basetypes.ObjectAsOptions{})
	read := addressReader{diags: &diags}
	for _, text := range stringsOf(t.Networks) {
		spec.Transfer.Networks = append(spec.Transfer.Networks, read.prefix(text))
	}
	spec.Transfer.Keys, spec.Transfer.Notify = sorted(t.Keys), stringsOf(t.Notify)
	return spec, diags
}

// zoneName is the name of a zone, which is what the thing is known by.
func zoneName(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, MarkdownDescription: description + " Another zone replaces it.",
		PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
		Validators: []validator.String{
			stringvalidator.LengthAtMost(253),
			stringvalidator.RegexMatches(regexp.MustCompile(`^[a-z0-9_/-]+(\.[a-z0-9_/-]+)*$`), "must be a domain name in lower case, without a dot at the end"),
		},
	}
}

func zoneSchema() schema.Schema {
	keys := func(description string) schema.SetAttribute {
		return schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description}
	}
	return schema.Schema{
		MarkdownDescription: "A DNS zone that the server is authoritative for. The domains of subnets and their reverse zones are served without; declare one to give it settings or records of its own.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The zone's name."),
			"name": zoneName("Name of the zone, without a dot at the end."),
			"ttl": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(60),
				MarkdownDescription: "How long others may remember records without a TTL of their own, in seconds. Default: `60`.",
				Validators:          []validator.Int64{int64validator.Between(0, 2147483647)},
			},
			"negative_ttl": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(10),
				MarkdownDescription: "How long others may remember that something does not exist, in seconds, at most 86400. Default: `10`.",
				Validators:          []validator.Int64{int64validator.Between(0, 86400)},
			},
			"name_servers": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Names of the zone's other servers, its secondaries. The server itself is always one. Default: none.",
			},
			"mailbox": schema.StringAttribute{Optional: true, MarkdownDescription: "Mail address of who is responsible for the zone. Default: `hostmaster` of the zone."},
			"transfer": schema.SingleNestedAttribute{
				Optional: true, MarkdownDescription: "Who may copy the zone by AXFR and IXFR. Default: nobody.",
				Attributes: map[string]schema.Attribute{
					"networks": schema.ListAttribute{
						Optional: true, ElementType: textType{spelling: networkSpelling},
						MarkdownDescription: "Networks that may, in CIDR form. Default: any that signs with one of the keys.",
						PlanModifiers:       []planmodifier.List{respelled{networkSpelling}},
					},
					"keys": keys("TSIG keys, one of which must sign the request. Default: none is asked for."),
					"notify": schema.ListAttribute{
						Optional: true, ElementType: types.StringType,
						MarkdownDescription: "Servers that are told of each change, as `address` or `address:port`. Default: none.",
					},
				},
			},
			"update_keys": keys("TSIG keys that may change records by DNS UPDATE (RFC 2136). Default: nobody may."),
		},
	}
}

// zones are DNS zones with settings or records of their own.
func zones() *kind[metal.Zone, zoneModel, *zoneModel] {
	return &kind[metal.Zone, zoneModel, *zoneModel]{
		name: "dns_zone", plural: "dns_zones", words: "DNS zone", schema: zoneSchema,
		put: func(ctx context.Context, c *client.Client, m *zoneModel, _ tfsdk.Config) (z metal.Zone, diags diag.Diagnostics, err error) {
			spec, diags := m.spec(ctx)
			if !diags.HasError() {
				z, err = c.PutZone(ctx, api.PutZoneRequest{ByZone: api.ByZone{Zone: m.Name.ValueString()}, Body: spec})
			}
			return z, diags, err
		},
		get: func(ctx context.Context, r *readers, id string) (metal.Zone, error) { return r.zones.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error {
			return c.DeleteZone(ctx, api.DeleteZoneRequest{ByZone: api.ByZone{Zone: id}})
		},
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.Zone, string, error) {
			l, err := c.ListZones(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *zoneModel) (metal.Zone, error) {
			return c.GetZone(ctx, api.ByZone{Zone: m.Name.ValueString()})
		},
	}
}
