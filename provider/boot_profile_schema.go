package main

import (
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func bootProfileSchema() schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A boot profile starts an installer on machines and answers its questions: a kernel with initial file systems, or an ISO image, " +
			"a command line and answer files. The command line and the answer files are templates; a fault in one is refused with file and line. " +
			"An installation keeps the version of the profile that it began with.",
		Attributes: map[string]schema.Attribute{
			"id":          idAttribute("The boot profile's name."),
			"name":        nameAttribute("Name of the boot profile: lower-case letters, digits, dots, dashes and underscores, at most 63."),
			"description": descriptionAttribute("What the boot profile is for"),
			"kernel": schema.SingleNestedAttribute{
				Optional: true, Attributes: bootFileAttributes(),
				MarkdownDescription: "What iPXE starts: a Linux kernel, wimboot, or the boot loader of ESXi. A profile has either this or `iso`.",
			},
			"initrds": schema.ListNestedAttribute{
				Optional: true, NestedObject: schema.NestedAttributeObject{Attributes: bootFileAttributes()},
				MarkdownDescription: "Files that are loaded beside the kernel, in this order. Default: none.",
			},
			"iso": schema.SingleNestedAttribute{
				Optional: true, Attributes: bootFileAttributes(),
				MarkdownDescription: "An ISO image that iPXE boots as a disk.",
			},
			"command_line": optionalSetting("Template of the kernel command line. It cannot hold secrets. Default: empty."),
			"answers": schema.ListNestedAttribute{
				Optional: true, MarkdownDescription: "Files that the installer fetches below the URL `{{.Files}}`. Default: none.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"name":    schema.StringAttribute{Required: true, MarkdownDescription: "Name of the file."},
					"content": schema.StringAttribute{Required: true, MarkdownDescription: "Template of the file, at most 256 KiB."},
					"load": schema.BoolAttribute{
						Optional: true, MarkdownDescription: "Whether the loader fetches the file too, beside `initrds`: how wimboot gets `unattend.xml`. Default: `false`.",
					},
				}},
			},
			"variables": schema.MapAttribute{
				Optional: true, ElementType: types.StringType, MarkdownDescription: "What templates reach as `{{.Var.name}}`. Default: none.",
			},
			"ssh_keys": schema.ListAttribute{
				Optional: true, ElementType: types.StringType, MarkdownDescription: "Names of stored keys, or public keys: what templates reach as `{{.SSHKeys}}`. Default: none.",
			},
			"unknown": schema.BoolAttribute{
				Optional: true, MarkdownDescription: "Whether machines that nobody declared install by this profile when they boot from the network. One profile can. Default: `false`.",
			},
			"tags": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Declared machines that are new or ready, and have one of these tags, install by this profile when they boot from the network. Default: none.",
			},
			"secrets_wo": schema.MapAttribute{
				Optional: true, WriteOnly: true, Sensitive: true, ElementType: types.StringType,
				MarkdownDescription: "What templates of answer files reach as `{{.Secret.name}}`. Sent to the server, sealed there, and in no state or plan.",
			},
			"secrets_wo_version": schema.Int64Attribute{
				Optional: true, MarkdownDescription: "Change it to send new secrets. Default: they are sent when the profile is made, and with every other change of it.",
			},
		},
	}
}

func optionalSetting(description string) schema.StringAttribute {
	return schema.StringAttribute{Optional: true, MarkdownDescription: description}
}

func bootFileAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"source": schema.StringAttribute{Required: true, MarkdownDescription: "An http(s) URL, or a path on the server below one of its `images.directories`."},
		"sha256": schema.StringAttribute{Required: true, MarkdownDescription: "SHA-256 of the file, in hex."},
		"name":   optionalSetting("What the loader calls the file; wimboot wants names of its own. Default: `initrd` and its number."),
	}
}
