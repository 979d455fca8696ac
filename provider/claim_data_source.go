package main

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func computedNames(description string) schema.SetAttribute {
	return schema.SetAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

func computedLines(description string) schema.ListAttribute {
	return schema.ListAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: description}
}

// constraintArguments are the constraints of a claim: computed where the claim exists, optional where it is only
// thought of.
func constraintArguments(computed bool) map[string]schema.Attribute {
	text := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: !computed, Computed: computed, MarkdownDescription: description}
	}
	number := func(description string) schema.Int64Attribute {
		return schema.Int64Attribute{Optional: !computed, Computed: computed, MarkdownDescription: description}
	}
	names := func(description string) schema.SetAttribute {
		return schema.SetAttribute{Optional: !computed, Computed: computed, ElementType: types.StringType, MarkdownDescription: description}
	}
	return map[string]schema.Attribute{
		"machine":          text("Id or name of the one machine wanted. Default: any."),
		"arch":             text("Processor architecture: `amd64` or `arm64`. Default: any."),
		"zone":             text("Failure domain. Default: any."),
		"boot_mode":        text("Kind of firmware: `bios` or `uefi`. Default: any."),
		"min_cpus":         number("Logical processors, at least. Default: any number."),
		"min_memory_bytes": number("RAM in bytes, at least. Default: any size."),
		"min_disk_bytes":   number("Size of the largest disk in bytes, at least. Default: any size."),
		"min_disks":        number("Number of disks, at least. Default: any number."),
		"min_nics":         number("Number of network interfaces, at least. Default: any number."),
		"tags":             names("Tags that the machine has, all of them. Default: none."),
		"not_tags":         names("Tags that the machine has not, none of them. Default: none."),
		"not_machines":     names("Ids or names of machines that are not wanted. Default: none."),
	}
}

func newAllocationDataSource() datasource.DataSource {
	return &dataSource[allocationModel]{
		name: "allocation",
		schema: schema.Schema{
			MarkdownDescription: "One claim, by its name: for a configuration that deploys to a machine which another one has claimed.",
			Attributes: map[string]schema.Attribute{
				"id":          computedText("Identity of the claim."),
				"name":        requiredText("Name of the claim."),
				"pool":        computedText("Pool that the machine was taken from."),
				"constraints": schema.SingleNestedAttribute{Computed: true, MarkdownDescription: "What the machine must meet.", Attributes: constraintArguments(true)},
				"release": schema.SingleNestedAttribute{
					Computed: true, MarkdownDescription: "What happens to the machine when the claim ends.",
					Attributes: map[string]schema.Attribute{
						"erase":     computedText("How far the disks are wiped: `none`, `quick`, `zero` or `secure`."),
						"power_off": schema.BoolAttribute{Computed: true, MarkdownDescription: "Whether the machine is powered off once it is wiped."},
					},
				},
				"machine_id": computedText("Id of the machine that was taken."),
				"machine":    computedText("Name of the machine that was taken."),
				"addresses":  computedLines("IP addresses that are the machine's own."),
				"fqdn":       computedText("The DNS name that answers for the machine."),
			},
		},
		read: func(ctx context.Context, c *connection, m *allocationModel) (diag.Diagnostics, error) {
			a, err := c.api.GetAllocation(ctx, api.ByID{ID: m.Name.ValueString()})
			if err != nil {
				return nil, err
			}
			return m.set(ctx, a), nil
		},
	}
}

type previewModel struct {
	Pool        types.String `tfsdk:"pool"`
	Constraints types.Object `tfsdk:"constraints"`
	MachineID   types.String `tfsdk:"machine_id"`
	Machine     types.String `tfsdk:"machine"`
	Others      []otherModel `tfsdk:"others"`
}

type otherModel struct {
	MachineID types.String `tfsdk:"machine_id"`
	Machine   types.String `tfsdk:"machine"`
	Reasons   types.List   `tfsdk:"reasons"`
}

