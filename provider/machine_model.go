package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/attr"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// machineModel is what the resource and the data sources all show.
type machineModel struct {
	ID               types.String `tfsdk:"id"`
	Name             types.String `tfsdk:"name"`
	MACs             types.List   `tfsdk:"macs"`
	Arch             types.String `tfsdk:"arch"`
	Pool             types.String `tfsdk:"pool"`
	Zone             types.String `tfsdk:"zone"`
	Tags             types.Set    `tfsdk:"tags"`
	Notes            types.String `tfsdk:"notes"`
	KernelParameters types.String `tfsdk:"kernel_parameters"`
	State            types.String `tfsdk:"state"`
	Address          types.String `tfsdk:"address"`
	FQDN             types.String `tfsdk:"fqdn"`
	Hardware         types.Object `tfsdk:"hardware"`
}

type machineResourceModel struct {
	machineModel
	BMC                types.Object   `tfsdk:"bmc"`
	WaitFor            types.String   `tfsdk:"wait_for"`
	DeletionProtection types.Bool     `tfsdk:"deletion_protection"`
	Timeouts           timeouts.Value `tfsdk:"timeouts"`
}

type bmcModel struct {
	Type            types.String `tfsdk:"type"`
	Address         types.String `tfsdk:"address"`
	Username        types.String `tfsdk:"username"`
	Password        types.String `tfsdk:"password_wo"`
	PasswordVersion types.Int64  `tfsdk:"password_wo_version"`
	TLS             types.Object `tfsdk:"tls"`
}

type tlsModel struct {
	Insecure    types.Bool `tfsdk:"insecure"`
	Fingerprint textValue  `tfsdk:"fingerprint"`
}

func tlsAttributes() map[string]attr.Type {
	return map[string]attr.Type{"insecure": types.BoolType, "fingerprint": textType{spelling: fingerprintSpelling}}
}

func bmcAttributes() map[string]attr.Type {
	return map[string]attr.Type{
		"type": types.StringType, "address": types.StringType, "username": types.StringType,
		"password_wo": types.StringType, "password_wo_version": types.Int64Type, "tls": types.ObjectType{AttrTypes: tlsAttributes()},
	}
}

func hardwareAttributes() map[string]attr.Type {
	return map[string]attr.Type{
		"vendor": types.StringType, "product": types.StringType, "serial": types.StringType, "uuid": types.StringType,
		"arch": types.StringType, "boot_mode": types.StringType, "cpus": types.Int64Type, "memory_bytes": types.Int64Type,
		"disks": types.Int64Type, "disk_bytes": types.Int64Type, "nics": types.Int64Type,
	}
}

// set copies what the server says.
func (m *machineModel) set(got metal.Machine) {
	m.ID, m.Name = types.StringValue(got.ID), types.StringValue(got.Spec.Name)
	m.MACs = newTexts(m.MACs, macSpelling, got.Spec.MACs, func(mac metal.MAC) string { return string(mac) })
	m.Arch = types.StringValue(orElse(string(got.Spec.Arch), string(metal.AMD64)))
	m.Pool = types.StringValue(orElse(got.Spec.Pool, "default"))
	m.Zone = newString(m.Zone, got.Spec.Zone)
	m.Tags = newSet(m.Tags, got.Spec.Tags)
	m.Notes = newString(m.Notes, got.Spec.Notes)
	m.KernelParameters = newString(m.KernelParameters, got.Spec.KernelParameters)
	m.State = types.StringValue(string(got.State))
	m.Address = newString(types.StringUnknown(), got.Address)
	m.FQDN = newString(types.StringUnknown(), got.FQDN)
	m.Hardware = newHardware(got.Hardware)
}

func newHardware(f metal.Facts) types.Object {
	if f == (metal.Facts{}) {
		return types.ObjectNull(hardwareAttributes())
	}
	text := func(s string) attr.Value { return newString(types.StringUnknown(), s) }
	number := func(n int64) attr.Value { return types.Int64Value(n) }
	return types.ObjectValueMust(hardwareAttributes(), map[string]attr.Value{
		"vendor": text(f.Vendor), "product": text(f.Product), "serial": text(f.Serial), "uuid": text(f.UUID),
		"arch": text(string(f.Arch)), "boot_mode": text(string(f.BootMode)),
		"cpus": number(int64(f.CPUs)), "memory_bytes": number(f.MemoryBytes),
		"disks": number(int64(f.Disks)), "disk_bytes": number(f.DiskBytes), "nics": number(int64(f.NICs)),
	})
}

