package main

import (
	"context"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	_ resource.ResourceWithConfigure        = (*imageResource)(nil)
	_ resource.ResourceWithIdentity         = (*imageResource)(nil)
	_ resource.ResourceWithImportState      = (*imageResource)(nil)
	_ resource.ResourceWithModifyPlan       = (*imageResource)(nil)
	_ resource.ResourceWithConfigValidators = (*imageResource)(nil)
)

func newImageResource() resource.Resource { return &imageResource{} }

// imageResource is an operating system, imported once and kept by the server.
type imageResource struct{ connected }

const importTime = time.Hour

// Metadata names the resource.
func (r *imageResource) Metadata(_ context.Context, req resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = req.ProviderTypeName + "_image"
}

// Schema is what a configuration may say.
func (r *imageResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = imageSchema(ctx)
}

// Create declares the image, sends its file where there is one, and waits for the import.
func (r *imageResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var m imageResourceModel
	if resp.Diagnostics.Append(req.Plan.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	limit, diags := m.Timeouts.Create(ctx, importTime)
	resp.Diagnostics.Append(diags...)
	stamp, err := m.readFile(fileStamp{})
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("file"), "Cannot read the image file", err.Error())
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	img, err := r.api.PutImage(call, m.request())
	if err != nil {
		report(&resp.Diagnostics, "declare image "+m.Name.ValueString(), err)
		return
	}
	m.set(img)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
	resp.Diagnostics.Append(r.settle(ctx, &m, img, img.State != metal.ImageReady, limit)...)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
	resp.Diagnostics.Append(stamp.save(ctx, resp.Private)...)
}

// Read refreshes the state; an image that is gone is removed.
func (r *imageResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var m imageResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	img, err := r.read.images.get(ctx, m.ID.ValueString())
	if err != nil {
		reportRead(ctx, resp, "image", m.ID, err)
		return
	}
	m.set(img)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
}

// Update imports again under the same name where the content changes: what is deployed stays what it is.
func (r *imageResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var planned, prior imageResourceModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &planned)...)
	if resp.Diagnostics.Append(req.State.Get(ctx, &prior)...); resp.Diagnostics.HasError() {
		return
	}
	m := planned
	limit, diags := m.Timeouts.Update(ctx, importTime)
	resp.Diagnostics.Append(diags...)
	stamp, err := m.readFile(loadStamp(ctx, req.Private))
	if err != nil {
		resp.Diagnostics.AddAttributeError(path.Root("file"), "Cannot read the image file", err.Error())
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	img, err := r.api.PutImage(call, m.request())
	if err != nil {
		report(&resp.Diagnostics, "change image "+m.Name.ValueString(), err)
		return
	}
	upload := img.State != metal.ImageReady || !m.SHA256.Equal(prior.SHA256) || !m.SHA512.Equal(prior.SHA512) || !m.Kind.Equal(prior.Kind) || m.File.IsNull() != prior.File.IsNull()
	m.set(img)
	resp.Diagnostics.Append(r.settle(ctx, &m, img, upload, limit)...)
	m.keep(&planned)
	resp.Diagnostics.Append(save(ctx, &resp.State, resp.Identity, m.ID, &m)...)
	resp.Diagnostics.Append(stamp.save(ctx, resp.Private)...)
}

// settle sends the file and waits for the import; whatever comes of it, the model holds what the server knows then.
func (r *imageResource) settle(ctx context.Context, m *imageResourceModel, img metal.Image, upload bool, limit time.Duration) diag.Diagnostics {
	var diags diag.Diagnostics
	err := r.load(ctx, m, img, upload, limit)
	call, cancel := lasting(ctx)
	defer cancel()
	now, readErr := r.api.GetImage(call, api.GetImageRequest{ByName: api.ByName{Name: img.Name}})
	if readErr == nil {
		m.set(now)
	}
	if err == nil {
		err = readErr
	}
	if err != nil {
		report(&diags, "import image "+img.Name, err)
	}
	return diags
}

func (r *imageResource) load(ctx context.Context, m *imageResourceModel, img metal.Image, upload bool, limit time.Duration) error {
	if m.File.ValueString() != "" && upload && img.State != metal.ImageImporting {
		tflog.Info(ctx, "upload image", map[string]any{"image": img.Name})
		sent, err := r.upload(ctx, img.Name, m.File.ValueString())
		if ctx.Err() != nil {
			return &interruptedError{}
		}
		if err != nil {
			return err
		}
		img = sent
	}
	if img.State == metal.ImageReady || img.OperationID == "" {
		return nil
	}
	return r.follow(ctx, img.OperationID, limit, "Mend the source or its checksum and apply again.")
}

func (r *imageResource) upload(ctx context.Context, name, file string) (metal.Image, error) {
	f, err := os.Open(file)
	if err != nil {
		return metal.Image{}, err
	}
	defer f.Close()
	return r.api.UploadImage(ctx, api.UploadImageRequest{ByName: api.ByName{Name: name}, Body: f})
}

// Delete deletes the image; the server refuses while a deployment names it.
func (r *imageResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var m imageResourceModel
	if resp.Diagnostics.Append(req.State.Get(ctx, &m)...); resp.Diagnostics.HasError() {
		return
	}
	call, cancel := lasting(ctx)
	defer cancel()
	err := r.api.DeleteImage(call, api.DeleteByNameRequest{ByName: api.ByName{Name: m.ID.ValueString()}})
	reportDelete(&resp.Diagnostics, "delete image "+m.ID.ValueString(), err)
}

// ImportState takes over an image by its name.
func (r *imageResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	resource.ImportStatePassthroughWithIdentity(ctx, path.Root("id"), path.Root("id"), req, resp)
}
