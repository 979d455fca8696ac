package main

import (
	"context"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
)

var _ datasource.DataSourceWithConfigure = (*dataSource[poolModel])(nil)

// dataSource reads something into the model M. What it reads comes from the server at that moment, since a data source
// may be read in the middle of an apply.
type dataSource[M any] struct {
	connectedData
	name   string // behind metal_
	schema schema.Schema
	// read fills the model, whose arguments are set.
	read func(ctx context.Context, c *connection, m *M) (diag.Diagnostics, error)
}

// Metadata names the data source.
func (d *dataSource[M]) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + d.name
}

// Schema is what a configuration may say.
func (d *dataSource[M]) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = d.schema
}

// Read answers the query.
func (d *dataSource[M]) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var m M
	if resp.Diagnostics.Append(req.Config.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	diags, err := d.read(ctx, d.connection, &m)
	resp.Diagnostics.Append(diags...)
	if err != nil {
		report(&resp.Diagnostics, "read metal_"+d.name, err)
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, &m)...)
	}
}

// with returns attributes, and more on top of them.
func with(attributes, more map[string]schema.Attribute) map[string]schema.Attribute {
	out := maps.Clone(attributes)
	maps.Copy(out, more)
	return out
}

func computedText(description string) schema.StringAttribute {
	return schema.StringAttribute{Computed: true, MarkdownDescription: description}
}

func computedNumber(description string) schema.Int64Attribute {
	return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
}

func computedBool(description string) schema.BoolAttribute {
	return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
}

func requiredText(description string) schema.StringAttribute {
	return schema.StringAttribute{Required: true, MarkdownDescription: description}
}

func optionalText(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description}
}

// all reads every page of a list.
func all[T any](page func(after string) (items []T, next string, err error)) ([]T, error) {
	var out []T
	for after := ""; ; {
		items, next, err := page(after)
		if err != nil {
			return nil, err
		}
		out = append(out, items...)
		if next == "" {
			return out, nil
		}
		after = next
	}
}
