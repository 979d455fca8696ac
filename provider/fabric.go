package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// labelModel is of things that are a name and what it stands for.
type labelModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Description types.String `tfsdk:"description"`
}

func (m *labelModel) key() types.String { return m.ID }

func (m *labelModel) label(name, description string) {
	m.ID, m.Name = types.StringValue(name), types.StringValue(name)
	m.Description = newString(m.Description, description)
}

func labelSchema(words, description string) schema.Schema {
	return schema.Schema{MarkdownDescription: description, Attributes: map[string]schema.Attribute{
		"id":          idAttribute("The " + words + "'s name."),
		"name":        nameAttribute("Name of the " + words + ": lower-case letters, digits, dots, dashes and underscores, at most 63."),
		"description": descriptionAttribute("What the " + words + " is for"),
	}}
}

func descriptionAttribute(what string) schema.StringAttribute {
	return schema.StringAttribute{
		Optional: true, MarkdownDescription: what + ", at most 1024 characters. Default: none.",
		Validators: []validator.String{stringvalidator.LengthAtMost(1024)},
	}
}

type fabricModel struct{ labelModel }

func (m *fabricModel) set(_ context.Context, f metal.Fabric) diag.Diagnostics {
	m.label(f.Name, f.Spec.Description)
	return nil
}

// fabrics are sets of switches that share their VLAN ids.
func fabrics() *kind[metal.Fabric, fabricModel, *fabricModel] {
	return &kind[metal.Fabric, fabricModel, *fabricModel]{
		name: "fabric", plural: "fabrics", words: "fabric",
		schema: func() schema.Schema {
			return labelSchema("fabric", "A fabric is a set of switches within which a VLAN id means one network. Two fabrics may use the same ids and addresses. "+
				"The fabric `default` always exists.")
		},
		put: func(ctx context.Context, c *client.Client, m *fabricModel, _ tfsdk.Config) (metal.Fabric, diag.Diagnostics, error) {
			f, err := c.PutFabric(ctx, api.PutFabricRequest{ByName: byName(m.Name), Body: metal.FabricSpec{Description: m.Description.ValueString()}})
			return f, nil, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.Fabric, error) { return r.fabrics.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteFabric(ctx, deletion(id)) },
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.Fabric, string, error) {
			l, err := c.ListFabrics(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *fabricModel) (metal.Fabric, error) {
			return c.GetFabric(ctx, byName(m.Name))
		},
	}
}

type spaceModel struct{ labelModel }

func (m *spaceModel) set(_ context.Context, s metal.Space) diag.Diagnostics {
	m.label(s.Name, s.Spec.Description)
	return nil
}

// spaces are sets of VLANs.
func spaces() *kind[metal.Space, spaceModel, *spaceModel] {
	return &kind[metal.Space, spaceModel, *spaceModel]{
		name: "space", plural: "spaces", words: "space",
		schema: func() schema.Schema {
			return labelSchema("space", "A space is a set of VLANs between which traffic is routed freely.")
		},
		put: func(ctx context.Context, c *client.Client, m *spaceModel, _ tfsdk.Config) (metal.Space, diag.Diagnostics, error) {
			s, err := c.PutSpace(ctx, api.PutSpaceRequest{ByName: byName(m.Name), Body: metal.SpaceSpec{Description: m.Description.ValueString()}})
			return s, nil, err
		},
		get:    func(ctx context.Context, r *readers, id string) (metal.Space, error) { return r.spaces.get(ctx, id) },
		remove: func(ctx context.Context, c *client.Client, id string) error { return c.DeleteSpace(ctx, deletion(id)) },
		list: func(ctx context.Context, c *client.Client, after string) ([]metal.Space, string, error) {
			l, err := c.ListSpaces(ctx, listing(after))
			return l.Items, l.Next, err
		},
		find: func(ctx context.Context, c *client.Client, m *spaceModel) (metal.Space, error) {
			return c.GetSpace(ctx, byName(m.Name))
		},
	}
}

func byName(name types.String) api.ByName { return api.ByName{Name: name.ValueString()} }

func deletion(id string) api.DeleteByNameRequest {
	return api.DeleteByNameRequest{ByName: api.ByName{Name: id}}
}

func listing(after string) api.ListByNamesRequest {
	return api.ListByNamesRequest{Page: api.Page{After: after}}
}
