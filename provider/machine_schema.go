package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/objectplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// What metal_machine.wait_for can say.
const (
	waitForReady      = "ready"
	waitForRegistered = "registered"
)

func machineSchema(ctx context.Context) schema.Schema {
	return schema.Schema{
		MarkdownDescription: "A physical machine: how it is recognised, and how its power is controlled. A machine that enlisted itself and has one of the " +
			"MAC addresses is adopted, never duplicated. What runs on the machine is the business of `metal_allocation` and `metal_deployment`. " +
			"Destroying this resource forgets the machine; it erases nothing, and is refused while the machine is allocated. A machine that goes on " +
			"booting from the network enlists itself again, as one that nobody has declared.",
		Attributes: map[string]schema.Attribute{
			"id": idAttribute("Stable identity of the machine: `m-` and 12 characters."),
			"name": schema.StringAttribute{
				Required: true, Validators: []validator.String{hostnameValidator()},
				MarkdownDescription: "Host name: one DNS label. It can change in place.",
			},
			"macs": schema.ListAttribute{
				Required: true, ElementType: textType{spelling: macSpelling},
				MarkdownDescription: "MAC addresses of the machine's NICs, the one it boots from first. Any usual spelling: `52:54:00:12:34:56`, `52-54-00-12-34-56`, `5254.0012.3456`.",
				PlanModifiers:       []planmodifier.List{respelled{macSpelling}},
				Validators:          []validator.List{listvalidator.SizeAtLeast(1), listvalidator.ValueStringsAre(spelled{macSpelling})},
			},
			"arch": choice("Processor architecture: `amd64` or `arm64`. Default: `amd64`.", "amd64", "amd64", "arm64"),
			"pool": schema.StringAttribute{
				Optional: true, Computed: true, Default: stringdefault.StaticString("default"),
				MarkdownDescription: "Pool that the machine belongs to. Default: `default`.",
			},
			"zone": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Failure domain, such as a rack or a power feed. Default: none.",
			},
			"tags": schema.SetAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Labels that allocations can ask for. Default: none.",
			},
			"notes": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Free text for people. Default: none.",
			},
			"kernel_parameters": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Added to the kernel command line of the RAM environment that inspects, erases and installs. Default: none.",
			},
			"bmc": bmcAttribute(),
			"wait_for": choice("How far a new machine gets before the resource counts as created: `ready` commissions it and waits until it is inspected and free to take; "+
				"`registered` only writes its record. Default: `ready`.", waitForReady, waitForReady, waitForRegistered),
			"deletion_protection": schema.BoolAttribute{
				Optional: true, Computed: true, Default: booldefault.StaticBool(false),
				MarkdownDescription: "The server refuses to forget the machine, whoever asks, until this is `false` again. Default: `false`.",
			},
			"state":    schema.StringAttribute{Computed: true, MarkdownDescription: "Life-cycle state, as in `ready`, `allocated` or `deployed`."},
			"address":  fixed("The IP address that is the machine's own on the subnet it boots from."),
			"fqdn":     fixed("The DNS name that answers for the machine."),
			"hardware": hardwareAttribute(),
			"timeouts": timeoutsAttribute(ctx, timeouts.Opts{
				Create: true, Update: true, Delete: true,
				CreateDescription: "Wait for the commissioning. Default: `45m`.", UpdateDescription: "Wait for another commissioning. Default: `45m`.",
				DeleteDescription: "Wait for an operation that still works on the machine, such as the erase after its release. Default: `12h`.",
			}),
		},
	}
}

func bmcAttribute() schema.SingleNestedAttribute {
	return schema.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "The baseboard management controller that switches the machine's power. Default: none, a person switches it.",
		Attributes: map[string]schema.Attribute{
			"type": schema.StringAttribute{
				Required: true, Validators: []validator.String{stringvalidator.OneOf("ipmi", "redfish", "manual")},
				MarkdownDescription: "Protocol: `ipmi`, `redfish`, or `manual` (a person switches it).",
			},
			"address": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "Host, host:port, or the URL of a Redfish service. Default: none, for `manual`.",
			},
			"username": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: "User name on the BMC. Default: none.",
			},
			"password_wo": schema.StringAttribute{
				Optional: true, WriteOnly: true, Sensitive: true,
				MarkdownDescription: "Password on the BMC. Write-only: it is in no plan and no state, and may come from an ephemeral resource or variable. It is sent when " +
					"the machine is created and whenever `password_wo_version` changes. Default: none.",
				Validators: []validator.String{stringvalidator.AlsoRequires(path.MatchRelative().AtParent().AtName("password_wo_version"))},
			},
			"password_wo_version": schema.Int64Attribute{
				Optional: true, Validators: []validator.Int64{int64validator.AtLeast(0)},
				MarkdownDescription: "Any number: a change of it sends `password_wo` again. Default: none.",
			},
			"tls": schema.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "Which certificate of the BMC is believed. Default: one that the system's authorities signed.",
				Attributes: map[string]schema.Attribute{
					"insecure": schema.BoolAttribute{
						Optional:            true,
						MarkdownDescription: "Accept any certificate. Default: `false`.",
					},
					"fingerprint": schema.StringAttribute{
						Optional: true, CustomType: textType{spelling: fingerprintSpelling},
						MarkdownDescription: "Accept only the certificate with this SHA-256, in hex, with or without colons. Default: none.",
						PlanModifiers:       []planmodifier.String{respelled{fingerprintSpelling}},
					},
				},
			},
		},
	}
}

func hardwareAttribute() schema.SingleNestedAttribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Computed: true, MarkdownDescription: description}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Computed: true, MarkdownDescription: description}
	}
	return schema.SingleNestedAttribute{
		Computed:            true,
		MarkdownDescription: "The few stable facts of the last inventory; null before the first. The data source `metal_machine_inventory` has everything.",
		PlanModifiers:       []planmodifier.Object{objectplanmodifier.UseNonNullStateForUnknown()},
		Attributes: map[string]schema.Attribute{
			"vendor":       text("Who made it."),
			"product":      text("Product name."),
			"serial":       text("Serial number of the system."),
			"uuid":         text("SMBIOS system UUID."),
			"arch":         text("Processor architecture: `amd64` or `arm64`."),
			"boot_mode":    text("Kind of firmware: `bios` or `uefi`."),
			"cpus":         number("Logical processors."),
			"memory_bytes": number("RAM, in bytes."),
			"disks":        number("Number of disks that can be written to."),
			"disk_bytes":   number("Size of all disks together, in bytes."),
			"nics":         number("Number of network interfaces."),
		},
	}
}
