package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func imageAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":           computedText("The image's name."),
		"name":         computedText("Name of the image."),
		"source":       computedText("Where the server fetched it; null when it was uploaded."),
		"sha256":       computedText("SHA-256 of the source file, in hex."),
		"sha512":       computedText("SHA-512 of the source file, in hex."),
		"mirrors":      schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Other URLs of the same file; null: none."},
		"format":       computedText("Format inside any compression, as declared; `auto`: the server looked."),
		"kind":         computedText("What the content is: `disk` or `root`."),
		"arch":         computedText("Processor architecture: `amd64` or `arm64`."),
		"os":           computedText("Operating system, as in `debian`."),
		"version":      computedText("Version of the operating system, as in `12`."),
		"boot":         schema.SetAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Kinds of firmware that it boots on; null: both."},
		"reports":      computedBool("The system inside calls back when it is up."),
		"state":        computedText("How far it is: `waiting`, `importing`, `ready` or `failed`."),
		"digest":       computedText("SHA-256 of the raw disk content, in hex."),
		"raw_bytes":    computedNumber("Size on a machine's disk, in bytes."),
		"stored_bytes": computedNumber("Size as stored and streamed, in bytes."),
	}
}

func newImageDataSource() datasource.DataSource {
	return &dataSource[imageModel]{
		name: "image",
		schema: schema.Schema{
			MarkdownDescription: "One image.",
			Attributes:          with(imageAttributes(), map[string]schema.Attribute{"name": requiredText("Name of the image.")}),
		},
		read: func(ctx context.Context, c *connection, m *imageModel) (diag.Diagnostics, error) {
			img, err := c.api.GetImage(ctx, api.GetImageRequest{ByName: api.ByName{Name: m.Name.ValueString()}})
			if err == nil {
				m.set(img)
			}
			return nil, err
		},
	}
}

type imagesModel struct {
	OS     types.String `tfsdk:"os"`
	Arch   types.String `tfsdk:"arch"`
	State  types.String `tfsdk:"state"`
	Images []imageModel `tfsdk:"images"`
}

func newImagesDataSource() datasource.DataSource {
	return &dataSource[imagesModel]{
		name: "images",
		schema: schema.Schema{
			MarkdownDescription: "All images that meet every given filter.",
			Attributes: map[string]schema.Attribute{
				"os":    optionalText("Only this operating system, as in `debian`. Default: all."),
				"arch":  optionalText("Only this processor architecture: `amd64` or `arm64`. Default: all."),
				"state": optionalText("Only images in this state, as in `ready`. Default: all."),
				"images": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "The images, in the order of their names.",
					NestedObject: schema.NestedAttributeObject{Attributes: imageAttributes()},
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *imagesModel) (diag.Diagnostics, error) {
			found, err := all(func(after string) ([]metal.Image, string, error) {
				got, err := c.api.ListImages(ctx, api.ListByNamesRequest{Page: api.Page{After: after}})
				return got.Items, got.Next, err
			})
			m.Images = []imageModel{}
			for _, img := range found {
				if matches(m.OS, img.Spec.OS) && matches(m.Arch, string(img.Spec.Arch)) && matches(m.State, string(img.State)) {
					var row imageModel
					row.set(img)
					m.Images = append(m.Images, row)
				}
			}
			return nil, err
		},
	}
}

// matches says whether a filter lets the value through; one that is not set lets everything.
func matches(filter types.String, value string) bool {
	return filter.IsNull() || filter.ValueString() == value
}
