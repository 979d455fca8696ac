package main

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/resourcevalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func imageSchema(ctx context.Context) schema.Schema {
	return schema.Schema{
		MarkdownDescription: "An operating system as the image of a whole disk or as an archive of a root file system, which the server fetches, verifies and keeps, so that a deployment " +
			"depends on nobody else. Deployments are pinned to the content: an image that is imported again under the same name changes no " +
			"machine until somebody asks for it, as with `redeploy_trigger = metal_image.debian.digest`.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("The image's name."),
			"name": nameAttribute("Name of the image, as `metal_deployment.image` refers to it."),
			"source": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "Where the server fetches the image: an http or https URL, or a path on the server below a directory that its configuration allows. " +
					"Exactly one of `source` and `file` is set. A change imports again under the same name.",
			},
			"file": schema.StringAttribute{
				Optional: true,
				MarkdownDescription: "File on the machine that runs Terraform, which the provider sends to the server. Exactly one of `source` and `file` is set. " +
					"Other content (by its SHA-256) is sent again under the same name.",
			},
			"sha256": schema.StringAttribute{
				Optional: true, Computed: true,
				MarkdownDescription: "SHA-256 of the file at `source` as its publisher states it, in hex. Default: none for a `source`; computed for a `file`.",
				Validators:          []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^[0-9a-f]{64}$`), "must be 64 lower-case hex digits")},
			},
			"sha512": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "SHA-512 of the file at `source` or of `file` as its publisher states it, in hex. Where `sha256` is given as well, both must be true. Default: none.",
				Validators:          []validator.String{stringvalidator.RegexMatches(regexp.MustCompile(`^[0-9a-f]{128}$`), "must be 128 lower-case hex digits")},
			},
			"mirrors": schema.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Other http or https URLs of the same file, tried in their order when it cannot be had, or not to its end, at `source`. They need a `source` " +
					"that is a URL, and `sha256` or `sha512`. A change imports nothing. Default: none.",
				Validators: []validator.List{listvalidator.SizeBetween(1, 8), listvalidator.AlsoRequires(path.MatchRoot("source"))},
			},
			"format": choice("Format inside any compression (gzip, xz, zstd, bzip2): `raw`, `qcow2`, `vmdk`, `vhd` or `vhdx` for disks, `tar` or `squashfs` for roots, "+
				"or `auto`, which looks; a `vhd` of fixed size is told from a raw disk only where it is declared. Default: `auto`.",
				"auto", "auto", "raw", "qcow2", "vmdk", "vhd", "vhdx", "tar", "squashfs"),
			"kind": choice("What the content is: `disk`, a whole disk with its own partitions, or `root`, the files of a root file system, for which `metal_deployment.storage` "+
				"lays the disks out. Default: `disk`.", "disk", "disk", "root"),
			"arch": choice("Processor architecture: `amd64` or `arm64`. Default: `amd64`.", "amd64", "amd64", "arm64"),
			"os": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Operating system, as in `debian`. Default: none.",
			},
			"version": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Version of the operating system, as in `12`. Default: none.",
			},
			"boot": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Kinds of firmware that it boots on: `bios`, `uefi`. Default: both.",
				Validators:          []validator.Set{setvalidator.ValueStringsAre(stringvalidator.OneOf("bios", "uefi"))},
			},
			"reports": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "The system inside runs cloud-init (or the like) and calls back when it is up; a deployment then waits for that call, and warns of what cloud-init failed at, with the last lines of its log. Default: `false`.",
			},
			"state":        schema.StringAttribute{Computed: true, MarkdownDescription: "How far it is: `waiting` for content, `importing`, `ready` or `failed`."},
			"digest":       schema.StringAttribute{Computed: true, MarkdownDescription: "SHA-256 of the raw disk content, in hex: what deployments are pinned to."},
			"raw_bytes":    schema.Int64Attribute{Computed: true, MarkdownDescription: "Size on a machine's disk, in bytes."},
			"stored_bytes": schema.Int64Attribute{Computed: true, MarkdownDescription: "Size as stored and streamed, in bytes."},
			"timeouts": timeoutsAttribute(ctx, timeouts.Opts{
				Create: true, Update: true,
				CreateDescription: "Wait for the import. Default: `60m`.", UpdateDescription: "Wait for another import. Default: `60m`.",
			}),
		},
	}
}

// ConfigValidators wants the content to come from one place.
func (r *imageResource) ConfigValidators(context.Context) []resource.ConfigValidator {
	return []resource.ConfigValidator{resourcevalidator.ExactlyOneOf(path.MatchRoot("source"), path.MatchRoot("file"))}
}
