package main

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure   = (*machineResource)(nil)
	_ resource.ResourceWithIdentity    = (*machineResource)(nil)
	_ resource.ResourceWithImportState = (*machineResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*machineResource)(nil)
)

func newMachineResource() resource.Resource { return &machineResource{} }

// machineResource is a box: how it is recognised and how its power is controlled.
type machineResource struct{ connected }

// commissionTime leaves the server's own limit (30 minutes) the first word.
const commissionTime = 45 * time.Minute

// Metadata names the resource.
func (r *machineResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_machine"
}

// Schema is what a configuration may say.
func (r *machineResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = machineSchema(ctx)
}

// Create declares the machine, or adopts the one that enlisted itself, and commissions it.
func (r *machineResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m, config machineResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Create(ctx, commissionTime)
	resp.Diagnostics.Append(diags...)
	spec, diags := m.spec(ctx)
	resp.Diagnostics.Append(diags...)
	bmc, diags := config.bmc(ctx)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	// A failure below taints the resource, so that the next apply deletes it first: protection begins with success.
	protect := spec.Protected
	spec.Protected = false
	call, cancel := lasting(ctx)
	defer cancel()
	got, err := r.api.CreateMachine(call, api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: spec, Password: bmc.Password.ValueStringPointer()}})
	if err != nil {
		report(&resp.Diagnostics, "declare machine "+spec.Name, err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, got)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
	if m.WaitFor.ValueString() == waitForReady {
		resp.Diagnostics.Append(r.settle(ctx, &m, got, limit)...)
	}
	if protect && !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(r.protect(ctx, &m, spec)...)
	}
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

func (r *machineResource) protect(ctx context.Context, m *machineResourceModel, spec metal.MachineSpec) diag.Diagnostics {
	var diags diag.Diagnostics
	spec.Protected = true
	call, cancel := lasting(ctx)
	defer cancel()
	got, err := r.api.UpdateMachine(call, api.UpdateMachineRequest{ByID: api.ByID{ID: m.ID.ValueString()}, Body: api.MachineBody{MachineSpec: spec}})
	if err != nil {
		report(&diags, "protect machine "+spec.Name, err)
		return diags
	}
	return m.set(ctx, got)
}

// Read refreshes the state; a machine that is gone is removed.
func (r *machineResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m machineResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	got, err := r.read.machines.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "machine", m.ID, err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, got)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update changes the declaration, and goes on with a commissioning that did not end well.
func (r *machineResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var planned, prior, config machineResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &planned)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	if resp.Diagnostics.HasError() {
		return
	}
	m := planned
	limit, diags := m.Timeouts.Update(ctx, commissionTime)
	resp.Diagnostics.Append(diags...)
	body, diags := changedMachine(ctx, &m, &prior, &config)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	got, err := r.api.UpdateMachine(call, api.UpdateMachineRequest{ByID: api.ByID{ID: m.ID.ValueString()}, Body: body})
	if err != nil {
		report(&resp.Diagnostics, "change machine "+body.Name, err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, got)...)
	if m.WaitFor.ValueString() == waitForReady {
		resp.Diagnostics.Append(r.settle(ctx, &m, got, limit)...)
	}
	m.keep(&planned)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// changedMachine is the new declaration, with the password where its version says that it is another one.
func changedMachine(ctx context.Context, planned, prior, config *machineResourceModel) (api.MachineBody, diag.Diagnostics) {
	spec, diags := planned.spec(ctx)
	now, d := config.bmc(ctx)
	diags.Append(d...)
	was, d := prior.bmc(ctx)
	diags.Append(d...)
	body := api.MachineBody{MachineSpec: spec}
	if !now.PasswordVersion.Equal(was.PasswordVersion) {
		password := now.Password.ValueString()
		body.Password = &password
	}
	return body, diags
}

// Delete forgets the machine; the server refuses while it is allocated, locked or protected, and says why.
func (r *machineResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m machineResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Delete(ctx, eraseTime)
	resp.Diagnostics.Append(diags...)
	err := r.forget(ctx, m.ID.ValueString(), limit)
	reportDelete(&resp.Diagnostics, "forget machine "+m.Name.ValueString(), err)
}

// ImportState takes over a machine by its id, or by name:, mac:, serial: or uuid: and the value.
func (r *machineResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	id := req.ID
	if id == "" {
		var given types.String
		if resp.Diagnostics.Append(req.Identity.GetAttribute(ctx, idPath(), &given)...); resp.Diagnostics.HasError() {
			return
		}
		id = given.ValueString()
	}
	got, err := r.find(ctx, id)
	if err != nil {
		report(&resp.Diagnostics, "import machine "+id, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, idPath(), got.ID)...)
}
