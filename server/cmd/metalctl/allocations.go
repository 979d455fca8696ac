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

func (a *app) allocationsCommand() *cobra.Command {
	return noun("allocations", "Claims on machines", []string{"allocation", "claims"},
		a.allocationsList(), a.allocationsShow(), a.allocationsCreate(), a.allocationsPreview(), a.allocationsRelease())
}

func (a *app) allocationsList() *cobra.Command {
	return a.command(verb{
		use: "list", short: "List claims", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Allocation], error) {
				return c.ListAllocations(ctx, api.ListByIDsRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "machine", "pool", "addresses", "erase", "id"}, func(al metal.Allocation) table.Row {
				return table.Row{al.Name, al.Machine, al.Spec.Pool, words(al.Addresses), al.Spec.Release.Erase, al.ID}
			})
		},
	})
}

func (a *app) allocationsShow() *cobra.Command {
	return a.command(verb{
		use: "show ALLOCATION", short: "Show a claim", args: cobra.ExactArgs(1), complete: allocationNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			al, err := c.GetAllocation(ctx, api.ByID{ID: args[0]})
			if err != nil {
				return err
			}
			return a.printObject(al, field{"id", al.ID}, field{"name", al.Name}, field{"machine", al.Machine}, field{"machine id", al.MachineID},
				field{"pool", al.Spec.Pool}, field{"addresses", words(al.Addresses)}, field{"DNS name", al.FQDN},
				field{"erase", al.Spec.Release.Erase}, field{"created", when(al.CreatedAt)})
		},
	})
}

func (a *app) allocationsCreate() *cobra.Command {
	var ask claim
	cmd := a.command(verb{
		use: "create NAME", short: "Claim a machine", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			al, err := c.PutAllocation(ctx, api.PutAllocationRequest{ByName: api.ByName{Name: args[0]}, Body: ask.spec()})
			if err != nil {
				return err
			}
			return a.printDone(al, "%s has %s", al.Name, strings.TrimSpace(al.Machine+" "+words(al.Addresses)))
		},
	})
	ask.flags(cmd)
	return cmd
}

func (a *app) allocationsPreview() *cobra.Command {
	var ask claim
	var name string
	cmd := a.command(verb{
		use: "preview", short: "Say which machine a claim would get, and why not the others", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			preview, err := c.PreviewAllocation(ctx, api.PreviewAllocationRequest{Name: name, Body: ask.spec()})
			if err != nil {
				return err
			}
			if a.format == formatJSON {
				return a.printJSON(preview)
			}
			t := a.newTable()
			t.AppendHeader(table.Row{"machine", "taken", "why not"})
			if preview.Machine != nil {
				t.AppendRow(table.Row{preview.Machine.Machine, "yes", strings.Join(preview.Machine.Reasons, "; ")})
			}
			for _, other := range preview.Others {
				t.AppendRow(table.Row{other.Machine, "", strings.Join(other.Reasons, "; ")})
			}
			t.Render()
			return nil
		},
	})
	ask.flags(cmd)
	cmd.Flags().StringVar(&name, "name", "", "an existing claim, whose machine is asked about")
	return cmd
}

func (a *app) allocationsRelease() *cobra.Command {
	return a.long(a.command(verb{
		use: "release ALLOCATION", short: "Give the machine back; its disks are wiped as the claim says", args: cobra.ExactArgs(1), complete: allocationNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.DeleteAllocation(ctx, api.DeleteAllocationRequest{ByID: api.ByID{ID: args[0]}})
			if err != nil {
				return err
			}
			return a.finish(ctx, c, op.ID, args[0])
		},
	}))
}

// claim holds the flags of an allocation's spec.
type claim struct {
	pool, arch, bootMode, erase string
	memory, disk                int64 // GiB
	constraints                 metal.Constraints
}

func (s *claim) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.pool, "pool", "", "pool to take from")
	flags.StringVar(&s.erase, "erase", "", "how disks are wiped at release: none, quick, zero or secure")
	flags.StringVar(&s.arch, "arch", "", "amd64 or arm64")
	flags.StringVar(&s.bootMode, "boot-mode", "", "bios or uefi")
	flags.Int64Var(&s.memory, "min-memory", 0, "GiB of memory at least")
	flags.Int64Var(&s.disk, "min-disk", 0, "GiB of the largest disk at least")
	flags.IntVar(&s.constraints.MinCPUs, "min-cpus", 0, "logical processors at least")
	flags.IntVar(&s.constraints.MinDisks, "min-disks", 0, "disks at least")
	flags.IntVar(&s.constraints.MinNICs, "min-nics", 0, "network interfaces at least")
	flags.StringVar(&s.constraints.Machine, "machine", "", "the one machine wanted")
	flags.StringVar(&s.constraints.Zone, "zone", "", "failure domain")
	flags.StringSliceVar(&s.constraints.Tags, "tag", nil, "tag it must have; can be repeated")
	flags.StringSliceVar(&s.constraints.NotTags, "not-tag", nil, "tag it must not have; can be repeated")
	flags.StringSliceVar(&s.constraints.NotMachines, "not-machine", nil, "machine that is not wanted; can be repeated")
}

func (s *claim) spec() metal.AllocationSpec {
	constraints := s.constraints
	constraints.Arch, constraints.BootMode = metal.Arch(s.arch), metal.BootMode(s.bootMode)
	constraints.MinMemory, constraints.MinDisk = s.memory<<30, s.disk<<30
	return metal.AllocationSpec{Pool: s.pool, Constraints: constraints, Release: metal.ReleasePolicy{Erase: metal.Erase(s.erase)}}
}
