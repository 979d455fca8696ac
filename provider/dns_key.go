package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type dnsKeyModel struct {
	ID            types.String `tfsdk:"id"`
	Name          types.String `tfsdk:"name"`
	Algorithm     types.String `tfsdk:"algorithm"`
	Secret        types.String `tfsdk:"secret_wo"`
	SecretVersion types.Int64  `tfsdk:"secret_wo_version"`
}

func (m *dnsKeyModel) key() types.String { return m.ID }

func (m *dnsKeyModel) set(_ context.Context, k metal.DNSKey) diag.Diagnostics {
	m.ID, m.Name, m.Algorithm = types.StringValue(k.Name), types.StringValue(k.Name), types.StringValue(k.Algorithm)
	m.Secret = types.StringNull()
	return nil
}

func dnsKeySchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A TSIG key that zone transfers and DNS UPDATE are signed with. Its secret is sent to the server, sealed there, and is in no state or plan.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The key's name."),
			"name": nameAttribute("Name of the key, as both sides write it."),
			"algorithm": choice("HMAC: `hmac-sha256`, `hmac-sha384` or `hmac-sha512`. Default: `hmac-sha256`.", "hmac-sha256",
				"hmac-sha256", "hmac-sha384", "hmac-sha512"),
			"secret_wo": schema.StringAttribute{
				Required: true, WriteOnly: true, Sensitive: true, MarkdownDescription: "The shared secret in base64, as `tsig-keygen` writes it.",
			},
			"secret_wo_version": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "Change it to send a new secret. Default: the secret is sent when the key is made, and with every other change of it.",
			},
		},
	}
}

// dnsKeys are TSIG keys. They have no data source: there is nothing to tell of them.
func dnsKeys() *kind[metal.DNSKey, dnsKeyModel, *dnsKeyModel] {
	return &kind[metal.DNSKey, dnsKeyModel, *dnsKeyModel]{
		name: "dns_key", plural: "dns_keys", words: "TSIG key", schema: dnsKeySchema,
		put: func(ctx context.Context, c *client.Client, m *dnsKeyModel, config tfsdk.Config) (metal.DNSKey, diag.Diagnostics, error) {
			var secret types.String
			diags := config.GetAttribute(ctx, path.Root("secret_wo"), &secret)
			if diags.HasError() {
				return metal.DNSKey{}, diags, nil
			}
			body := api.DNSKeyBody{Algorithm: m.Algorithm.ValueString(), Secret: secret.ValueStringPointer()}
			k, err := c.PutDNSKey(ctx, api.PutDNSKeyRequest{ByName: byName(m.Name), Body: body})
			return k, diags, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.DNSKey, error) { return r.dnsKeys.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteDNSKey(ctx, deletion(id)) },
	}
}