// set copies what the server says, and leaves what only Terraform knows.
func (m *machineResourceModel) set(ctx context.Context, got metal.Machine) diag.Diagnostics {
	m.machineModel.set(got)
	m.DeletionProtection = types.BoolValue(got.Spec.Protected)
	if m.WaitFor.IsNull() {
		m.WaitFor = types.StringValue(waitForReady)
	}
	if got.Spec.BMC == nil {
		m.BMC = types.ObjectNull(bmcAttributes())
		return nil
	}
	prior, diags := m.bmc(ctx)
	var tls tlsModel
	if prior.TLS.IsNull() {
		prior.TLS = types.ObjectNull(tlsAttributes())
	} else {
		diags.Append(prior.TLS.As(ctx, &tls, basetypes.ObjectAsOptions{})...)
	}
	if want := got.Spec.BMC.TLS; want != (metal.BMCTLS{}) || !prior.TLS.IsNull() {
		prior.TLS = types.ObjectValueMust(tlsAttributes(), map[string]attr.Value{
			"insecure": newBool(tls.Insecure, want.Insecure), "fingerprint": newText(tls.Fingerprint, fingerprintSpelling, want.Fingerprint),
		})
	}
	m.BMC = types.ObjectValueMust(bmcAttributes(), map[string]attr.Value{
		"type":                types.StringValue(got.Spec.BMC.Type),
		"address":             newString(prior.Address, got.Spec.BMC.Address),
		"username":            newString(prior.Username, got.Spec.BMC.Username),
		"password_wo":         types.StringNull(),
		"password_wo_version": prior.PasswordVersion,
		"tls":                 prior.TLS,
	})
	return diags
}

// keep holds what the plan promised.
func (m *machineModel) keep(planned *machineResourceModel) {
	m.State, m.Address, m.FQDN = hold(planned.State, m.State), hold(planned.Address, m.Address), hold(planned.FQDN, m.FQDN)
	m.Hardware = hold(planned.Hardware, m.Hardware)
}

// bmc returns the BMC block; the zero block when there is none.
func (m *machineResourceModel) bmc(ctx context.Context) (bmcModel, diag.Diagnostics) {
	var b bmcModel
	if m.BMC.IsNull() || m.BMC.IsUnknown() {
		return b, nil
	}
	return b, m.BMC.As(ctx, &b, basetypes.ObjectAsOptions{})
}

// spec is what the plan asks for.
func (m *machineResourceModel) spec(ctx context.Context) (metal.MachineSpec, diag.Diagnostics) {
	spec := metal.MachineSpec{
		Name:             m.Name.ValueString(),
		Arch:             metal.Arch(m.Arch.ValueString()),
		Pool:             m.Pool.ValueString(),
		Zone:             m.Zone.ValueString(),
		Tags:             sorted(m.Tags),
		Notes:            m.Notes.ValueString(),
		KernelParameters: m.KernelParameters.ValueString(),
		Protected:        m.DeletionProtection.ValueBool(),
	}
	for _, text := range stringsOf(m.MACs) {
		canonical, err := macSpelling.canonical(text)
		if err != nil {
			return spec, diag.Diagnostics{diag.NewErrorDiagnostic("Not a MAC address", err.Error())}
		}
		spec.MACs = append(spec.MACs, metal.MAC(canonical))
	}
	if m.BMC.IsNull() {
		return spec, nil
	}
	b, diags := m.bmc(ctx)
	spec.BMC = &metal.BMC{Type: b.Type.ValueString(), Address: b.Address.ValueString(), Username: b.Username.ValueString()}
	if !b.TLS.IsNull() {
		var tls tlsModel
		diags.Append(b.TLS.As(ctx, &tls, basetypes.ObjectAsOptions{})...)
		spec.BMC.TLS.Insecure = tls.Insecure.ValueBool()
		if text := tls.Fingerprint.ValueString(); text != "" {
			// The schema has validated it: it has a canonical form.
			spec.BMC.TLS.Fingerprint, _ = fingerprintSpelling.canonical(text)
		}
	}
	return spec, diags
}
