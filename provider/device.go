package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type deviceModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Interfaces  types.List   `tfsdk:"interfaces"`
	Domain      types.String `tfsdk:"domain"`
	Description types.String `tfsdk:"description"`
	Tags        types.Set    `tfsdk:"tags"`
	Addresses   types.List   `tfsdk:"addresses"`
	FQDN        types.String `tfsdk:"fqdn"`
}

type deviceInterfaceModel struct {
	MAC     textValue    `tfsdk:"mac"`
	Subnet  types.String `tfsdk:"subnet"`
	Address textValue    `tfsdk:"address"`
}

func interfaceTypes() types.ObjectType {
	return types.ObjectType{AttrTypes: map[string]attr.Type{
		"mac": textType{spelling: macSpelling}, "subnet": types.StringType, "address": textType{spelling: addressSpelling},
	}}
}

func (m *deviceModel) key() types.String { return m.ID }

func (m *deviceModel) set(ctx context.Context, d metal.Device) (diags diag.Diagnostics) {
	m.ID, m.Name = types.StringValue(d.Name), types.StringValue(d.Name)
	m.Domain, m.Description = newString(m.Domain, d.Spec.Domain), newString(m.Description, d.Spec.Description)
	m.Tags, m.FQDN = newSet(m.Tags, d.Spec.Tags), types.StringValue(d.FQDN)
	m.Addresses = types.ListValueMust(interfaceTypes(), elements(d.Addresses, func(a metal.Assignment) attr.Value {
		return interfaceValue(a.MAC, a.Subnet, addressText(a.Addr))
	}))
	if len(d.Spec.Interfaces) == 0 {
		if m.Interfaces.IsUnknown() || m.Interfaces.IsNull() || len(m.Interfaces.Elements()) > 0 {
			m.Interfaces = types.ListNull(interfaceTypes())
		}
		return nil
	}
	var prior []deviceInterfaceModel
	if !m.Interfaces.IsNull() && !m.Interfaces.IsUnknown() {
		diags = m.Interfaces.ElementsAs(ctx, &prior, false)
	}
	var rows []attr.Value
	for i, now := range d.Spec.Interfaces {
		row := deviceInterfaceModel{MAC: textValue{spelling: macSpelling}, Address: textValue{spelling: addressSpelling}}
		if i < len(prior) {
			row = prior[i]
		}
		rows = append(rows, types.ObjectValueMust(interfaceTypes().AttrTypes, map[string]attr.Value{
			"mac": newText(row.MAC, macSpelling, string(now.MAC)), "subnet": newString(row.Subnet, now.Subnet),
			"address": newText(row.Address, addressSpelling, addressText(now.Addr)),
		}))
	}
	m.Interfaces = types.ListValueMust(interfaceTypes(), rows)
	return diags
}

func (m *deviceModel) keep(planned deviceModel) {
	m.FQDN, m.Addresses = hold(planned.FQDN, m.FQDN), hold(planned.Addresses, m.Addresses)
}

func interfaceValue(mac metal.MAC, subnet, address string) attr.Value {
	return types.ObjectValueMust(interfaceTypes().AttrTypes, map[string]attr.Value{
		"mac":    newText(textValue{spelling: macSpelling}, macSpelling, string(mac)),
		"subnet": newString(types.StringNull(), subnet), "address": newText(textValue{spelling: addressSpelling}, addressSpelling, address),
	})
}

func (m *deviceModel) spec(ctx context.Context) (metal.DeviceSpec, diag.Diagnostics) {
	var interfaces []deviceInterfaceModel
	var diags diag.Diagnostics
	if !m.Interfaces.IsNull() {
		diags = m.Interfaces.ElementsAs(ctx, &interfaces, false)
	}
	read := addressReader{diags: &diags}
	spec := metal.DeviceSpec{Domain: m.Domain.ValueString(), Description: m.Description.ValueString(), Tags: sorted(m.Tags)}
	for _, i := range interfaces {
		spec.Interfaces = append(spec.Interfaces, metal.DeviceInterface{
			MAC: read.mac(i.MAC.ValueString()), Subnet: i.Subnet.ValueString(), Addr: read.addr(i.Address.ValueString()),
		})
	}
	return spec, diags
}

func deviceSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A thing on the network that is not provisioned: a switch, a PDU, a printer. It has addresses of its own, which DHCP gives it, and a name in DNS.",
		Attributes: map[string]schema.Attribute{
			"id": idAttribute("The device's name."),
			"name": schema.StringAttribute{
				Required: true, MarkdownDescription: "Host name of the device: one DNS label. Another name replaces it.",
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
				Validators:    []validator.String{hostnameValidator()},
			},
			"interfaces": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Its network interfaces. Default: none.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"mac": schema.StringAttribute{
						Optional: true, CustomType: textType{spelling: macSpelling},
						MarkdownDescription: "MAC address. Default: none, and the address is configured by hand on the device.",
						PlanModifiers:       []planmodifier.String{respelled{macSpelling}},
					},
					"subnet": schema.StringAttribute{Optional: true, MarkdownDescription: "Subnet to have an address of its own on. Default: none, only leases."},
					"address": schema.StringAttribute{
						Optional: true, CustomType: textType{spelling: addressSpelling},
						MarkdownDescription: "That address. Default: the next free one, which then stays; see `addresses`.",
						PlanModifiers:       []planmodifier.String{respelled{addressSpelling}},
					},
				}},
			},
			"domain":      schema.StringAttribute{Optional: true, MarkdownDescription: "DNS domain of its name. Default: that of its first subnet."},
			"description": descriptionAttribute("What the device is"),
			"tags":        schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Tags. Default: none."},
			"addresses": schema.ListNestedAttribute{
				Computed: true, MarkdownDescription: "The addresses that it has, in the order of interfaces.",
				PlanModifiers: []planmodifier.List{stableWhile{paths: []string{"interfaces"}}},
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"mac":     schema.StringAttribute{Computed: true, CustomType: textType{spelling: macSpelling}, MarkdownDescription: "MAC address of the interface."},
					"subnet":  schema.StringAttribute{Computed: true, MarkdownDescription: "Subnet of the address."},
					"address": schema.StringAttribute{Computed: true, CustomType: textType{spelling: addressSpelling}, MarkdownDescription: "The address."},
				}},
			},
			"fqdn": schema.StringAttribute{
				Computed: true, MarkdownDescription: "The DNS name that answers for its addresses.",
				PlanModifiers: []planmodifier.String{stableWhile{paths: []string{"domain", "interfaces"}}},
			},
		},
	}
}

// devices are on the network without being provisioned.
func devices() *kind[metal.Device, deviceModel, *deviceModel] {
	return &kind[metal.Device, deviceModel, *deviceModel]{
		name: "device", plural: "devices", words: "device", schema: deviceSchema,
		put: func(ctx context.Context, c *client.Client, m *deviceModel, _ tfsdk.Config) (d metal.Device, diags diag.Diagnostics, err error) {
			spec, diags := m.spec(ctx)
			if !diags.HasError() {
				d, err = c.PutDevice(ctx, api.PutDeviceRequest{ByName: byName(m.Name), Body: spec})
			}
			return d, diags, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.Device, error) { return r.devices.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteDevice(ctx, deletion(id)) },
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.Device, string, error) {
			l, err := c.ListDevices(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *deviceModel) (metal.Device, error) {
			return c.GetDevice(ctx, byName(m.Name))
		},
	}
}
