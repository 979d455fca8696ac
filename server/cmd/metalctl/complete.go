package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// completionLimit is how long a shell is kept waiting for names.
const completionLimit = 3 * time.Second

// completion returns the names that a first argument can have.
type completion func(ctx context.Context, c *client.Client) ([]string, error)

// completer asks the server for names. A shell gets none, and no error, when the server cannot be asked.
func (a *app) completer(names completion) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if names == nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		c, err := a.connect()
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionLimit)
		defer cancel()
		found, err := names(ctx, c)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf makes a completion of a list.
func namesOf[T any](list func(c *client.Client, ctx context.Context, page api.Page) (api.List[T], error), name func(T) string) completion {
	return func(ctx context.Context, c *client.Client) ([]string, error) {
		all, err := everything(func(page api.Page) (api.List[T], error) { return list(c, ctx, page) })
		names := make([]string, len(all.Items))
		for i, item := range all.Items {
			names[i] = name(item)
		}
		return names, err
	}
}

func machineNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Machine], error) {
		return c.ListMachines(ctx, api.ListMachinesRequest{Page: page})
	}, func(m metal.Machine) string { return m.Spec.Name })
}

func imageNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Image], error) {
		return c.ListImages(ctx, api.ListByNamesRequest{Page: page})
	}, func(i metal.Image) string { return i.Name })
}

func subnetNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Subnet], error) {
		return c.ListSubnets(ctx, api.ListByNamesRequest{Page: page})
	}, func(s metal.Subnet) string { return s.Name })
}

func poolNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Pool], error) {
		return c.ListPools(ctx, api.ListByNamesRequest{Page: page})
	}, func(p metal.Pool) string { return p.Name })
}

func keyNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.SSHKey], error) {
		return c.ListSSHKeys(ctx, api.ListByNamesRequest{Page: page})
	}, func(k metal.SSHKey) string { return k.Name })
}

func allocationNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Allocation], error) {
		return c.ListAllocations(ctx, api.ListByIDsRequest{Page: page})
	}, func(al metal.Allocation) string { return al.Name })
}

func deploymentIDs() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Deployment], error) {
		return c.ListDeployments(ctx, api.ListByIDsRequest{Page: page})
	}, func(d metal.Deployment) string { return d.ID })
}

// openOperations offers what is worth watching.
func openOperations() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Operation], error) {
		return c.ListOperations(ctx, api.ListOperationsRequest{Page: page, Status: string(metal.OpOpen)})
	}, func(op metal.Operation) string { return op.ID })
}
