package main

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
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

type reservationModel struct {
	ID       types.String `tfsdk:"id"`
	Name     types.String `tfsdk:"name"`
	Subnet   types.String `tfsdk:"subnet"`
	Address  textValue    `tfsdk:"address"`
	MAC      textValue    `tfsdk:"mac"`
	DUID     types.String `tfsdk:"duid"`
	Hostname types.String `tfsdk:"hostname"`
	Options  types.Object `tfsdk:"options"`
	FQDN     types.String `tfsdk:"fqdn"`
}

func (m *reservationModel) key() types.String { return m.ID }

func (m *reservationModel) set(ctx context.Context, r metal.Reservation) (diags diag.Diagnostics) {
	m.ID, m.Name, m.Subnet = types.StringValue(r.Name), types.StringValue(r.Name), types.StringValue(r.Spec.Subnet)
	m.Address = newText(m.Address, addressSpelling, addressText(r.Addr))
	m.MAC = newText(m.MAC, macSpelling, string(r.Spec.MAC))
	m.DUID, m.Hostname = newString(m.DUID, r.Spec.DUID), newString(m.Hostname, r.Spec.Hostname)
	m.FQDN = types.StringValue(r.FQDN)
	m.Options, diags = newOptions(ctx, m.Options, r.Spec.Options)
	return diags
}

func (m *reservationModel) keep(planned reservationModel) { m.FQDN = hold(planned.FQDN, m.FQDN) }

func (m *reservationModel) spec(ctx context.Context) (metal.ReservationSpec, diag.Diagnostics) {
	options, diags := optionsOf(ctx, m.Options)
	read := addressReader{diags: &diags}
	return metal.ReservationSpec{
		Subnet: m.Subnet.ValueString(), Addr: read.addr(m.Address.ValueString()), MAC: read.mac(m.MAC.ValueString()),
		DUID: m.DUID.ValueString(), Hostname: m.Hostname.ValueString(), Options: options,
	}, diags
}

func reservationSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "One address of a subnet that is kept for one client, known by its MAC address or, in IPv6, its DUID. Without either the address is only kept. " +
			"With the MAC address of a machine it becomes that machine's own address on the subnet.",
		Attributes: map[string]schema.Attribute{
			"id":     idAttribute("The reservation's name."),
			"name":   nameAttribute("Name of the reservation."),
			"subnet": subnetOf("Subnet the address is of."),
			"address": schema.StringAttribute{
				Optional: true, Computed: true, CustomType: textType{spelling: addressSpelling},
				MarkdownDescription: "Address to keep. Another address replaces the reservation. Default: the next free one, which then stays.",
				PlanModifiers: []planmodifier.String{
					stringplanmodifier.UseStateForUnknown(), respelled{addressSpelling}, stringplanmodifier.RequiresReplaceIfConfigured(),
				},
			},
			"mac": schema.StringAttribute{
				Optional: true, CustomType: textType{spelling: macSpelling}, MarkdownDescription: "MAC address of the client. Default: none.",
				PlanModifiers: []planmodifier.String{respelled{macSpelling}},
				Validators:    []validator.String{stringvalidator.ConflictsWith(path.MatchRoot("duid"))},
			},
			"duid": schema.StringAttribute{
				Optional: true, MarkdownDescription: "DHCP unique identifier of an IPv6 client, in lower-case hex digits (RFC 8415). Default: none.",
				Validators: []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^([0-9a-f]{2}){3,130}$`), "must be 3 to 130 bytes in lower-case hex digits")},
			},
			"hostname": schema.StringAttribute{
				Optional: true, MarkdownDescription: "Host name that the client is told and DNS knows: one DNS label. Default: none.",
				Validators: []validator.String{hostnameValidator()},
			},
			"options": optionsAttribute("this client"),
			"fqdn": schema.StringAttribute{
				Computed: true, MarkdownDescription: "The DNS name that answers for the address; empty without a host name.",
				PlanModifiers: []planmodifier.String{stableWhile{paths: []string{"hostname"}}},
			},
		},
	}
}

// reservations keep addresses for clients.
func reservations() *kind[metal.Reservation, reservationModel, *reservationModel] {
	return &kind[metal.Reservation, reservationModel, *reservationModel]{
		name: "ip_reservation", plural: "ip_reservations", words: "IP reservation", schema: reservationSchema,
		put: func(ctx context.Context, c *client.Client, m *reservationModel, _ tfsdk.Config) (r metal.Reservation, diags diag.Diagnostics, err error) {
			spec, diags := m.spec(ctx)
			if !diags.HasError() {
				r, err = c.PutReservation(ctx, api.PutReservationRequest{ByName: byName(m.Name), Body: spec})
			}
			return r, diags, err
		},
		get: func(ctx context.Context, r *readers, id string) (metal.Reservation, error) {
			return r.reservations.get(ctx, id)
		},
		remove: func(ctx context.Context, c *client.Client, id string) error {
			return c.DeleteReservation(ctx, deletion(id))
		},
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.Reservation, string, error) {
			l, err := c.ListReservations(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *reservationModel) (metal.Reservation, error) {
			return c.GetReservation(ctx, byName(m.Name))
		},
		filters: map[string]func(metal.Reservation) string{"subnet": func(r metal.Reservation) string { return r.Spec.Subnet }},
	}
}
