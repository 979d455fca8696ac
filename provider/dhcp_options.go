package main

import (
	"context"
	"net/netip"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type optionsModel struct {
	MTU        types.Int64  `tfsdk:"mtu"`
	BootServer types.String `tfsdk:"boot_server"`
	BootFile   types.String `tfsdk:"boot_file"`
	Syslog     types.List   `tfsdk:"syslog"`
	TimeZone   types.String `tfsdk:"time_zone"`
	WPAD       types.String `tfsdk:"wpad"`
	Custom     types.List   `tfsdk:"custom"`
}

type customModel struct {
	Code  types.Int64  `tfsdk:"code"`
	Type  types.String `tfsdk:"type"`
	Value types.String `tfsdk:"value"`
}

func customTypes() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{"code": types.Int64Type, "type": types.StringType, "value": types.StringType}}
}

func optionsTypes() map[string]attr.Type {
	return map[string]attr.Type{
		"mtu": types.Int64Type, "boot_server": types.StringType, "boot_file": types.StringType, "time_zone": types.StringType, "wpad": types.StringType,
		"syslog": types.ListType{ElemType: textType{spelling: addressSpelling}}, "custom": types.ListType{ElemType: customTypes()},
	}
}

// optionsAttribute is what clients are told by DHCP.
func optionsAttribute(whom string) schema.SingleNestedAttribute {
	plain := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description + " Default: none."}
	}
	return schema.SingleNestedAttribute{
		Optional: true, MarkdownDescription: "What " + whom + " are told by DHCP beside addresses and servers. Default: nothing more.",
		Attributes: map[string]schema.Attribute{
			"mtu": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "Interface MTU in bytes, 68 to 65535. Default: the VLAN's.",
				Validators: []validator.Int64{int64validator.Between(68, 65535)},
			},
			"boot_server": plain("TFTP server of another boot service. With it the server names no boot file of its own."),
			"boot_file":   plain("Boot file of another boot service."),
			"syslog":      addressList("Log servers. Default: none."),
			"time_zone":   plain("Time zone by its name in the tz database, as in `Europe/Berlin`."),
			"wpad":        plain("URL of a proxy configuration."),
			"custom": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Any other option by its code. Default: none.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"code": schema.Int64Attribute{
						Required: true, MarkdownDescription: "Code of the option: 1 to 254 in DHCPv4, to 65535 in DHCPv6.",
						Validators: []validator.Int64{int64validator.Between(1, 65535)},
					},
					"type": schema.StringAttribute{
						Required: true, MarkdownDescription: "How the value is written: `ip`, `ips`, `uint8`, `uint16`, `uint32`, `bool`, `text`, `fqdn` or `hex`.",
						Validators: []validator.String{stringvalidator.OneOf("ip", "ips", "uint8", "uint16", "uint32", "bool", "text", "fqdn", "hex")},
					},
					"value": schema.StringAttribute{Required: true, MarkdownDescription: "The value: addresses separated by commas, a number, `true` or `false`, text, a domain name, or hex digits."},
				}},
			},
		},
	}
}

// newOptions is what the server says; null where it says nothing and the user did not write an empty object.
func newOptions(ctx context.Context, prior types.Object, o metal.DHCPOptions) (types.Object, diag.Diagnostics) {
	was := optionsModel{Syslog: types.ListNull(textType{spelling: addressSpelling}), Custom: types.ListNull(customTypes())}
	var diags diag.Diagnostics
	if !prior.IsNull() && !prior.IsUnknown() {
		diags = prior.As(ctx, &was, basetypes.ObjectAsOptions{})
	} else if empty(o) {
		return types.ObjectNull(optionsTypes()), nil
	}
	custom := types.ListNull(customTypes())
	if len(o.Custom) > 0 {
		custom = types.ListValueMust(customTypes(), elements(o.Custom, func(c metal.DHCPOption) attr.Value {
			return types.ObjectValueMust(customTypes().AttrTypes, map[string]attr.Value{
				"code": types.Int64Value(int64(c.Code)), "type": types.StringValue(c.Type), "value": types.StringValue(c.Value),
			})
		}))
	} else if !was.Custom.IsUnknown() && len(was.Custom.Elements()) == 0 {
		custom = was.Custom
	}
	return types.ObjectValueMust(optionsTypes(), map[string]attr.Value{
		"mtu": newInt(was.MTU, int64(o.MTU)), "boot_server": newString(was.BootServer, o.BootServer), "boot_file": newString(was.BootFile, o.BootFile),
		"syslog": newTexts(was.Syslog, addressSpelling, o.Syslog, netip.Addr.String), "time_zone": newString(was.TimeZone, o.TimeZone),
		"wpad": newString(was.WPAD, o.WPAD), "custom": custom,
	}), diags
}

func empty(o metal.DHCPOptions) bool {
	return o.MTU == 0 && o.BootServer == "" && o.BootFile == "" && len(o.Syslog) == 0 && o.TimeZone == "" && o.WPAD == "" && len(o.Custom) == 0
}

// optionsOf is what the plan asks for.
func optionsOf(ctx context.Context, o types.Object) (metal.DHCPOptions, diag.Diagnostics) {
	var m optionsModel
	if o.IsNull() || o.IsUnknown() {
		return metal.DHCPOptions{}, nil
	}
	diags := o.As(ctx, &m, basetypes.ObjectAsOptions{})
	var custom []customModel
	if !m.Custom.IsNull() {
		diags.Append(m.Custom.ElementsAs(ctx, &custom, false)...)
	}
	read := addressReader{diags: &diags}
	out := metal.DHCPOptions{
		MTU: int(m.MTU.ValueInt64()), BootServer: m.BootServer.ValueString(), BootFile: m.BootFile.ValueString(),
		Syslog: read.addrs(m.Syslog), TimeZone: m.TimeZone.ValueString(), WPAD: m.WPAD.ValueString(),
	}
	for _, c := range custom {
		out.Custom = append(out.Custom, metal.DHCPOption{Code: int(c.Code.ValueInt64()), Type: c.Type.ValueString(), Value: c.Value.ValueString()})
	}
	return out, diags
}
