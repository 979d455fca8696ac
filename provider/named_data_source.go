package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	resourceschema "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var _ datasource.DataSourceWithConfigure = (*allOf[metal.Fabric, fabricModel, *fabricModel])(nil)

// dataSource returns the constructor of the data source of one thing.
func (k *kind[T, M, P]) dataSource() datasource.DataSource {
	from := k.schema()
	attributes := computed(from.Attributes)
	by := k.by
	if by == nil {
		by = []string{"name"}
	}
	for _, name := range by {
		attributes[name] = requiredText(fact(from.Attributes[name].GetMarkdownDescription()))
	}
	return &dataSource[M]{
		name:   k.name,
		schema: schema.Schema{MarkdownDescription: "One " + k.words + ". " + from.MarkdownDescription, Attributes: attributes},
		read: func(ctx context.Context, c *connection, m *M) (diag.Diagnostics, error) {
			object, err := k.find(ctx, c.api, m)
			if err != nil {
				return nil, err
			}
			return P(m).set(ctx, object), nil
		},
	}
}

// dataSources returns the constructor of the data source of all things of the kind.
func (k *kind[T, M, P]) dataSources() datasource.DataSource { return &allOf[T, M, P]{kind: k} }

type allOf[T, M any, P thing[T, M]] struct {
	connectedData
	kind *kind[T, M, P]
}

// Metadata names the data source.
func (d *allOf[T, M, P]) Metadata(_ context.Context, req datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_" + d.kind.plural
}

// Schema is what a configuration may say.
func (d *allOf[T, M, P]) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := map[string]schema.Attribute{
		"name_prefix": optionalText("Only those whose name begins like this. Default: all."),
		d.kind.plural: d.rows(),
	}
	for name := range d.kind.filters {
		attributes[name] = optionalText("Only those whose " + name + " is this. Default: all.")
	}
	resp.Schema = schema.Schema{MarkdownDescription: "Every " + d.kind.words + " that meets all filters.", Attributes: attributes}
}

func (d *allOf[T, M, P]) rows() schema.ListNestedAttribute {
	return schema.ListNestedAttribute{
		Computed: true, MarkdownDescription: "What was found, in the order of names.",
		NestedObject: schema.NestedAttributeObject{Attributes: computed(d.kind.schema().Attributes)},
	}
}

// Read answers the query.
func (d *allOf[T, M, P]) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	wanted := map[string]types.String{"name_prefix": {}}
	for name := range d.kind.filters {
		wanted[name] = types.String{}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		var value types.String
		resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root(name), &value)...)
		wanted[name] = value
	}
	if resp.Diagnostics.HasError() {
		return
	}
	found, err := all(func(after string) ([]T, string, error) { return d.kind.list(ctx, d.api, after) })
	if err != nil {
		report(&resp.Diagnostics, "list "+d.kind.plural, err)
		return
	}
	rows := []M{}
	for _, object := range found {
		if !d.meets(object, wanted) {
			continue
		}
		var row M
		resp.Diagnostics.Append(P(&row).set(ctx, object)...)
		if strings.HasPrefix(nameIn(P(&row).key()), wanted["name_prefix"].ValueString()) {
			rows = append(rows, row)
		}
	}
	list, diags := types.ListValueFrom(ctx, d.rows().NestedObject.Type(), rows)
	if resp.Diagnostics.Append(diags...); resp.Diagnostics.HasError() {
		return
	}
	for name, value := range wanted {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), value)...)
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(d.kind.plural), list)...)
}

func (d *allOf[T, M, P]) meets(object T, wanted map[string]types.String) bool {
	for name, of := range d.kind.filters {
		if !matches(wanted[name], of(object)) {
			return false
		}
	}
	return true
}

// nameIn is the name in a key: the last part but, in the key of a record set, the type behind it.
func nameIn(key types.String) string {
	parts := strings.Split(key.ValueString(), "/")
	if len(parts) == 3 {
		return parts[1]
	}
	return key.ValueString()
}

// computed turns the attributes of a resource into what a data source tells: all of them, but what is only written.
func computed(from map[string]resourceschema.Attribute) map[string]schema.Attribute {
	out := make(map[string]schema.Attribute, len(from))
	for name, attribute := range from {
		if !attribute.IsWriteOnly() {
			out[name] = told(attribute)
		}
	}
	return out
}

func told(attribute resourceschema.Attribute) schema.Attribute {
	description := fact(attribute.GetMarkdownDescription())
	switch a := attribute.(type) {
	case resourceschema.StringAttribute:
		return schema.StringAttribute{Computed: true, CustomType: a.CustomType, MarkdownDescription: description}
	case resourceschema.Int64Attribute:
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	case resourceschema.BoolAttribute:
		return schema.BoolAttribute{Computed: true, MarkdownDescription: description}
	case resourceschema.ListAttribute:
		return schema.ListAttribute{Computed: true, ElementType: a.ElementType, MarkdownDescription: description}
	case resourceschema.SetAttribute:
		return schema.SetAttribute{Computed: true, ElementType: a.ElementType, MarkdownDescription: description}
	case resourceschema.SingleNestedAttribute:
		return schema.SingleNestedAttribute{Computed: true, MarkdownDescription: description, Attributes: computed(a.Attributes)}
	case resourceschema.ListNestedAttribute:
		return schema.ListNestedAttribute{
			Computed: true, MarkdownDescription: description, NestedObject: schema.NestedAttributeObject{Attributes: computed(a.NestedObject.Attributes)},
		}
	default:
		panic(fmt.Sprintf("a data source cannot tell a %T", attribute)) // a fault of a schema, which every test finds
	}
}

// fact is a description without what only matters to somebody who writes the attribute.
func fact(description string) string {
	for _, rest := range []string{" Default: ", " Another "} {
		description, _, _ = strings.Cut(description, rest)
	}
	return description
}
