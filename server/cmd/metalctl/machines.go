package main

import (
	"context"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) machinesCommand() *cobra.Command {
	return noun("machines", "Physical servers", []string{"machine", "m"},
		a.machinesList(), a.machinesShow(), a.machinesAdd(), a.machinesInventory(), a.machinesForget(),
		a.machinesCommission(), a.machinesPower(), a.machinesRelease(),
		a.machinesLock("lock", "Make a machine refuse commands", true), a.machinesLock("unlock", "Let a machine take commands again", false),
		a.machinesAbort(), a.machinesMark(),
	)
}

func (a *app) machinesList() *cobra.Command {
	var filter api.ListMachinesRequest
	cmd := a.command(verb{
		use: "list", short: "List machines", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Machine], error) {
				filter.Page = page
				return c.ListMachines(ctx, filter)
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "state", "power", "pool", "address", "arch", "cpus", "memory", "disks", "id"}, func(m metal.Machine) table.Row {
				return table.Row{
					m.Spec.Name, m.State, m.Power, m.Spec.Pool, m.Address, m.Spec.Arch,
					m.Hardware.CPUs, size(m.Hardware.MemoryBytes), size(m.Hardware.DiskBytes), m.ID,
				}
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&filter.Pool, "pool", "", "only of this pool")
	flags.StringVar(&filter.State, "state", "", "only in this state")
	flags.StringVar(&filter.Tag, "tag", "", "only with this tag")
	flags.StringVar(&filter.MAC, "mac", "", "only with this MAC address")
	flags.StringVar(&filter.Serial, "serial", "", "only with this serial number")
	return cmd
}

func (a *app) machinesShow() *cobra.Command {
	return a.command(verb{
		use: "show MACHINE", short: "Show a machine", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			m, err := c.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: args[0]}})
			if err != nil {
				return err
			}
			return a.printMachine(m)
		},
	})
}

func (a *app) printMachine(m metal.Machine) error {
	fields := []field{
		{"id", m.ID},
		{"name", m.Spec.Name},
		{"state", m.State},
		{"power", m.Power},
		{"locked", yes(m.Locked)},
		{"enlisted itself", yes(!m.Declared)},
		{"pool", m.Spec.Pool},
		{"zone", m.Spec.Zone},
		{"tags", words(m.Spec.Tags)},
		{"address", m.Address},
		{"DNS name", m.FQDN},
		{"MACs", words(m.Spec.MACs)},
		{"hardware", strings.TrimSpace(m.Hardware.Vendor + " " + m.Hardware.Product)},
		{"serial", m.Hardware.Serial},
		{"arch", m.Spec.Arch},
		{"firmware", m.Hardware.BootMode},
		{"CPUs", m.Hardware.CPUs},
		{"memory", size(m.Hardware.MemoryBytes)},
		{"disks", m.Hardware.Disks},
		{"disk space", size(m.Hardware.DiskBytes)},
	}
	if m.Spec.BMC != nil {
		fields = append(fields, field{"BMC", m.Spec.BMC.Type + " " + m.Spec.BMC.Address})
	}
	fields = append(fields,
		field{"allocation", m.AllocationID},
		field{"deployment", m.DeploymentID},
		field{"operation", m.OperationID},
		field{"notes", m.Spec.Notes},
		field{"changed", when(m.ChangedAt)},
	)
	return a.printObject(m, append(fields, failureFields(m.Failure)...)...)
}

// failureFields says why something failed; nothing for nil.
func failureFields(f *metal.Failure) []field {
	if f == nil {
		return nil
	}
	return []field{{"failed at", f.Step}, {"because", f.Message}, {"evidence", f.Detail}}
}

func (a *app) machinesInventory() *cobra.Command {
	return a.command(verb{
		use: "inventory MACHINE", short: "Show a machine's hardware", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			inv, err := c.GetInventory(ctx, api.ByID{ID: args[0]})
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(inv)
			}
			return a.printInventory(inv)
		},
	})
}

// printInventory shows what people look for; the JSON document has the rest.
func (a *app) printInventory(inv metal.Inventory) error {
	t := a.newTable()
	t.AppendRow(table.Row{"system", inv.SMBIOS.Vendor + " " + inv.SMBIOS.Product, inv.SMBIOS.Serial})
	t.AppendRow(table.Row{"firmware", inv.SMBIOS.BIOSVendor + " " + inv.SMBIOS.BIOSVersion, inv.BootMode})
	t.AppendRow(table.Row{"cpu", inv.CPU.Model, inv.CPU.Threads})
	t.AppendRow(table.Row{"memory", "", size(inv.Memory.Bytes)})
	for _, d := range inv.Disks {
		t.AppendRow(table.Row{"disk " + d.Name, d.Model + " " + d.Serial, size(d.Bytes), d.Bus})
	}
	for _, n := range inv.NICs {
		link := "no link"
		if n.Carrier {
			link = "link"
		}
		row := table.Row{"nic " + n.Name, n.MAC, link, n.Driver}
		if n.LLDP != nil {
			row = append(row, n.LLDP.System+" "+n.LLDP.Port)
		}
		t.AppendRow(row)
	}
	t.Render()
	return nil
}

func (a *app) machinesForget() *cobra.Command {
	return a.command(verb{
		use: "forget MACHINE", short: "Forget a machine's record; nothing is erased", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteMachine(ctx, api.DeleteMachineRequest{ByID: api.ByID{ID: args[0]}}); err != nil {
				return err
			}
			return a.printDone(struct{}{}, "%s is forgotten", args[0])
		},
	})
}
