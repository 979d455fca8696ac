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

// allocationModel is what the resource and the data source both show.
type allocationModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Pool        types.String `tfsdk:"pool"`
	Constraints types.Object `tfsdk:"constraints"`
	Release     types.Object `tfsdk:"release"`
	MachineID   types.String `tfsdk:"machine_id"`
	Machine     types.String `tfsdk:"machine"`
	Addresses   types.List   `tfsdk:"addresses"`
	FQDN        types.String `tfsdk:"fqdn"`
}

type allocationResourceModel struct {
	allocationModel
	WaitForCapacity textValue      `tfsdk:"wait_for_capacity"`
	WaitForErase    types.Bool     `tfsdk:"wait_for_erase"`
	Timeouts        timeouts.Value `tfsdk:"timeouts"`
}

type constraintsModel struct {
	Machine     types.String `tfsdk:"machine"`
	Arch        types.String `tfsdk:"arch"`
	Zone        types.String `tfsdk:"zone"`
	MinCPUs     types.Int64  `tfsdk:"min_cpus"`
	MinMemory   types.Int64  `tfsdk:"min_memory_bytes"`
	MinDisk     types.Int64  `tfsdk:"min_disk_bytes"`
	MinDisks    types.Int64  `tfsdk:"min_disks"`
	MinNICs     types.Int64  `tfsdk:"min_nics"`
	Tags        types.Set    `tfsdk:"tags"`
	NotTags     types.Set    `tfsdk:"not_tags"`
	BootMode    types.String `tfsdk:"boot_mode"`
	NotMachines types.Set    `tfsdk:"not_machines"`
}

func constraintsAttributes() map[string]attr.Type {
	names := types.SetType{ElemType: types.StringType}
	return map[string]attr.Type{
		"machine": types.StringType, "arch": types.StringType, "zone": types.StringType, "boot_mode": types.StringType,
		"min_cpus": types.Int64Type, "min_memory_bytes": types.Int64Type, "min_disk_bytes": types.Int64Type,
		"min_disks": types.Int64Type, "min_nics": types.Int64Type,
		"tags": names, "not_tags": names, "not_machines": names,
	}
}

type releaseModel struct {
	Erase    types.String `tfsdk:"erase"`
	PowerOff types.Bool   `tfsdk:"power_off"`
}

func releaseValue(p metal.ReleasePolicy) types.Object {
	return types.ObjectValueMust(
		map[string]attr.Type{"erase": types.StringType, "power_off": types.BoolType},
		map[string]attr.Value{
			"erase": types.StringValue(orElse(string(p.Erase), string(metal.EraseQuick))), "power_off": types.BoolValue(p.PowerOff),
		},
	)
}

// set copies what the server says.
func (m *allocationModel) set(ctx context.Context, a metal.Allocation) diag.Diagnostics {
	m.ID, m.Name = types.StringValue(a.ID), types.StringValue(a.Name)
	m.Pool = types.StringValue(orElse(a.Spec.Pool, "default"))
	m.Release = releaseValue(a.Spec.Release)
	m.MachineID, m.Machine = types.StringValue(a.MachineID), types.StringValue(a.Machine)
	m.Addresses = computedList(a.Addresses)
	m.FQDN = newString(types.StringUnknown(), a.FQDN)

	prior, diags := m.constraints(ctx)
	want := a.Spec.Constraints
	now := constraintsModel{
		Machine:   newString(prior.Machine, want.Machine),
		Arch:      newString(prior.Arch, string(want.Arch)),
		Zone:      newString(prior.Zone, want.Zone),
		BootMode:  newString(prior.BootMode, string(want.BootMode)),
		MinCPUs:   newInt(prior.MinCPUs, int64(want.MinCPUs)),
		MinMemory: newInt(prior.MinMemory, want.MinMemory),
		MinDisk:   newInt(prior.MinDisk, want.MinDisk),
		MinDisks:  newInt(prior.MinDisks, int64(want.MinDisks)),
		MinNICs:   newInt(prior.MinNICs, int64(want.MinNICs)),
		Tags:      newSet(prior.Tags, want.Tags), NotTags: newSet(prior.NotTags, want.NotTags),
		NotMachines: newSet(prior.NotMachines, want.NotMachines),
	}
	value, d := types.ObjectValueFrom(ctx, constraintsAttributes(), now)
	diags.Append(d...)
	nothing := types.ObjectValueMust(constraintsAttributes(), nullConstraints())
	if value.Equal(nothing) && (m.Constraints.IsNull() || m.Constraints.IsUnknown()) {
		value = types.ObjectNull(constraintsAttributes())
	}
	m.Constraints = value
	return diags
}

func nullConstraints() map[string]attr.Value {
	out := map[string]attr.Value{}
	for name, kind := range constraintsAttributes() {
		switch kind {
		case types.StringType:
			out[name] = types.StringNull()
		case types.Int64Type:
			out[name] = types.Int64Null()
		default:
			out[name] = types.SetNull(types.StringType)
		}
	}
	return out
}

func (m *allocationModel) constraints(ctx context.Context) (constraintsModel, diag.Diagnostics) {
	var c constraintsModel
	if m.Constraints.IsNull() || m.Constraints.IsUnknown() {
		return c, nil
	}
	return c, m.Constraints.As(ctx, &c, basetypes.ObjectAsOptions{})
}

// spec is what the plan asks for.
func (m *allocationModel) spec(ctx context.Context) (metal.AllocationSpec, diag.Diagnostics) {
	c, diags := m.constraints(ctx)
	var release releaseModel
	diags.Append(m.Release.As(ctx, &release, basetypes.ObjectAsOptions{})...)
	return metal.AllocationSpec{
		Pool:        m.Pool.ValueString(),
		Constraints: c.api(),
		Release:     metal.ReleasePolicy{Erase: metal.Erase(release.Erase.ValueString()), PowerOff: release.PowerOff.ValueBool()},
	}, diags
}

func (c *constraintsModel) api() metal.Constraints {
	return metal.Constraints{
		Machine:     c.Machine.ValueString(),
		Arch:        metal.Arch(c.Arch.ValueString()),
		Zone:        c.Zone.ValueString(),
		MinCPUs:     int(c.MinCPUs.ValueInt64()),
		MinMemory:   c.MinMemory.ValueInt64(),
		MinDisk:     c.MinDisk.ValueInt64(),
		MinDisks:    int(c.MinDisks.ValueInt64()),
		MinNICs:     int(c.MinNICs.ValueInt64()),
		Tags:        sorted(c.Tags),
		NotTags:     sorted(c.NotTags),
		BootMode:    metal.BootMode(c.BootMode.ValueString()),
		NotMachines: sorted(c.NotMachines),
	}
}

// keep holds what the plan promised.
func (m *allocationModel) keep(planned *allocationResourceModel) {
	m.MachineID, m.Machine = hold(planned.MachineID, m.MachineID), hold(planned.Machine, m.Machine)
	m.Addresses, m.FQDN = hold(planned.Addresses, m.Addresses), hold(planned.FQDN, m.FQDN)
}
