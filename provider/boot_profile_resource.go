package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

type bootProfileModel struct {
	ID            types.String      `tfsdk:"id"`
	Name          types.String      `tfsdk:"name"`
	Description   types.String      `tfsdk:"description"`
	Kernel        *bootFileModel    `tfsdk:"kernel"`
	Initrds       []bootFileModel   `tfsdk:"initrds"`
	ISO           *bootFileModel    `tfsdk:"iso"`
	CommandLine   types.String      `tfsdk:"command_line"`
	Answers       []answerFileModel `tfsdk:"answers"`
	Variables     map[string]string `tfsdk:"variables"`
	SSHKeys       types.List        `tfsdk:"ssh_keys"`
	Unknown       types.Bool        `tfsdk:"unknown"`
	Tags          types.Set         `tfsdk:"tags"`
	Secrets       types.Map         `tfsdk:"secrets_wo"`
	SecretVersion types.Int64       `tfsdk:"secrets_wo_version"`
}

type bootFileModel struct {
	Source types.String `tfsdk:"source"`
	SHA256 types.String `tfsdk:"sha256"`
	Name   types.String `tfsdk:"name"`
}

type answerFileModel struct {
	Name    types.String `tfsdk:"name"`
	Content types.String `tfsdk:"content"`
	Load    types.Bool   `tfsdk:"load"`
}

func (m *bootProfileModel) key() types.String { return m.ID }

func (m *bootProfileModel) set(_ context.Context, p metal.BootProfile) diag.Diagnostics {
	m.ID, m.Name = types.StringValue(p.Name), types.StringValue(p.Name)
	m.Description = newString(m.Description, p.Spec.Description)
	m.CommandLine = newString(m.CommandLine, p.Spec.CommandLine)
	m.Kernel, m.ISO = newBootFile(p.Spec.Kernel), newBootFile(p.Spec.ISO)
	if m.Initrds != nil || len(p.Spec.Initrds) > 0 {
		m.Initrds = make([]bootFileModel, len(p.Spec.Initrds))
	}
	for i := range p.Spec.Initrds {
		m.Initrds[i] = *newBootFile(&p.Spec.Initrds[i])
	}
	was := m.Answers
	if m.Answers != nil || len(p.Spec.Answers) > 0 {
		m.Answers = make([]answerFileModel, len(p.Spec.Answers))
	}
	for i, a := range p.Spec.Answers {
		var load types.Bool
		if i < len(was) {
			load = was[i].Load
		}
		m.Answers[i] = answerFileModel{types.StringValue(a.Name), types.StringValue(a.Content), newBool(load, a.Load)}
	}
	if m.Variables != nil || len(p.Spec.Variables) > 0 {
		m.Variables = p.Spec.Variables
	}
	m.SSHKeys, m.Tags = newList(m.SSHKeys, p.Spec.SSHKeys), newSet(m.Tags, p.Spec.Tags)
	m.Unknown = newBool(m.Unknown, p.Spec.Unknown)
	m.Secrets = types.MapNull(types.StringType)
	return nil
}

func newBootFile(f *metal.BootFile) *bootFileModel {
	if f == nil {
		return nil
	}
	return &bootFileModel{types.StringValue(f.Source), types.StringValue(f.SHA256), newString(types.StringNull(), f.Name)}
}

func (m *bootFileModel) file() *metal.BootFile {
	if m == nil {
		return nil
	}
	return &metal.BootFile{Source: m.Source.ValueString(), SHA256: m.SHA256.ValueString(), Name: m.Name.ValueString()}
}

func (m *bootProfileModel) spec() metal.BootProfileSpec {
	s := metal.BootProfileSpec{
		Description: m.Description.ValueString(), Kernel: m.Kernel.file(), ISO: m.ISO.file(), CommandLine: m.CommandLine.ValueString(),
		Variables: m.Variables, SSHKeys: stringsOf(m.SSHKeys), Unknown: m.Unknown.ValueBool(), Tags: sorted(m.Tags),
	}
	for _, f := range m.Initrds {
		s.Initrds = append(s.Initrds, *f.file())
	}
	for _, a := range m.Answers {
		s.Answers = append(s.Answers, metal.AnswerFile{Name: a.Name.ValueString(), Content: a.Content.ValueString(), Load: a.Load.ValueBool()})
	}
	return s
}

// bootProfiles start installers. The server fetches their files while they are put.
func bootProfiles() *kind[metal.BootProfile, bootProfileModel, *bootProfileModel] {
	return &kind[metal.BootProfile, bootProfileModel, *bootProfileModel]{
		name: "boot_profile", plural: "boot_profiles", words: "boot profile", schema: bootProfileSchema,
		put: func(ctx context.Context, c *client.Client, m *bootProfileModel, config tfsdk.Config) (metal.BootProfile, diag.Diagnostics, error) {
			secrets := map[string]string{}
			diags := config.GetAttribute(ctx, path.Root("secrets_wo"), &secrets)
			if diags.HasError() {
				return metal.BootProfile{}, diags, nil
			}
			if secrets == nil { // none are declared: those that the server has go
				secrets = map[string]string{}
			}
			p, err := c.PutBootProfile(ctx, api.PutBootProfileRequest{
				ByName: byName(m.Name), Wait: "15m", Body: api.BootProfileBody{BootProfileSpec: m.spec(), Secrets: &secrets},
			})
			return p, diags, err
		},
		get: func(ctx context.Context, r *readers, id string) (metal.BootProfile, error) {
			return r.bootProfiles.get(ctx, id)
		},
		remove: func(ctx context.Context, c *client.Client, id string) error {
			return c.DeleteBootProfile(ctx, deletion(id))
		},
	}
}
