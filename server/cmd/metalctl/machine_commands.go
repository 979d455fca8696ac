package main

import (
	"context"
	"crypto/rand"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// command returns a request that is the same when the client repeats it, and another at the next call of metalctl.
func command(machine string) api.CommandRequest {
	return api.CommandRequest{ByID: api.ByID{ID: machine}, Key: rand.Text()}
}

func (a *app) machinesCommission() *cobra.Command {
	return a.long(a.command(verb{
		use: "commission MACHINE", short: "Inspect a machine and make it ready", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.CommissionMachine(ctx, command(args[0]))
			if err != nil {
				return err
			}
			return a.finish(ctx, c, op.ID, args[0])
		},
	}))
}

func (a *app) machinesPower() *cobra.Command {
	return a.long(a.command(verb{
		use: "power MACHINE on|off|cycle", short: "Switch a machine on or off", args: cobra.ExactArgs(2), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.PowerMachine(ctx, api.PowerRequest{CommandRequest: command(args[0]), Body: api.PowerBody{Action: args[1]}})
			if err != nil {
				return err
			}
			return a.finish(ctx, c, op.ID, args[0])
		},
	}))
}

func (a *app) machinesRelease() *cobra.Command {
	var erase string
	cmd := a.long(a.command(verb{
		use: "release MACHINE", short: "Wipe a machine and give it back to its pool", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.ReleaseMachine(ctx, api.ReleaseRequest{CommandRequest: command(args[0]), Body: metal.ReleasePolicy{Erase: metal.Erase(erase)}})
			if err != nil {
				return err
			}
			return a.finish(ctx, c, op.ID, args[0])
		},
	}))
	cmd.Flags().StringVar(&erase, "erase", "", "none, quick, zero or secure")
	return cmd
}

func (a *app) machinesLock(use, short string, locked bool) *cobra.Command {
	return a.command(verb{
		use: use + " MACHINE", short: short, args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			m, err := c.LockMachine(ctx, api.LockRequest{ByID: api.ByID{ID: args[0]}, Body: api.LockBody{Locked: locked}})
			if err != nil {
				return err
			}
			return a.printDone(m, "%s is %sed", m.Spec.Name, use)
		},
	})
}

func (a *app) machinesAbort() *cobra.Command {
	return a.command(verb{
		use: "abort MACHINE", short: "Stop the operation that works on a machine", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			m, err := c.AbortMachine(ctx, api.ByID{ID: args[0]})
			if err != nil {
				return err
			}
			return a.printDone(m, "%s is %s", m.Spec.Name, m.State)
		},
	})
}

func (a *app) machinesMark() *cobra.Command {
	var reason string
	cmd := a.command(verb{
		use: "mark MACHINE break|fix|retire", short: "Mark a machine broken, fixed or retired", args: cobra.ExactArgs(2), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			m, err := c.MarkMachine(ctx, api.MarkRequest{ByID: api.ByID{ID: args[0]}, Body: api.MarkBody{Command: metal.Command(args[1]), Reason: reason}})
			if err != nil {
				return err
			}
			return a.printDone(m, "%s is %s", m.Spec.Name, m.State)
		},
	})
	cmd.Flags().StringVar(&reason, "reason", "", "why")
	return cmd
}
