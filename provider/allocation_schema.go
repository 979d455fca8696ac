package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func allocationSchema(ctx context.Context) schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A claim on one machine that meets the constraints. It takes milliseconds and installs nothing: `metal_deployment` does. " +
			"New constraints that the held machine still meets change in place; otherwise the plan replaces the claim and says why. " +
			"Destroying it releases the machine, by the policy in `release` as it was stored with the claim.",
		Attributes: map[string]schema.Attribute{
			"id":   idAttribute("Identity of the claim."),
			"name": nameAttribute("Name of the claim, and its idempotency key: the same name always holds the same machine."),
			"pool": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString("default"),
				MarkdownDescription: "Pool to take a machine from. Default: `default`.",
			},
			"constraints": constraintsAttribute(),
			"release": schema.SingleNestedAttribute{
				Optional: true, Computed: true, Default: objectdefault.StaticValue(releaseValue(metal.ReleasePolicy{})),
				MarkdownDescription: "What happens to the machine when the claim ends. Default: a quick erase.",
				Attributes: map[string]schema.Attribute{
					"erase": choice("How far the disks are wiped: `none`; `quick` (signatures, partition tables, and what the disk discards by itself); `zero` (every block is "+
						"overwritten); `secure` (the disk's own sanitise, format or security erase). Default: `quick`.", string(metal.EraseQuick), "none", "quick", "zero", "secure"),
					"power_off": schema.BoolAttribute{
						Optional: true, Computed: true, Default: booldefault.StaticBool(false),
						MarkdownDescription: "Power the machine off once it is wiped. Default: `false`, it stays awake a while, so that the next claim starts at once.",
					},
				},
			},
			"wait_for_capacity": durationAttribute("How long to wait for a machine when none matches now, as in `30m`. Default: `0s`, fail at once and say why each machine does not match."),
			"wait_for_erase": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "Destroying waits until the disks are wiped. Default: `false`, it returns once the release is accepted for good.",
			},
			"machine_id": fixed("Id of the machine that was taken."),
			"machine":    fixed("Name of the machine that was taken."),
			"addresses": schema.ListAttribute{
				Computed: true, ElementType: types.StringType,
				MarkdownDescription: "IP addresses that are the machine's own, that of its boot NIC first.",
				PlanModifiers:       []planmodifier.List{listplanmodifier.UseNonNullStateForUnknown()},
			},
			"fqdn": fixed("The DNS name that answers for the machine."),
			"timeouts": timeoutsAttribute(ctx, timeouts.Opts{
				Delete: true, DeleteDescription: "Wait for the erase, where `wait_for_erase` is set. Default: `12h`.",
			}),
		},
	}
}

func constraintsAttribute() schema.SingleNestedAttribute {
	text := func(description string, allowed ...string) schema.StringAttribute {
		a := schema.StringAttribute{Optional: true, MarkdownDescription: description}
		if len(allowed) > 0 {
			a.Validators = []validator.String{stringvalidator.OneOf(allowed...)}
		}
		return a
	}
	atLeast := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: true, MarkdownDescription: description, Validators: []validator.Int64{int64validator.AtLeast(0)}}
	}
	set := func(description string) schema.SetAttribute {
		return schema.SetAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: description}
	}
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "What the machine must meet. Default: any machine of the pool that is ready.",
		Attributes: map[string]schema.Attribute{
			"machine":          text("Id or name of the one machine wanted. Default: any."),
			"arch":             text("Processor architecture: `amd64` or `arm64`. Default: any.", "amd64", "arm64"),
			"zone":             text("Failure domain. Default: any."),
			"boot_mode":        text("Kind of firmware: `bios` or `uefi`. Default: any.", "bios", "uefi"),
			"min_cpus":         atLeast("Logical processors, at least. Default: any number."),
			"min_memory_bytes": atLeast("RAM in bytes, at least: `64 * 1024 * 1024 * 1024` is 64 GiB. Default: any size."),
			"min_disk_bytes":   atLeast("Size of the largest disk in bytes, at least. Default: any size."),
			"min_disks":        atLeast("Number of disks, at least. Default: any number."),
			"min_nics":         atLeast("Number of network interfaces, at least. Default: any number."),
			"tags":             set("Tags that the machine has, all of them. Default: none."),
			"not_tags":         set("Tags that the machine has not, none of them. Default: none."),
			"not_machines":     set("Ids or names of machines that are not wanted. Default: none."),
		},
	}
}
