package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) leasesCommand() *cobra.Command {
	var in api.ListLeasesRequest
	list := a.command(verb{
		use: "list", short: "List the leases of clients that nobody declared", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Lease], error) {
				in.Page = page
				return c.ListLeases(ctx, in)
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"address", "mac", "hostname", "state", "expires", "subnet"}, func(l metal.Lease) table.Row {
				return table.Row{leased(l), l.MAC, l.Hostname, l.State, when(l.ExpiresAt), l.Subnet}
			})
		},
	})
	list.Flags().StringVar(&in.Subnet, "subnet", "", "only of this subnet")
	remove := a.command(verb{
		use: "delete SUBNET ADDRESS", short: "Take a lease from its client, which learns of it when it renews", args: cobra.ExactArgs(2), complete: subnetNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteLease(ctx, api.DeleteLeaseRequest{ByName: api.ByName{Name: args[0]}, Address: args[1]}); err != nil {
				return err
			}
			return a.printDone(struct{}{}, "the lease of %s is taken", args[1])
		},
	})
	return noun("leases", "Addresses of other clients", []string{"lease"}, list, remove, a.leasesImport())
}

// leased shows what a lease is of.
func leased(l metal.Lease) string {
	if l.Bits > 0 {
		return fmt.Sprintf("%s/%d", l.Addr, l.Bits)
	}
	return l.Addr.String()
}

// mostFile is what the API takes for a lease file.
const mostFile = 64 << 20

func (a *app) leasesImport() *cobra.Command {
	var body api.ImportLeasesBody
	cmd := a.command(verb{
		use: "import FILE", short: "Take over the leases of another DHCP server, from its file or from standard input (-)", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			text, err := a.readFile(args[0], mostFile)
			if err != nil {
				return err
			}
			body.Text = text
			got, err := c.ImportLeases(ctx, api.ImportLeasesRequest{Body: body})
			if err != nil {
				return err
			}
			for _, why := range got.Refused {
				if a.format == formatTable {
					fmt.Fprintln(a.errOut, why)
				}
			}
			done := "taken over"
			if body.DryRun {
				done = "would be taken over"
			}
			return a.printDone(got, "%d leases %s, %d had ended, %d refused", got.Taken, done, got.Expired, len(got.Refused))
		},
	})
	cmd.Flags().StringVar(&body.Format, "format", "isc", "what wrote it: isc (dhcpd.leases) or kea (memfile CSV)")
	cmd.Flags().BoolVar(&body.DryRun, "dry-run", false, "say what would be taken over, and do nothing")
	return cmd
}

// readFile reads a file, or standard input, that must not be longer than most bytes.
func (a *app) readFile(file string, most int64) (string, error) {
	in := a.in
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", metal.Errorf(metal.Invalid, "read %s: %w", file, err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	if err != nil {
		return "", metal.Errorf(metal.Invalid, "read %s: %w", file, err)
	}
	if int64(len(text)) > most {
		return "", metal.Errorf(metal.Invalid, "%s is longer than %s: split it", file, size(most))
	}
	return string(text), nil
}
