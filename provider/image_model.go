package main

import (
	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// imageModel is what the resource and the data source both show.
type imageModel struct {
	ID          types.String `tfsdk:"id"`
	Name        types.String `tfsdk:"name"`
	Source      types.String `tfsdk:"source"`
	SHA256      types.String `tfsdk:"sha256"`
	SHA512      types.String `tfsdk:"sha512"`
	Mirrors     types.List   `tfsdk:"mirrors"`
	Format      types.String `tfsdk:"format"`
	Kind        types.String `tfsdk:"kind"`
	Arch        types.String `tfsdk:"arch"`
	OS          types.String `tfsdk:"os"`
	Version     types.String `tfsdk:"version"`
	Boot        types.Set    `tfsdk:"boot"`
	Reports     types.Bool   `tfsdk:"reports"`
	State       types.String `tfsdk:"state"`
	Digest      types.String `tfsdk:"digest"`
	RawBytes    types.Int64  `tfsdk:"raw_bytes"`
	StoredBytes types.Int64  `tfsdk:"stored_bytes"`
}

type imageResourceModel struct {
	imageModel
	File     types.String   `tfsdk:"file"`
	Timeouts timeouts.Value `tfsdk:"timeouts"`
}

// set copies what the server says.
func (m *imageModel) set(img metal.Image) {
	m.ID, m.Name = types.StringValue(img.Name), types.StringValue(img.Name)
	m.Source = newString(m.Source, img.Spec.Source)
	m.SHA256 = newString(m.SHA256, img.Spec.SHA256)
	m.SHA512 = newString(m.SHA512, img.Spec.SHA512)
	m.Mirrors = newList(m.Mirrors, img.Spec.Mirrors)
	m.Format = types.StringValue(orElse(img.Spec.Format, "auto"))
	m.Kind = types.StringValue(orElse(string(img.Spec.Kind), string(metal.ImageDisk)))
	m.Arch = types.StringValue(orElse(string(img.Spec.Arch), string(metal.AMD64)))
	m.OS = newString(m.OS, img.Spec.OS)
	m.Version = newString(m.Version, img.Spec.Version)
	m.Boot = newSet(m.Boot, img.Spec.Boot)
	m.Reports = types.BoolValue(img.Spec.Reports)
	m.State = types.StringValue(string(img.State))
	m.Digest = newString(types.StringUnknown(), img.Digest)
	m.RawBytes, m.StoredBytes = newInt(types.Int64Unknown(), img.RawBytes), newInt(types.Int64Unknown(), img.StoredBytes)
}

// keep holds what the plan promised.
func (m *imageModel) keep(planned *imageResourceModel) {
	m.State = hold(planned.State, m.State)
	m.Digest = hold(planned.Digest, m.Digest)
	m.RawBytes = hold(planned.RawBytes, m.RawBytes)
	m.StoredBytes = hold(planned.StoredBytes, m.StoredBytes)
}

func (m *imageModel) request() api.PutImageRequest {
	return api.PutImageRequest{ByName: api.ByName{Name: m.Name.ValueString()}, Body: metal.ImageSpec{
		Source:  m.Source.ValueString(),
		SHA256:  m.SHA256.ValueString(),
		SHA512:  m.SHA512.ValueString(),
		Mirrors: namesOf[string](m.Mirrors),
		Format:  m.Format.ValueString(),
		Kind:    metal.ImageKind(m.Kind.ValueString()),
		Arch:    metal.Arch(m.Arch.ValueString()),
		OS:      m.OS.ValueString(),
		Version: m.Version.ValueString(),
		Boot:    namesOf[metal.BootMode](m.Boot),
		Reports: m.Reports.ValueBool(),
	}}
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
