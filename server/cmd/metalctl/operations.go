package main

import (
	"context"
	"fmt"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// logWait is how long one poll for lines or events is held open.
const logWait = "50s"

func byOperation(id string) api.GetOperationRequest {
	return api.GetOperationRequest{ByID: api.ByID{ID: id}}
}

func (a *app) operationsCommand() *cobra.Command {
	return noun("operations", "Long pieces of work", []string{"operation", "op"},
		a.operationsList(), a.operationsShow(), a.operationsWatch(), a.operationsLog())
}

func (a *app) operationsList() *cobra.Command {
	var filter api.ListOperationsRequest
	cmd := a.command(verb{
		use: "list", short: "List operations, newest first", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := c.ListOperations(ctx, filter)
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"id", "kind", "on", "status", "step", "progress", "started", "ended"}, func(op metal.Operation) table.Row {
				return table.Row{
					op.ID, op.Kind, op.MachineID + op.Image, op.Status, op.Step,
					fmt.Sprintf("%.0f %%", op.Progress*100), when(op.StartedAt), when(op.EndedAt),
				}
			})
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&filter.Machine, "machine", "", "only on this machine")
	flags.StringVar(&filter.Status, "status", "", "only open, done, failed or aborted ones")
	flags.IntVar(&filter.Limit, "limit", 50, "at most this many")
	return cmd
}

func (a *app) operationsShow() *cobra.Command {
	return a.command(verb{
		use: "show OPERATION", short: "Show an operation", args: cobra.ExactArgs(1), complete: openOperations(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.GetOperation(ctx, byOperation(args[0]))
			if err != nil {
				return err
			}
			fields := []field{
				{"id", op.ID},
				{"kind", op.Kind},
				{"machine", op.MachineID},
				{"image", op.Image},
				{"status", op.Status},
				{"step", op.Step},
				{"progress", fmt.Sprintf("%.0f %%", op.Progress*100)},
				{"attempts", op.Attempts},
				{"started", when(op.StartedAt)},
				{"deadline", when(op.Deadline)},
				{"ended", when(op.EndedAt)},
			}
			return a.printObject(op, append(fields, failureFields(op.Failure)...)...)
		},
	})
}

func (a *app) operationsWatch() *cobra.Command {
	return a.long(a.command(verb{
		use: "watch OPERATION", short: "Wait for an operation, and show how far it is", args: cobra.ExactArgs(1), complete: openOperations(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			return a.finish(ctx, c, args[0], args[0])
		},
	}))
}

func (a *app) operationsLog() *cobra.Command {
	var follow bool
	cmd := a.command(verb{
		use: "log OPERATION", short: "Print an operation's log", args: cobra.ExactArgs(1), complete: openOperations(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			return a.printLog(ctx, c, args[0], follow)
		},
	})
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the operation ends")
	return cmd
}

// printLog prints an operation's log line by line; with follow until the operation ends.
func (a *app) printLog(ctx context.Context, c *client.Client, id string, follow bool) error {
	in := api.GetLogRequest{ByID: api.ByID{ID: id}}
	for {
		log, err := c.GetOperationLog(ctx, in)
		if err != nil {
			return err
		}
		for _, line := range log.Lines {
			if err := a.printDone(line, "%s  %s", when(line.At), line.Text); err != nil {
				return err
			}
			in.After = line.Number
		}
		// A log comes in parts: the end is where no line is left.
		switch {
		case len(log.Lines) > 0:
		case log.Ended || !follow:
			return nil
		default:
			in.Wait = logWait
		}
	}
}

func (a *app) consoleCommand() *cobra.Command {
	var follow bool
	log := a.command(verb{
		use: "log MACHINE", short: "Print the log of a machine's latest operation", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			m, err := c.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: args[0]}})
			if err != nil {
				return err
			}
			if m.OperationID == "" {
				return metal.Errorf(metal.NotFound, "no operation ever worked on %s, so that there is no log", args[0])
			}
			return a.printLog(ctx, c, m.OperationID, follow)
		},
	})
	log.Flags().BoolVarP(&follow, "follow", "f", false, "go on until the operation ends")
	return noun("console", "What machines say", nil, log)
}
