package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/setdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

const mostUserData = 1 << 20 // bytes

func deploymentSchema(ctx context.Context) schema.Schema {
	attributes := deploymentInputs()
	for name, computed := range deploymentOutputs() {
		attributes[name] = computed
	}
	attributes["timeouts"] = timeoutsAttribute(ctx, timeouts.Opts{
		Create: true, Update: true, Delete: true,
		CreateDescription: "Wait for the installation. Default: `60m`.",
		UpdateDescription: "Wait for another installation. Default: `60m`.",
		DeleteDescription: "Wait until the system is off the machine. Default: `20m`.",
	})
	return schema.Schema{
		MarkdownDescription: "What runs on an allocated machine. A change of `image` installs it again **on the same machine**: the plan says which machine and which disk. " +
			"Changes of other fields are stored, shown in `pending_changes`, and wait for the next installation, unless `redeploy_on` names them. " +
			"An installation that fails leaves the machine with its claim; applying again tries again. Destroying it takes the system off, and leaves the claim.",
		Attributes: attributes,
	}
}

func deploymentInputs() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description}
	}
	hostname := text("Host name of the system: one DNS label. Default: the machine's name.")
	hostname.Validators = []validator.String{hostnameValidator()}
	userData := text("cloud-init user data, at most 1 MiB. It is in the state: for what is secret, use `user_data_wo`. Default: none.")
	userData.Validators = []validator.String{stringvalidator.LengthAtMost(mostUserData)}
	userDataWO := text("cloud-init user data that is in no plan and no state. It is sent with the first deployment and whenever `user_data_wo_version` changes. Default: none.")
	userDataWO.WriteOnly, userDataWO.Sensitive = true, true
	userDataWO.Validators = []validator.String{stringvalidator.LengthAtMost(mostUserData), stringvalidator.AlsoRequires(path.MatchRoot("user_data_wo_version"))}
	return map[string]schema.Attribute{
		"machine_id": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Id of the machine, as in `metal_allocation.web.machine_id`. Another machine replaces the deployment.",
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"image": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "Name of the image, as in `metal_image.debian.name`. The deployment is pinned to the content that the image has when it is deployed.",
		},
		"hostname":     hostname,
		"user_data":    userData,
		"user_data_wo": userDataWO,
		"user_data_wo_version": schema.Int64Attribute{
			Optional: true, Validators: []validator.Int64{int64validator.AtLeast(0)},
			MarkdownDescription: "Any number: a change of it sends `user_data_wo` again. Default: none.",
		},
		"ssh_keys": schema.SetAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Who may log in: names of `metal_ssh_key`, or public keys as in `authorized_keys`. Default: nobody.",
		},
		"network":           networkAttribute(),
		"kernel_parameters": text("Added to the kernel command line of the installed system. Default: none."),
		"disk":              text("Name, serial number or WWN of the disk to overwrite. Default: the smallest one that the image fits on."),
		"storage":           storageAttribute(),
		"boot":              choice("How the machine gets into the system: `reboot`, `kexec`, which skips the firmware, or `memory`: a root archive then runs from memory, no disk is touched, and when the machine starts again the same system is put there anew. Default: `reboot`.", "reboot", "reboot", "kexec", "memory"),
		"redeploy_on": schema.SetAttribute{
			Optional: true, Computed: true, ElementType: types.StringType, Default: setdefault.StaticValue(redeployDefault()),
			MarkdownDescription: "Fields whose change redeploys at once, out of `image`, `disk`, `trigger`, `hostname`, `ssh_keys`, `user_data`, `network`, `kernel_parameters`, `boot`, `storage`. " +
				"Others are stored and wait. Default: `image`, `disk`, `trigger`.",
			Validators: []validator.Set{setvalidator.ValueStringsAre(stringvalidator.OneOf(
				"image", "disk", "trigger", "hostname", "ssh_keys", "user_data", "network", "kernel_parameters", "boot", "storage"))},
		},
		"redeploy_trigger": text("Any text: a change of it redeploys, as with `metal_image.debian.digest`. Default: none."),
		"redeploy_protection": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(false),
			MarkdownDescription: "The server refuses every redeployment, whoever asks, until this is `false` again; the plan fails already. Default: `false`.",
		},
		"wait": schema.BoolAttribute{
			Optional: true, Computed: true, Default: booldefault.StaticBool(true),
			MarkdownDescription: "Wait until the system is up. With `false`, the resource counts as created once the installation is accepted. Default: `true`.",
		},
	}
}

func deploymentOutputs() map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"id":     idAttribute("Identity of the deployment."),
		"state":  text("The machine's life-cycle state, as in `deploying`, `deployed` or `failed_deployment`."),
		"digest": text("SHA-256 of the image content that the deployment is pinned to, in hex."),
		"storage_plan": schema.ListAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "What the deployment makes of the disks, in words: known in the plan where the machine is, and empty where `storage` says nothing.",
		},
		"pending_changes": schema.SetAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Fields that differ from what runs, and wait for the next deployment.",
		},
		"ssh_host_keys": schema.ListAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "Public host keys that the system reported when it came up, as in `known_hosts`; empty for images that do not report.",
		},
		"addresses": schema.ListAttribute{
			Computed: true, ElementType: types.StringType,
			MarkdownDescription: "IP addresses of the machine, that of its boot NIC first.",
			PlanModifiers:       []planmodifier.List{listplanmodifier.UseNonNullStateForUnknown()},
		},
		"fqdn":        text("The DNS name that answers for the machine."),
		"deployed_at": text("When the system that runs was installed, as in RFC 3339."),
	}
}
