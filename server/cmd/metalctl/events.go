package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
)

func (a *app) eventsCommand() *cobra.Command {
	var follow bool
	var in api.ListEventsRequest
	cmd := a.command(verb{
		use: "events", short: "Print what changed", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			for {
				events, err := c.ListEvents(ctx, in)
				if err != nil {
					return err
				}
				for _, e := range events.Items {
					if err := a.printDone(e, "%d  %s  %s %s: %s", e.Seq, when(e.At), e.Kind, e.Subject, e.Text); err != nil {
						return err
					}
					in.After = e.Seq
				}
				switch {
				case len(events.Items) > 0:
				case !follow:
					return nil
				default:
					in.Wait = logWait
				}
			}
		},
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on as things change")
	cmd.Flags().Int64Var(&in.After, "after", 0, "number of the event to continue behind")
	return cmd
}
