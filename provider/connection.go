package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/client"
)

// A connection is what every resource and data source gets of a configured provider.
type connection struct {
	api  *client.Client
	read readers
}

// connected is the part of a resource that knows the server. The connection is nil while Terraform only validates.
type connected struct{ *connection }

// Configure takes the connection over.
func (c *connected) Configure(_ context.Context, req resource.ConfigureRequest, resp *resource.ConfigureResponse) {
	c.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

// IdentitySchema says what names an object for good: its id.
func (c *connected) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{Attributes: map[string]identityschema.Attribute{
		"id": identityschema.StringAttribute{RequiredForImport: true, Description: "Id of the object on the server; for named things, the name."},
	}}
}

// connectedData is the same part of a data source.
type connectedData struct{ *connection }

// Configure takes the connection over.
func (c *connectedData) Configure(_ context.Context, req datasource.ConfigureRequest, resp *datasource.ConfigureResponse) {
	c.connection = connectionOf(req.ProviderData, &resp.Diagnostics)
}

func connectionOf(data any, diags *diag.Diagnostics) *connection {
	if data == nil {
		return nil
	}
	conn, ok := data.(*connection)
	if !ok {
		diags.AddError("The provider was not configured", "This is a fault of the provider: please report it.")
	}
	return conn
}

// save writes the whole model, and the identity with it.
func save(ctx context.Context, state *tfsdk.State, identity *tfsdk.ResourceIdentity, id types.String, model any) diag.Diagnostics {
	diags := state.Set(ctx, model)
	if identity != nil {
		diags.Append(identity.SetAttribute(ctx, path.Root("id"), id)...)
	}
	return diags
}

// answerTime is how long a call may take that an interrupt must not cut short: as long as the client tries.
const answerTime = client.Patience

// lasting is the context of a call that changes something: an interrupt must not lose its answer, which is the only
// record of what the server did.
func lasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), answerTime)
}