func newAllocationPreviewDataSource() datasource.DataSource {
	return &dataSource[previewModel]{
		name: "allocation_preview",
		schema: schema.Schema{
			MarkdownDescription: "Which machine a claim would get now, and why each other machine would not do. It claims nothing.",
			Attributes: map[string]schema.Attribute{
				"pool":        optionalText("Pool to take from. Default: `default`."),
				"constraints": schema.SingleNestedAttribute{Optional: true, MarkdownDescription: "What the machine must meet. Default: any machine that is ready.", Attributes: constraintArguments(false)},
				"machine_id":  computedText("Id of the machine that would be taken; null when none matches."),
				"machine":     computedText("Name of the machine that would be taken; null when none matches."),
				"others": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "Every other machine.",
					NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
						"machine_id": computedText("Id of the machine."), "machine": computedText("Name of the machine."),
						"reasons": computedLines("Why it does not match; empty when it does, but another one comes first."),
					}},
				},
			},
		},
		read: readPreview,
	}
}

func readPreview(ctx context.Context, c *connection, m *previewModel) (diag.Diagnostics, error) {
	asked := allocationModel{Constraints: m.Constraints}
	constraints, diags := asked.constraints(ctx)
	got, err := c.api.PreviewAllocation(ctx, api.PreviewAllocationRequest{
		Body: metal.AllocationSpec{Pool: orElse(m.Pool.ValueString(), "default"), Constraints: constraints.api()},
	})
	if err != nil {
		return diags, err
	}
	m.MachineID, m.Machine = types.StringNull(), types.StringNull()
	if got.Machine != nil {
		m.MachineID, m.Machine = types.StringValue(got.Machine.MachineID), types.StringValue(got.Machine.Machine)
	}
	m.Others = []otherModel{}
	for _, other := range got.Others {
		m.Others = append(m.Others, otherModel{types.StringValue(other.MachineID), types.StringValue(other.Machine), computedList(other.Reasons)})
	}
	return diags, nil
}

func newDeploymentDataSource() datasource.DataSource {
	either := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, Computed: true, MarkdownDescription: description + " Exactly one of `id` and `machine_id` is set."}
	}
	id := either("Identity of the deployment.")
	id.Validators = []validator.String{stringvalidator.ExactlyOneOf(path.MatchRoot("id"), path.MatchRoot("machine_id"))}
	return &dataSource[deploymentModel]{
		name: "deployment",
		schema: schema.Schema{
			MarkdownDescription: "What runs on one machine.",
			Attributes: map[string]schema.Attribute{
				"id":                  id,
				"machine_id":          either("Id of the machine."),
				"image":               computedText("Name of the image."),
				"hostname":            computedText("Host name of the system; null: the machine's name."),
				"ssh_keys":            computedNames("Who may log in."),
				"network":             told(networkAttribute()),
				"kernel_parameters":   computedText("Added to the kernel command line of the installed system."),
				"disk":                computedText("Name, serial number or WWN of the disk asked for; null: the smallest that fits."),
				"boot":                computedText("How the machine gets into the installed system: `reboot` or `kexec`."),
				"redeploy_on":         computedNames("Fields whose change redeploys at once."),
				"redeploy_trigger":    computedText("A change of it redeploys."),
				"redeploy_protection": computedBool("The server refuses every redeployment."),
				"state":               computedText("The machine's life-cycle state."),
				"digest":              computedText("SHA-256 of the image content that it is pinned to, in hex."),
				"storage_plan":        computedLines("What was made of the disks, in words; empty where nothing was declared of them."),
				"pending_changes":     computedNames("Fields that differ from what runs."),
				"ssh_host_keys":       computedLines("Public host keys that the system reported."),
				"addresses":           computedLines("IP addresses of the machine."),
				"fqdn":                computedText("The DNS name that answers for the machine."),
				"deployed_at":         computedText("When the system that runs was installed, as in RFC 3339."),
			},
		},
		read: readDeployment,
	}
}

func readDeployment(ctx context.Context, c *connection, m *deploymentModel) (diag.Diagnostics, error) {
	id := m.ID.ValueString()
	if id == "" {
		got, err := c.api.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: m.MachineID.ValueString()}})
		if err != nil {
			return nil, err
		}
		if id = got.DeploymentID; id == "" {
			return nil, metal.Errorf(metal.NotFound, "nothing is deployed on machine %s", got.Spec.Name)
		}
	}
	d, err := c.api.GetDeployment(ctx, api.GetDeploymentRequest{ByID: api.ByID{ID: id}})
	if err != nil {
		return nil, err
	}
	return m.set(ctx, d), nil
}
