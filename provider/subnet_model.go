package main

import (
	"context"
	"net/netip"

	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type subnetModel struct {
	ID      types.String `tfsdk:"id"`
	Name    types.String `tfsdk:"name"`
	CIDR    textValue    `tfsdk:"cidr"`
	Fabric  types.String `tfsdk:"fabric"`
	VLAN    types.Int64  `tfsdk:"vlan"`
	Gateway textValue    `tfsdk:"gateway"`
	DNS     types.List   `tfsdk:"dns"`
	NTP     types.List   `tfsdk:"ntp"`
	Domain  types.String `tfsdk:"domain"`
	Search  types.List   `tfsdk:"search"`
	DHCP    types.Object `tfsdk:"dhcp"`
}

type dhcpModel struct {
	Mode         types.String `tfsdk:"mode"`
	Ranges       types.List   `tfsdk:"ranges"`
	LeaseSeconds types.Int64  `tfsdk:"lease_seconds"`
	Options      types.Object `tfsdk:"options"`
	Delegation   types.Object `tfsdk:"delegation"`
}

type delegationModel struct {
	CIDR   textValue   `tfsdk:"cidr"`
	Length types.Int64 `tfsdk:"length"`
}

type rangeModel struct {
	First textValue `tfsdk:"first"`
	Last  textValue `tfsdk:"last"`
}

const defaultLease = 600 // seconds

func rangeAttributes() map[string]attr.Type {
	return map[string]attr.Type{"first": textType{spelling: addressSpelling}, "last": textType{spelling: addressSpelling}}
}

func dhcpAttributes() map[string]attr.Type {
	return map[string]attr.Type{
		"mode": types.StringType, "lease_seconds": types.Int64Type, "ranges": types.ListType{ElemType: types.ObjectType{AttrTypes: rangeAttributes()}},
		"options": types.ObjectType{AttrTypes: optionsTypes()}, "delegation": types.ObjectType{AttrTypes: delegationTypes()},
	}
}

func delegationTypes() map[string]attr.Type {
	return map[string]attr.Type{"cidr": textType{spelling: networkSpelling}, "length": types.Int64Type}
}

func (m *subnetModel) key() types.String { return m.ID }

// set copies what the server says.
func (m *subnetModel) set(ctx context.Context, s metal.Subnet) diag.Diagnostics {
	m.ID, m.Name = types.StringValue(s.Name), types.StringValue(s.Name)
	m.CIDR = newText(m.CIDR, networkSpelling, s.Spec.CIDR.String())
	m.Fabric = types.StringValue(s.Spec.Fabric)
	m.VLAN = types.Int64Value(int64(s.Spec.VLAN))
	m.Gateway = newText(m.Gateway, addressSpelling, addressText(s.Spec.Gateway))
	m.DNS = newTexts(m.DNS, addressSpelling, s.Spec.DNS, netip.Addr.String)
	m.NTP = newTexts(m.NTP, addressSpelling, s.Spec.NTP, netip.Addr.String)
	m.Domain, m.Search = newString(m.Domain, s.Spec.Domain), newList(m.Search, s.Spec.Search)

	prior := dhcpModel{
		Ranges:  types.ListNull(types.ObjectType{AttrTypes: rangeAttributes()}),
		Options: types.ObjectNull(optionsTypes()), Delegation: types.ObjectNull(delegationTypes()),
	}
	var diags diag.Diagnostics
	if !m.DHCP.IsNull() && !m.DHCP.IsUnknown() {
		diags = m.DHCP.As(ctx, &prior, basetypes.ObjectAsOptions{})
	}
	lease := s.Spec.DHCP.LeaseSeconds
	if lease == 0 {
		lease = defaultLease
	}
	ranges := prior.Ranges
	if len(s.Spec.DHCP.Ranges) > 0 || len(ranges.Elements()) > 0 {
		ranges = types.ListNull(types.ObjectType{AttrTypes: rangeAttributes()})
	}
	if len(s.Spec.DHCP.Ranges) > 0 {
		ranges = types.ListValueMust(types.ObjectType{AttrTypes: rangeAttributes()}, elements(s.Spec.DHCP.Ranges, rangeValue))
	}
	mode := s.Spec.DHCP.Mode
	if mode == "" {
		mode = metal.DHCPOff
	}
	options, more := newOptions(ctx, prior.Options, s.Spec.DHCP.Options)
	m.DHCP = types.ObjectValueMust(dhcpAttributes(), map[string]attr.Value{
		"mode": types.StringValue(string(mode)), "ranges": ranges, "lease_seconds": types.Int64Value(int64(lease)),
		"options": options, "delegation": delegationValue(s.Spec.DHCP.Delegation),
	})
	return append(diags, more...)
}

func delegationValue(p *metal.PrefixPool) attr.Value {
	if p == nil {
		return types.ObjectNull(delegationTypes())
	}
	return types.ObjectValueMust(delegationTypes(), map[string]attr.Value{
		"cidr": textValue{types.StringValue(p.CIDR.String()), networkSpelling}, "length": types.Int64Value(int64(p.Length)),
	})
}

func rangeValue(r metal.AddrRange) attr.Value {
	return types.ObjectValueMust(rangeAttributes(), map[string]attr.Value{
		"first": textValue{types.StringValue(r.First.String()), addressSpelling},
		"last":  textValue{types.StringValue(r.Last.String()), addressSpelling},
	})
}

// addressText is the address as text; empty when there is none.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// spec is what the plan asks for. Its texts were validated, so that what does not parse is a fault of the schema.
func (m *subnetModel) spec(ctx context.Context) (metal.SubnetSpec, diag.Diagnostics) {
	var dhcp dhcpModel
	diags := m.DHCP.As(ctx, &dhcp, basetypes.ObjectAsOptions{})
	var ranges []rangeModel
	if !dhcp.Ranges.IsNull() {
		diags.Append(dhcp.Ranges.ElementsAs(ctx, &ranges, false)...)
	}
	read := addressReader{diags: &diags}
	spec := metal.SubnetSpec{
		CIDR:    read.prefix(m.CIDR.ValueString()),
		Fabric:  m.Fabric.ValueString(),
		VLAN:    int(m.VLAN.ValueInt64()),
		Gateway: read.addr(m.Gateway.ValueString()),
		DNS:     read.addrs(m.DNS),
		NTP:     read.addrs(m.NTP),
		Domain:  m.Domain.ValueString(),
		Search:  stringsOf(m.Search),
		DHCP:    metal.DHCPSpec{Mode: metal.DHCPMode(dhcp.Mode.ValueString()), LeaseSeconds: int(dhcp.LeaseSeconds.ValueInt64())},
	}
	options, more := optionsOf(ctx, dhcp.Options)
	diags.Append(more...)
	spec.DHCP.Options = options
	if !dhcp.Delegation.IsNull() {
		var d delegationModel
		diags.Append(dhcp.Delegation.As(ctx, &d, basetypes.ObjectAsOptions{})...)
		spec.DHCP.Delegation = &metal.PrefixPool{CIDR: read.prefix(d.CIDR.ValueString()), Length: int(d.Length.ValueInt64())}
	}
	for _, r := range ranges {
		spec.DHCP.Ranges = append(spec.DHCP.Ranges, metal.AddrRange{First: read.addr(r.First.ValueString()), Last: read.addr(r.Last.ValueString())})
	}
	return spec, diags
}

// addressReader parses addresses and gathers what is wrong with them.
type addressReader struct{ diags *diag.Diagnostics }

func (r addressReader) addr(text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(text)
	if err != nil {
		r.diags.AddError("Not an IP address", err.Error())
	}
	return a
}

func (r addressReader) addrs(list types.List) []netip.Addr {
	var out []netip.Addr
	for _, text := range stringsOf(list) {
		out = append(out, r.addr(text))
	}
	return out
}

func (r addressReader) mac(text string) metal.MAC {
	if text == "" {
		return ""
	}
	mac, err := metal.ParseMAC(text)
	if err != nil {
		r.diags.AddError("Not a MAC address", err.Error())
	}
	return mac
}

func (r addressReader) prefix(text string) netip.Prefix {
	p, err := netip.ParsePrefix(text)
	if err != nil {
		r.diags.AddError("Not an IP network", err.Error())
	}
	return p
}
