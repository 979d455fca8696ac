package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type sshKeyModel struct {
	ID        types.String `tfsdk:"id"`
	Name      types.String `tfsdk:"name"`
	PublicKey textValue    `tfsdk:"public_key"`
}

func (m *sshKeyModel) key() types.String { return m.ID }

func (m *sshKeyModel) set(_ context.Context, k metal.SSHKey) diag.Diagnostics {
	m.ID, m.Name = types.StringValue(k.Name), types.StringValue(k.Name)
	m.PublicKey = newText(m.PublicKey, publicKeySpelling, k.PublicKey)
	return nil
}

func sshKeySchema() schema.Schema {
	return schema.Schema{
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

// sshKeys are public keys that deployments can name.
func sshKeys() *kind[metal.SSHKey, sshKeyModel, *sshKeyModel] {
	return &kind[metal.SSHKey, sshKeyModel, *sshKeyModel]{
		name: "ssh_key", words: "SSH key", schema: sshKeySchema,
		put: func(ctx context.Context, c *client.Client, m *sshKeyModel, _ tfsdk.Config) (metal.SSHKey, diag.Diagnostics, error) {
			k, err := c.PutSSHKey(ctx, api.PutSSHKeyRequest{ByName: byName(m.Name), Body: api.SSHKeyBody{PublicKey: m.PublicKey.ValueString()}})
			return k, nil, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.SSHKey, error) { return r.sshKeys.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteSSHKey(ctx, deletion(id)) },
		find: func(ctx context.Context, c *client.Client, m *sshKeyModel) (metal.SSHKey, error) {
			return c.GetSSHKey(ctx, byName(m.Name))
		},
	}
}
