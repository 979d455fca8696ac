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

func machineAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"id":                computedText("Stable identity of the machine."),
		"name":              computedText("Host name."),
		"macs":              schema.ListAttribute{Computed: true, ElementType: textType{spelling: macSpelling}, MarkdownDescription: "MAC addresses, that of the boot NIC first."},
		"arch":              computedText("Processor architecture: `amd64` or `arm64`."),
		"pool":              computedText("Pool that the machine belongs to."),
		"zone":              computedText("Failure domain."),
		"tags":              schema.SetAttribute{Computed: true, ElementType: types.StringType, MarkdownDescription: "Tags set by hand."},
		"notes":             computedText("Free text for people."),
		"kernel_parameters": computedText("Added to the kernel command line of the RAM environment."),
		"state":             computedText("Life-cycle state, as in `ready`."),
		"address":           computedText("The IP address that is the machine's own on the subnet it boots from."),
		"fqdn":              computedText("The DNS name that answers for the machine."),
		"hardware": schema.SingleNestedAttribute{
			Computed: true, MarkdownDescription: "The few stable facts of the last inventory; null before the first.",
			Attributes: map[string]schema.Attribute{
				"vendor": computedText("Who made it."), "product": computedText("Product name."),
				"serial": computedText("Serial number of the system."), "uuid": computedText("SMBIOS system UUID."),
				"arch": computedText("Processor architecture."), "boot_mode": computedText("Kind of firmware: `bios` or `uefi`."),
				"cpus": computedNumber("Logical processors."), "memory_bytes": computedNumber("RAM, in bytes."),
				"disks": computedNumber("Number of disks that can be written to."), "disk_bytes": computedNumber("Size of all disks together, in bytes."),
				"nics": computedNumber("Number of network interfaces."),
			},
		},
	}
}

type machineDataModel struct {
	machineModel
	MAC    textValue    `tfsdk:"mac"`
	Serial types.String `tfsdk:"serial"`
	UUID   types.String `tfsdk:"uuid"`
}

func newMachineDataSource() datasource.DataSource {
	key := func(description string) schema.StringAttribute {
		return schema.StringAttribute{Optional: true, MarkdownDescription: description + " Exactly one of `id`, `name`, `mac`, `serial` and `uuid` is set."}
	}
	id, mac := key("Identity of the machine wanted."), key("MAC address of one of its NICs.")
	id.Computed, mac.CustomType = true, textType{spelling: macSpelling}
	id.Validators = []validator.String{stringvalidator.ExactlyOneOf(
		path.MatchRoot("id"), path.MatchRoot("name"), path.MatchRoot("mac"), path.MatchRoot("serial"), path.MatchRoot("uuid"))}
	name := key("Host name of the machine wanted.")
	name.Computed = true
	return &dataSource[machineDataModel]{
		name: "machine",
		schema: schema.Schema{
			MarkdownDescription: "One machine, looked up by something that only it has. Machines that enlisted themselves are found as well.",
			Attributes: with(machineAttributes(), map[string]schema.Attribute{
				"id": id, "name": name, "mac": mac,
				"serial": key("Serial number of the system."), "uuid": key("SMBIOS system UUID."),
			}),
		},
		read: func(ctx context.Context, c *connection, m *machineDataModel) (diag.Diagnostics, error) {
			got, err := c.find(ctx, m.key())
			if err == nil {
				m.set(got)
			}
			return nil, err
		},
	}
}

// key is the machine wanted in the form of an import id.
func (m *machineDataModel) key() string {
	for prefix, value := range map[string]string{
		"name:": m.Name.ValueString(), "mac:": m.MAC.ValueString(), "serial:": m.Serial.ValueString(), "uuid:": m.UUID.ValueString(),
	} {
		if value != "" {
			return prefix + value
		}
	}
	return m.ID.ValueString()
}

type machinesModel struct {
	Pool     types.String   `tfsdk:"pool"`
	State    types.String   `tfsdk:"state"`
	Tag      types.String   `tfsdk:"tag"`
	Machines []machineModel `tfsdk:"machines"`
}

func newMachinesDataSource() datasource.DataSource {
	return &dataSource[machinesModel]{
		name: "machines",
		schema: schema.Schema{
			MarkdownDescription: "All machines that meet every given filter; `state = \"new\"` finds those that enlisted themselves and wait to be adopted.",
			Attributes: map[string]schema.Attribute{
				"pool":  optionalText("Only machines of this pool. Default: all."),
				"state": optionalText("Only machines in this life-cycle state, as in `ready`. Default: all."),
				"tag":   optionalText("Only machines with this tag. Default: all."),
				"machines": schema.ListNestedAttribute{
					Computed: true, MarkdownDescription: "The machines, in the order of their ids.",
					NestedObject: schema.NestedAttributeObject{Attributes: machineAttributes()},
				},
			},
		},
		read: func(ctx context.Context, c *connection, m *machinesModel) (diag.Diagnostics, error) {
			found, err := all(func(after string) ([]metal.Machine, string, error) {
				got, err := c.api.ListMachines(ctx, api.ListMachinesRequest{
					Page: api.Page{After: after}, Pool: m.Pool.ValueString(), State: m.State.ValueString(), Tag: m.Tag.ValueString(),
				})
				return got.Items, got.Next, err
			})
			m.Machines = []machineModel{}
			for _, got := range found {
				var row machineModel
				row.set(got)
				m.Machines = append(m.Machines, row)
			}
			return nil, err
		},
	}
}
