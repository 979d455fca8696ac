package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure   = (*poolResource)(nil)
	_ resource.ResourceWithIdentity    = (*poolResource)(nil)
	_ resource.ResourceWithImportState = (*poolResource)(nil)
)

func newPoolResource() resource.Resource { return &poolResource{} }

// poolResource is a group of machines that allocations take from.
type poolResource struct{ connected }

type poolModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Description types.String `tfsdk:"description"`
}

// set copies what the server says.
func (m *poolModel) set(p metal.Pool) {
	m.ID, m.Name = types.StringValue(p.Name), types.StringValue(p.Name)
	m.Description = newString(m.Description, p.Description)
}

func (m *poolModel) request() api.PutPoolRequest {
	return api.PutPoolRequest{ByName: api.ByName{Name: m.Name.ValueString()}, Body: api.PoolBody{Description: m.Description.ValueString()}}
}

// Metadata names the resource.
func (r *poolResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_pool"
}

// Schema is what a configuration may say.
func (r *poolResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A pool groups machines: an allocation takes a machine out of one pool. Every machine is in exactly one; " +
			"the pool `default` always exists.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The pool's name."),
			"name": nameAttribute("Name of the pool: lower-case letters, digits, dots, dashes and underscores, at most 63."),
			"description": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "What the pool is for, at most 1024 characters. Default: none.",
				Validators:          []validator.String{stringvalidator.LengthAtMost(1024)},
			},
		},
	}
}

// Create makes the pool, or takes over one of the same name: a repeat whose answer was lost finds its own.
func (r *poolResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "make", req.Plan, &resp.State, resp.Identity)...)
}

// Read refreshes the state; a pool that is gone is removed.
func (r *poolResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m poolModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	p, err := r.read.pools.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "pool", m.ID, err)
		return
	}
	m.set(p)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update changes the description.
func (r *poolResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "change", req.Plan, &resp.State, resp.Identity)...)
}

func (r *poolResource) put(ctx context.Context, act string, plan tfsdk.Plan, state *tfsdk.State, identity *tfsdk.ResourceIdentity) diag.Diagnostics {
	var m poolModel
	diags := plan.Get(ctx, &m)
	if diags.HasError() {
		return diags
	}
	call, cancel := lasting(ctx)
	defer cancel()
	p, err := r.api.PutPool(call, m.request())
	if err != nil {
		report(&diags, act+" pool "+m.Name.ValueString(), err)
		return diags
	}
	m.set(p)
	return append(diags, save(ctx, state, identity, m.ID, &m)...)
}

// Delete deletes the pool; the server refuses while machines are in it, and names them.
func (r *poolResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m poolModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	err := r.api.DeletePool(call, api.DeleteByNameRequest{ByName: api.ByName{Name: m.ID.ValueString()}})
	reportDelete(&resp.Diagnostics, "delete pool "+m.ID.ValueString(), err)
}

// ImportState takes over a pool by its name.
func (r *poolResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
}
