package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) deploymentsCommand() *cobra.Command {
	return noun("deployments", "What runs on allocated machines", []string{"deployment"},
		a.deploymentsList(), a.deploymentsShow(), a.deploymentsPlan(), a.deploymentsCreate(), a.deploymentsRedeploy(), a.deploymentsRecoveryKeys(), a.deploymentsDelete())
}

func (a *app) deploymentsList() *cobra.Command {
	return a.command(verb{
		use: "list", short: "List deployments", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Deployment], error) {
				return c.ListDeployments(ctx, api.ListByIDsRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"id", "machine", "image", "state", "addresses", "pending", "deployed"}, func(d metal.Deployment) table.Row {
				return table.Row{d.ID, d.MachineID, d.Spec.Image, d.State, words(d.Addresses), words(d.PendingChanges), when(d.DeployedAt)}
			})
		},
	})
}

func (a *app) deploymentsShow() *cobra.Command {
	return a.command(verb{
		use: "show DEPLOYMENT", short: "Show a deployment", args: cobra.ExactArgs(1), complete: deploymentIDs(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			d, err := c.GetDeployment(ctx, api.GetDeploymentRequest{ByID: api.ByID{ID: args[0]}})
			if err != nil {
				return err
			}
			fields := []field{
				{"id", d.ID},
				{"machine", d.MachineID},
				{"image", d.Spec.Image},
				{"digest", d.Digest},
				{"state", d.State},
				{"host name", d.Spec.Hostname},
				{"DNS name", d.FQDN},
				{"addresses", words(d.Addresses)},
				{"SSH keys", words(d.Spec.SSHKeys)},
				{"disk", d.Spec.Disk},
				{"protected", yes(d.Spec.Protected)},
				{"pending", words(d.PendingChanges)},
				{"operation", d.OperationID},
				{"deployed", when(d.DeployedAt)},
			}
			return a.printObject(d, append(fields, failureFields(d.Failure)...)...)
		},
	})
}

func (a *app) deploymentsCreate() *cobra.Command {
	var body api.DeploymentBody
	var userData string
	var storage storageFlags
	cmd := a.long(a.command(verb{
		use: "create MACHINE", short: "Deploy an image to an allocated machine", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if userData != "" {
				content, err := os.ReadFile(userData)
				if err != nil {
					return metal.Errorf(metal.Invalid, "read the user data: %w", err)
				}
				text := string(content)
				body.UserData = &text
			}
			if err := storage.into(&body); err != nil {
				return err
			}
			m, err := c.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: args[0]}})
			if err != nil {
				return err
			}
			d, err := c.CreateDeployment(ctx, api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: body}})
			if err != nil {
				return err
			}
			return a.finish(ctx, c, d.OperationID, m.Spec.Name)
		},
	}))
	flags := cmd.Flags()
	flags.StringVar(&body.Image, "image", "", "name of the image")
	flags.StringVar(&body.Hostname, "hostname", "", "host name; default: the machine's")
	flags.StringArrayVar(&body.SSHKeys, "ssh-key", nil, "name of a stored key, or a public key; can be repeated")
	flags.StringVar(&userData, "user-data", "", "file with cloud-init user data")
	flags.StringVar(&body.KernelParameters, "kernel-parameters", "", "added to the installed system's kernel command line")
	flags.StringVar(&body.Disk, "disk", "", "name, serial or WWN of the disk to overwrite; default: the smallest that fits")
	storage.add(cmd)
	flags.StringVar(&body.Boot, "boot", "", "how to get into the system: reboot, kexec, or memory to run a root archive without touching a disk")
	flags.StringVar(&body.Network.Mode, "network", "", "static or dhcp")
	flags.BoolVar(&body.Protected, "protected", false, "refuse every redeployment")
	if err := cmd.MarkFlagRequired("image"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// trigger is the field of a spec whose change asks for a redeployment and nothing else.
const trigger = "trigger"

func (a *app) deploymentsRedeploy() *cobra.Command {
	var image string
	var dryRun bool
	cmd := a.long(a.command(verb{
		use: "redeploy DEPLOYMENT", short: "Erase the disk and install again", args: cobra.ExactArgs(1), complete: deploymentIDs(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			id := api.ByID{ID: args[0]}
			d, err := c.GetDeployment(ctx, api.GetDeploymentRequest{ByID: id})
			if err != nil {
				return err
			}
			spec := d.Spec
			if image != "" {
				spec.Image = image
			}
			if len(spec.RedeployOn) > 0 && !slices.Contains(spec.RedeployOn, trigger) {
				return metal.Errorf(metal.Conflict, "deployment %s redeploys on %s only: add %s to its redeploy_on where it is declared", d.ID, words(spec.RedeployOn), trigger)
			}
			spec.Trigger = "metalctl " + time.Now().UTC().Format(time.RFC3339Nano)
			body := api.DeploymentBody{DeploymentSpec: spec}
			if dryRun {
				impact, err := c.PlanDeployment(ctx, api.PlanDeploymentRequest{ByID: id, Body: body})
				if err != nil {
					return err
				}
				return a.printObject(impact, impactFields(impact)...)
			}
			d, err = c.UpdateDeployment(ctx, api.UpdateDeploymentRequest{ByID: id, Precondition: api.Precondition{IfMatch: fmt.Sprintf(`"%d"`, d.Revision)}, Body: body})
			if err != nil {
				return err
			}
			return a.finish(ctx, c, d.OperationID, d.ID)
		},
	}))
	cmd.Flags().StringVar(&image, "image", "", "another image than before")
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would happen")
	return cmd
}

func (a *app) deploymentsDelete() *cobra.Command {
	return a.long(a.command(verb{
		use: "delete DEPLOYMENT", short: "Take the system off the machine, which stays allocated", args: cobra.ExactArgs(1), complete: deploymentIDs(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			op, err := c.DeleteDeployment(ctx, api.ByID{ID: args[0]})
			if err != nil {
				return err
			}
			return a.finish(ctx, c, op.ID, args[0])
		},
	}))
}
