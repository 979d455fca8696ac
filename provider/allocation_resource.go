package main

import (
	"context"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure   = (*allocationResource)(nil)
	_ resource.ResourceWithIdentity    = (*allocationResource)(nil)
	_ resource.ResourceWithImportState = (*allocationResource)(nil)
	_ resource.ResourceWithModifyPlan  = (*allocationResource)(nil)
)

func newAllocationResource() resource.Resource { return &allocationResource{} }

// allocationResource is a claim on one machine.
type allocationResource struct{ connected }

const eraseTime = 12 * time.Hour

// Metadata names the resource.
func (r *allocationResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_allocation"
}

// Schema is what a configuration may say.
func (r *allocationResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = allocationSchema(ctx)
}

// Create claims a machine under the name; a repeat gets the same one.
func (r *allocationResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m allocationResourceModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	spec, diags := m.spec(ctx)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	// The schema has validated it; absent is no time at all.
	patience, _ := time.ParseDuration(m.WaitForCapacity.ValueString())
	a, err := r.claim(ctx, m.Name.ValueString(), spec, patience)
	if err != nil {
		report(&resp.Diagnostics, "claim a machine as "+m.Name.ValueString(), err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, a)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Read refreshes the state; a claim that is no longer ours is removed.
func (r *allocationResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m allocationResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	a, err := r.read.allocations.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "allocation", m.ID, err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, a)...)
	if m.WaitForErase.IsNull() {
		m.WaitForErase = types.BoolValue(false)
	}
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update stores constraints that the held machine meets, and the policy for its release.
func (r *allocationResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var planned allocationResourceModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &planned)...); resp.Diagnostics.HasError() {
		return
	}
	m := planned
	spec, diags := m.spec(ctx)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	a, err := r.api.PutAllocation(call, api.PutAllocationRequest{ByName: api.ByName{Name: m.Name.ValueString()}, Body: spec})
	if err != nil {
		report(&resp.Diagnostics, "change allocation "+m.Name.ValueString(), err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, a)...)
	m.keep(&planned)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Delete releases the machine. The release is accepted for good when the call returns, so that an interrupt may drop
// the claim from the state.
func (r *allocationResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m allocationResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Delete(ctx, eraseTime)
	resp.Diagnostics.Append(diags...)
	call, cancel := lasting(ctx)
	defer cancel()
	op, err := r.api.DeleteAllocation(call, api.DeleteAllocationRequest{ByID: api.ByID{ID: m.ID.ValueString()}})
	if err == nil && m.WaitForErase.ValueBool() {
		err = r.follow(ctx, op.ID, limit, "The claim has ended, but the machine is not free: `metalctl machines show "+m.Machine.ValueString()+"` says where it stands.")
	}
	reportDelete(&resp.Diagnostics, "release machine "+m.Machine.ValueString(), err)
}

// ImportState takes over a claim by its id or name.
func (r *allocationResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	if req.ID == "" {
		resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
		return
	}
	a, err := r.api.GetAllocation(ctx, api.ByID{ID: trimName(req.ID)})
	if err != nil {
		report(&resp.Diagnostics, "import allocation "+req.ID, err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), a.ID)...)
}

// exhausted says whether no machine matches now, which may be another answer later.
func exhausted(err error) bool { return metal.CodeOf(err) == metal.Exhausted }
