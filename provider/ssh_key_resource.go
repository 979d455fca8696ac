package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure   = (*sshKeyResource)(nil)
	_ resource.ResourceWithIdentity    = (*sshKeyResource)(nil)
	_ resource.ResourceWithImportState = (*sshKeyResource)(nil)
)

func newSSHKeyResource() resource.Resource { return &sshKeyResource{} }

// sshKeyResource is a public key that deployments can name.
type sshKeyResource struct{ connected }

type sshKeyModel struct {
	ID        types.String `tfsdk:"id"`
	Name      types.String `tfsdk:"name"`
	PublicKey textValue    `tfsdk:"public_key"`
}

// set copies what the server says.
func (m *sshKeyModel) set(k metal.SSHKey) {
	m.ID, m.Name = types.StringValue(k.Name), types.StringValue(k.Name)
	m.PublicKey = newText(m.PublicKey, publicKeySpelling, k.PublicKey)
}

func (m *sshKeyModel) request() api.PutSSHKeyRequest {
	return api.PutSSHKeyRequest{ByName: api.ByName{Name: m.Name.ValueString()}, Body: api.SSHKeyBody{PublicKey: m.PublicKey.ValueString()}}
}

// Metadata names the resource.
func (r *sshKeyResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_ssh_key"
}

// Schema is what a configuration may say.
func (r *sshKeyResource) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "A public SSH key that deployments name. A change reaches a machine with its next deployment.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The key's name."),
			"name": nameAttribute("Name of the key, as `metal_deployment.ssh_keys` refers to it."),
			"public_key": schema.StringAttribute{
				Required: true, CustomType: textType{spelling: publicKeySpelling},
				MarkdownDescription: "The public key: one line as in `authorized_keys`, at most 16 KiB. White space at the end means nothing.",
				PlanModifiers:       []planmodifier.String{respelled{publicKeySpelling}},
			},
		},
	}
}

// Create stores the key, or takes over one of the same name.
func (r *sshKeyResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "store", req.Plan, &resp.State, resp.Identity)...)
}

// Read refreshes the state; a key that is gone is removed.
func (r *sshKeyResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m sshKeyModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	k, err := r.read.sshKeys.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "SSH key", m.ID, err)
		return
	}
	m.set(k)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update replaces the key under its name.
func (r *sshKeyResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "change", req.Plan, &resp.State, resp.Identity)...)
}

func (r *sshKeyResource) put(ctx context.Context, act string, plan tfsdk.Plan, state *tfsdk.State, identity *tfsdk.ResourceIdentity) diag.Diagnostics {
	var m sshKeyModel
	diags := plan.Get(ctx, &m)
	if diags.HasError() {
		return diags
	}
	call, cancel := lasting(ctx)
	defer cancel()
	k, err := r.api.PutSSHKey(call, m.request())
	if err != nil {
		report(&diags, act+" SSH key "+m.Name.ValueString(), err)
		return diags
	}
	m.set(k)
	return append(diags, save(ctx, state, identity, m.ID, &m)...)
}

// Delete deletes the key. Machines that have it keep it until their next deployment.
func (r *sshKeyResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m sshKeyModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	err := r.api.DeleteSSHKey(call, api.DeleteByNameRequest{ByName: api.ByName{Name: m.ID.ValueString()}})
	reportDelete(&resp.Diagnostics, "delete SSH key "+m.ID.ValueString(), err)
}

// ImportState takes over a key by its name.
func (r *sshKeyResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
}
