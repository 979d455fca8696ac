package main

import (
	"context"
	"encoding/json"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type eraseCertificateModel struct {
	ID          types.String     `tfsdk:"id"`
	MachineID   types.String     `tfsdk:"machine_id"`
	Machine     types.String     `tfsdk:"machine"`
	Allocation  types.String     `tfsdk:"allocation"`
	Serial      types.String     `tfsdk:"serial"`
	Mode        types.String     `tfsdk:"mode"`
	CertifiedAt types.String     `tfsdk:"certified_at"`
	Disks       []diskWipedModel `tfsdk:"disks"`
	JWS         types.String     `tfsdk:"jws"`
	Key         types.String     `tfsdk:"key"`
}

type diskWipedModel struct {
	Name    types.String `tfsdk:"name"`
	Model   types.String `tfsdk:"model"`
	Serial  types.String `tfsdk:"serial"`
	Bytes   types.Int64  `tfsdk:"bytes"`
	Method  types.String `tfsdk:"method"`
	Result  types.String `tfsdk:"result"`
	Started types.String `tfsdk:"started_at"`
	Ended   types.String `tfsdk:"ended_at"`
}

func eraseCertificateAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":           computedText("Identity of the certificate."),
		"machine_id":   computedText("Id of the machine, which may be gone."),
		"machine":      computedText("Name that the machine had."),
		"allocation":   computedText("Name of the claim that ended with the wipe; null for other wipes."),
		"serial":       computedText("Serial number of the chassis; null where it has none."),
		"mode":         computedText("What was asked for: `quick`, `zero` or `secure`."),
		"certified_at": computedText("When the server signed it, as RFC 3339 writes time."),
		"disks": schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: "The disks that were wiped.",
			NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
				"name":       computedText("Kernel name, as in `sda`."),
				"model":      computedText("Model; null where the disk tells none."),
				"serial":     computedText("Serial number; null where the disk tells none."),
				"bytes":      computedNumber("Size in bytes."),
				"method":     computedText("What was done, as in `zero`, `nvme-format` or `ata-sanitize-block`."),
				"result":     computedText("`verified`: all blocks read back were zero. `trusted`: the disk destroyed its own key, reading proves nothing. `data_left`: a quick wipe left blocks as they were."),
				"started_at": computedText("When the wipe of this disk began."),
				"ended_at":   computedText("When it was done and read back."),
			}},
		},
		"jws": computedText("The certificate with the server's signature: a JWS in flattened JSON form (RFC 7515), algorithm EdDSA. Keep it: it proves the wipe without the server."),
		"key": computedText("The public key that checks the signature, as a JWK (RFC 8037). Compare it with one that you got from the server before."),
	}
}

func (m *eraseCertificateModel) set(c metal.EraseCertificate, key metal.JWK) error {
	signed, err := json.Marshal(c.Signed)
	if err != nil {
		return err
	}
	jwk, err := json.Marshal(key)
	if err != nil {
		return err
	}
	text := func(s string) types.String { return newString(types.StringNull(), s) }
	at := func(t time.Time) types.String { return types.StringValue(t.UTC().Format(time.RFC3339)) }
	*m = eraseCertificateModel{
		ID: types.StringValue(c.ID), MachineID: types.StringValue(c.MachineID), Machine: types.StringValue(c.Machine),
		Allocation: text(c.Allocation), Serial: text(c.Serial), Mode: types.StringValue(string(c.Mode)), CertifiedAt: at(c.CertifiedAt),
		Disks: []diskWipedModel{}, JWS: types.StringValue(string(signed)), Key: types.StringValue(string(jwk)),
	}
	for _, d := range c.Disks {
		m.Disks = append(m.Disks, diskWipedModel{
			Name: types.StringValue(d.Name), Model: text(d.Model), Serial: text(d.Serial), Bytes: types.Int64Value(d.Bytes),
			Method: types.StringValue(d.Method), Result: text(string(d.Result)), Started: at(d.StartedAt), Ended: at(d.EndedAt),
		})
	}
	return nil
}

func newEraseCertificateDataSource() datasource.DataSource {
	attributes := eraseCertificateAttributes()
	attributes["id"] = requiredText("Identity of the certificate.")
	return &dataSource[eraseCertificateModel]{
		name:   "erase_certificate",
		schema: schema.Schema{MarkdownDescription: "The signed record of one wipe of a machine's disks.", Attributes: attributes},
		read: func(ctx context.Context, c *connection, m *eraseCertificateModel) (diag.Diagnostics, error) {
			found, err := c.api.GetEraseCertificate(ctx, m.ID.ValueString())
			if err != nil {
				return nil, err
			}
			key, err := c.api.GetEraseKey(ctx)
			if err != nil {
				return nil, err
			}
			return nil, m.set(found, key)
		},
	}
}

type eraseCertificatesModel struct {
	Machine      types.String            `tfsdk:"machine"`
	Certificates []eraseCertificateModel `tfsdk:"erase_certificates"`
}

func newEraseCertificatesDataSource() datasource.DataSource {
	return &dataSource[eraseCertificatesModel]{
		name: "erase_certificates",
		schema: schema.Schema{
			MarkdownDescription: "The signed records of wipes, oldest first. They outlive their machines.",
			Attributes: map[string]schema.Attribute{
				"machine": optionalText("Only those of this machine: its name, or its id when it is gone. Default: all."),
				"erase_certificates": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "The certificates.",
					NestedObject: schema.NestedAttributeObject{Attributes: eraseCertificateAttributes()},
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *eraseCertificatesModel) (diag.Diagnostics, error) {
			found, err := all(func(after string) ([]metal.EraseCertificate, string, error) {
				l, err := c.api.ListEraseCertificates(ctx, api.ListEraseCertificatesRequest{Page: api.Page{After: after}, Machine: m.Machine.ValueString()})
				return l.Items, l.Next, err
			})
			if err != nil {
				return nil, err
			}
			key, err := c.api.GetEraseKey(ctx)
			if err != nil {
				return nil, err
			}
			m.Certificates = make([]eraseCertificateModel, len(found))
			for i, one := range found {
				if err := m.Certificates[i].set(one, key); err != nil {
					return nil, err
				}
			}
			return nil, nil
		},
	}
}
