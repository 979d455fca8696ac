package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

	"github.com/metalform/terraform-provider-metal/internal/api"
)

var (
	_ resource.ResourceWithConfigure   = (*subnetResource)(nil)
	_ resource.ResourceWithIdentity    = (*subnetResource)(nil)
	_ resource.ResourceWithImportState = (*subnetResource)(nil)
)

func newSubnetResource() resource.Resource { return &subnetResource{} }

// subnetResource is an IP network, and what its clients are told.
type subnetResource struct{ connected }

// Metadata names the resource.
func (r *subnetResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_subnet"
}

// Schema is what a configuration may say.
func (r *subnetResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = subnetSchema()
}

// Create makes the subnet, or takes over one of the same name.
func (r *subnetResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "make", req.Plan, &resp.State, resp.Identity)...)
}

// Read refreshes the state; a subnet that is gone is removed.
func (r *subnetResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m subnetModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	s, err := r.read.subnets.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "subnet", m.ID, err)
		return
	}
	resp.Diagnostics.Append(m.set(ctx, s)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update changes what clients are told.
func (r *subnetResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "change", req.Plan, &resp.State, resp.Identity)...)
}

func (r *subnetResource) put(ctx context.Context, act string, plan tfsdk.Plan, state *tfsdk.State, identity *tfsdk.ResourceIdentity) diag.Diagnostics {
	var m subnetModel
	diags := plan.Get(ctx, &m)
	spec, specDiags := m.spec(ctx)
	if diags.Append(specDiags...); diags.HasError() {
		return diags
	}
	call, cancel := lasting(ctx)
	defer cancel()
	s, err := r.api.PutSubnet(call, api.PutSubnetRequest{ByName: api.ByName{Name: m.Name.ValueString()}, Body: spec})
	if err != nil {
		report(&diags, act+" subnet "+m.Name.ValueString(), err)
		return diags
	}
	diags.Append(m.set(ctx, s)...)
	return append(diags, save(ctx, state, identity, m.ID, &m)...)
}

// Delete deletes the subnet; the server refuses while machines have addresses in it, and names them.
func (r *subnetResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m subnetModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	err := r.api.DeleteSubnet(call, api.DeleteByNameRequest{ByName: api.ByName{Name: m.ID.ValueString()}})
	reportDelete(&resp.Diagnostics, "delete subnet "+m.ID.ValueString(), err)
}

// ImportState takes over a subnet by its name.
func (r *subnetResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
}
