package main

import (
	"context"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
)

func (a *app) tokensCommand() *cobra.Command {
	list := a.command(verb{
		use: "list", short: "List tokens", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := c.ListTokens(ctx)
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "created", "used"}, func(t api.Token) table.Row {
				return table.Row{t.Name, when(t.CreatedAt), when(t.UsedAt)}
			})
		},
	})
	create := a.command(verb{
		use: "create NAME", short: "Make a token, and print it; it is not told again", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			t, err := c.CreateToken(ctx, api.CreateTokenRequest{ByName: api.ByName{Name: args[0]}})
			if err != nil {
				return err
			}
			return a.printDone(t, "%s", t.Secret)
		},
	})
	remove := a.command(verb{
		use: "delete NAME", short: "Revoke a token", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteToken(ctx, api.ByName{Name: args[0]}); err != nil {
				return err
			}
			return a.printDone(struct{}{}, "token %s is revoked", args[0])
		},
	})
	return noun("tokens", "Who may call the server", []string{"token"}, list, create, remove)
}
