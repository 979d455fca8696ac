package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
)

// deleteCommand makes the command that deletes a named thing.
func (a *app) deleteCommand(what, short string, names completion, remove func(*client.Client, context.Context, api.DeleteByNameRequest) error) *cobra.Command {
	return a.command(verb{
		use: "delete " + what, short: short, args: cobra.ExactArgs(1), complete: names,
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := remove(c, ctx, api.DeleteByNameRequest{ByName: api.ByName{Name: args[0]}}); err != nil {
				return err
			}
			return a.printDone(struct{}{}, "%s is deleted", args[0])
		},
	})
}
