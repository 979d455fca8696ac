package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"

	"github.com/metalform/terraform-provider-metal/internal/api"
)

func newSSHKeyDataSource() datasource.DataSource {
	return &dataSource[sshKeyModel]{
		name: "ssh_key",
		schema: schema.Schema{
			MarkdownDescription: "One stored public SSH key.",
			Attributes: map[string]schema.Attribute{
				"id":   computedText("The key's name."),
				"name": requiredText("Name of the key."),
				"public_key": schema.StringAttribute{
					Computed: true, CustomType: textType{spelling: publicKeySpelling},
					MarkdownDescription: "The public key: one line as in `authorized_keys`.",
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *sshKeyModel) (diag.Diagnostics, error) {
			k, err := c.api.GetSSHKey(ctx, api.ByName{Name: m.Name.ValueString()})
			if err == nil {
				m.set(k)
			}
			return nil, err
		},
	}
}
