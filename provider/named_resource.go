package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure   = (*named[metal.Fabric, fabricModel, *fabricModel])(nil)
	_ resource.ResourceWithIdentity    = (*named[metal.Fabric, fabricModel, *fabricModel])(nil)
	_ resource.ResourceWithImportState = (*named[metal.Fabric, fabricModel, *fabricModel])(nil)
)

// A thing is the model M of an object T of the server, which the server knows by what the user calls it.
type thing[T, M any] interface {
	*M
	// key is the object's id: its name, or the names that lead to it.
	key() types.String
	// set copies what the server says.
	set(ctx context.Context, object T) diag.Diagnostics
}

// promising models have computed values that a plan may say beforehand.
type promising[M any] interface {
	// keep takes them as the plan said them: Terraform refuses another value, and the next refresh shows what it is.
	keep(planned M)
}

// A kind of things is made, changed and deleted in one call each, and says all there is to know of them once: their
// resource, the data source of one of them and that of all.
type kind[T, M any, P thing[T, M]] struct {
	name   string // behind metal_
	plural string
	words  string // as messages name it
	schema func() schema.Schema
	// put makes the object or changes it. A repeat whose answer was lost finds its own: nothing is made twice. The
	// configuration has what is in no plan: write-only arguments.
	put    func(ctx context.Context, c *client.Client, m P, config tfsdk.Config) (T, diag.Diagnostics, error)
	get    func(ctx context.Context, r *readers, id string) (T, error)
	remove func(ctx context.Context, c *client.Client, id string) error
	// The following are for the data sources alone.
	list    func(ctx context.Context, c *client.Client, after string) (items []T, next string, err error)
	find    func(ctx context.Context, c *client.Client, m P) (T, error) // by the arguments in by
	by      []string                                                    // default: name
	filters map[string]func(T) string                                   // arguments of the list of all; default: none
}

// resource returns the constructor of the kind's resource.
func (k *kind[T, M, P]) resource() resource.Resource { return &named[T, M, P]{kind: k} }

type named[T, M any, P thing[T, M]] struct {
	connected
	kind *kind[T, M, P]
}

// Metadata names the resource.
func (r *named[T, M, P]) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + r.kind.name
}

// Schema is what a configuration may say.
func (r *named[T, M, P]) Schema(_ context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = r.kind.schema()
}

// Create makes the object, or takes over one of the same name.
func (r *named[T, M, P]) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "make", req.Plan, req.Config, &resp.State, resp.Identity)...)
}

// Read refreshes the state; an object that is gone is removed.
func (r *named[T, M, P]) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m M
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	// After an import there is the id and nothing else.
	var id types.String
	if resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...); resp.Diagnostics.HasError() {
		return
	}
	object, err := r.kind.get(ctx, &r.read, id.ValueString())
	if err != nil {
		reportRead(ctx, resp, r.kind.words, id, err)
		return
	}
	resp.Diagnostics.Append(P(&m).set(ctx, object)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, P(&m).key(), &m)...)
}

// Update changes the object in place.
func (r *named[T, M, P]) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	resp.Diagnostics.Append(r.put(ctx, "change", req.Plan, req.Config, &resp.State, resp.Identity)...)
}

func (r *named[T, M, P]) put(
	ctx context.Context, act string, plan tfsdk.Plan, config tfsdk.Config, state *tfsdk.State, identity *tfsdk.ResourceIdentity,
) diag.Diagnostics {
	var m M
	diags := plan.Get(ctx, &m)
	if diags.HasError() {
		return diags
	}
	call, cancel := lasting(ctx)
	defer cancel()
	object, more, err := r.kind.put(call, r.api, &m, config)
	if diags.Append(more...); diags.HasError() {
		return diags
	}
	if err != nil {
		report(&diags, act+" "+r.kind.words+" "+label(plan.Raw), err)
		return diags
	}
	planned := m
	diags.Append(P(&m).set(ctx, object)...)
	if p, ok := any(&m).(promising[M]); ok {
		p.keep(planned)
	}
	return append(diags, save(ctx, state, identity, P(&m).key(), &m)...)
}

// Delete deletes the object; the server refuses while something uses it, and names that.
func (r *named[T, M, P]) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var id types.String
	if resp.Diagnostics.Append(req.State.GetAttribute(ctx, path.Root("id"), &id)...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	err := r.kind.remove(call, r.api, id.ValueString())
	reportDelete(&resp.Diagnostics, "delete "+r.kind.words+" "+id.ValueString(), err)
}

// ImportState takes over an object by its id.
func (r *named[T, M, P]) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
}

// label is the name in a plan, for messages about what has no id yet.
func label(plan tftypes.Value) string {
	var attributes map[string]tftypes.Value
	var name string
	if plan.As(&attributes) == nil && attributes["name"].IsKnown() && attributes["name"].As(&name) == nil {
		return name
	}
	return ""
}
