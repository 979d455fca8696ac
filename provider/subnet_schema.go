package main

import (
	"context"
	"net/netip"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func subnetSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "An IP network on one VLAN of one fabric, and what its clients are told. Machines that boot on it get an " +
			"address of their own, which stays theirs for as long as they are declared.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The subnet's name."),
			"name": nameAttribute("Name of the subnet."),
			"cidr": schema.StringAttribute{
				Required: true, CustomType: textType{spelling: networkSpelling},
				MarkdownDescription: "The network in CIDR form, host bits zero, as in `10.20.0.0/24`. One that contains it takes its place; any other network replaces the subnet.",
				PlanModifiers: []planmodifier.String{respelled{networkSpelling}, stringplanmodifier.RequiresReplaceIf(
					moves, "Another network replaces the subnet, unless it contains the former one.", "Another network replaces the subnet, unless it contains the former one.")},
			},
			"fabric": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString("default"),
				MarkdownDescription: "Layer-2 fabric, a set of switches that share their VLANs. Default: `default`.",
			},
			"vlan": schema.Int64Attribute{
				Optional: true, Computed: true, Default: int64default.StaticInt64(0),
				MarkdownDescription: "VLAN id within the fabric, 0 to 4094; 0 is untagged. Default: `0`.",
				Validators:          []validator.Int64{int64validator.Between(0, 4094)},
			},
			"gateway": schema.StringAttribute{
				Optional: true, CustomType: textType{spelling: addressSpelling},
				MarkdownDescription: "Default router that clients are told. Default: none.",
				PlanModifiers:       []planmodifier.String{respelled{addressSpelling}},
			},
			"dns": addressList("Name servers that clients are told, the preferred one first. Default: the server itself."),
			"ntp": addressList("Time servers that clients are told, the preferred one first. Default: the server itself."),
			"domain": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "DNS domain of the machines' names. Default: the server's.",
			},
			"search": schema.ListAttribute{
				Optional: true, ElementType: types.StringType, MarkdownDescription: "Domains in which clients look for short names, in their order. Default: the domain.",
			},
			"dhcp": schema.SingleNestedAttribute{
				Optional: true, Computed: true, Default: objectdefault.StaticValue(dhcpOff()),
				MarkdownDescription: "Whether and how the server answers DHCP here. Default: it does not.",
				Attributes: map[string]schema.Attribute{
					"mode": choice("`authoritative`: give addresses, and refuse those of other networks; `proxy`: addresses come from the site's own server, "+
						"and machines are told here what to boot; `off`. Default: `off`.", "off", "authoritative", "proxy", "off"),
					"ranges": schema.ListNestedAttribute{
						Optional:            true,
						MarkdownDescription: "Addresses for clients that nobody declared, such as machines that boot for the first time. Default: none.",
						NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
							"first": rangeEnd("First address of the range."),
							"last":  rangeEnd("Last address of the range, which belongs to it."),
						}},
					},
					"lease_seconds": schema.Int64Attribute{
						Optional: true, Computed: true, Default: int64default.StaticInt64(defaultLease),
						MarkdownDescription: "How long such a client keeps its address, in seconds, at least 60. Default: `600`.",
						Validators:          []validator.Int64{int64validator.AtLeast(60)},
					},
					"options": optionsAttribute("clients of the subnet"),
					"delegation": schema.SingleNestedAttribute{
						Optional: true, MarkdownDescription: "Prefixes that routers among the clients may have (DHCPv6 IA_PD). Default: none.",
						Attributes: map[string]schema.Attribute{
							"cidr": schema.StringAttribute{
								Required: true, CustomType: textType{spelling: networkSpelling}, MarkdownDescription: "Network that the prefixes come from, in CIDR form.",
								PlanModifiers: []planmodifier.String{respelled{networkSpelling}},
							},
							"length": schema.Int64Attribute{
								Required: true, MarkdownDescription: "Length of each prefix.", Validators: []validator.Int64{int64validator.Between(1, 128)},
							},
						},
					},
				},
			},
		},
	}
}

func addressList(description string) schema.ListAttribute {
	return schema.ListAttribute{
		Optional: true, ElementType: textType{spelling: addressSpelling}, MarkdownDescription: description,
		PlanModifiers: []planmodifier.List{respelled{addressSpelling}},
		Validators:    []validator.List{listvalidator.ValueStringsAre(spelled{addressSpelling})},
	}
}

func rangeEnd(description string) schema.StringAttribute {
	return schema.StringAttribute{
		Required: true, CustomType: textType{spelling: addressSpelling}, MarkdownDescription: description,
		PlanModifiers: []planmodifier.String{respelled{addressSpelling}},
	}
}

func dhcpOff() types.Object {
	return types.ObjectValueMust(dhcpAttributes(), map[string]attr.Value{
		"mode": types.StringValue("off"), "lease_seconds": types.Int64Value(defaultLease),
		"ranges":  types.ListNull(types.ObjectType{AttrTypes: rangeAttributes()}),
		"options": types.ObjectNull(optionsTypes()), "delegation": types.ObjectNull(delegationTypes()),
	})
}

// moves says whether addresses of the former network are not in the planned one. Enlarging takes nothing from anybody.
func moves(_ context.Context, req planmodifier.StringRequest, resp *stringplanmodifier.RequiresReplaceIfFuncResponse) {
	from, fromErr := netip.ParsePrefix(req.StateValue.ValueString())
	to, toErr := netip.ParsePrefix(req.PlanValue.ValueString())
	resp.RequiresReplace = fromErr != nil || toErr != nil || to.Bits() > from.Bits() || !to.Contains(from.Addr())
}
