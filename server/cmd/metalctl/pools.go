package main

import (
	"context"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) poolsCommand() *cobra.Command {
	list := a.command(verb{
		use: "list", short: "List pools", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Pool], error) {
				return c.ListPools(ctx, api.ListByNamesRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "machines", "ready", "description"}, func(p metal.Pool) table.Row {
				return table.Row{p.Name, p.Machines, p.Ready, p.Description}
			})
		},
	})
	show := a.command(verb{
		use: "show POOL", short: "Show a pool", args: cobra.ExactArgs(1), complete: poolNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.GetPool(ctx, api.ByName{Name: args[0]})
			if err != nil {
				return err
			}
			return a.printObject(p, field{"name", p.Name}, field{"description", p.Description},
				field{"machines", strconv.Itoa(p.Machines)}, field{"ready", strconv.Itoa(p.Ready)}, field{"created", when(p.CreatedAt)})
		},
	})
	return noun("pools", "Groups of machines", []string{"pool"}, list, show, a.poolsSet(),
		a.deleteCommand("POOL", "Delete an empty pool", poolNames(), (*client.Client).DeletePool))
}

func (a *app) poolsSet() *cobra.Command {
	var body api.PoolBody
	cmd := a.command(verb{
		use: "set POOL", short: "Make or change a pool", args: cobra.ExactArgs(1), complete: poolNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			p, err := c.PutPool(ctx, api.PutPoolRequest{ByName: api.ByName{Name: args[0]}, Body: body})
			if err != nil {
				return err
			}
			return a.printDone(p, "pool %s is set", p.Name)
		},
	})
	cmd.Flags().StringVar(&body.Description, "description", "", "what it is for")
	return cmd
}
