package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) subnetsCommand() *cobra.Command {
	list := a.command(verb{
		use: "list", short: "List subnets", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Subnet], error) {
				return c.ListSubnets(ctx, api.ListByNamesRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "cidr", "fabric", "vlan", "gateway", "dhcp", "assigned", "leased", "free"}, func(s metal.Subnet) table.Row {
				return table.Row{
					s.Name, s.Spec.CIDR, s.Spec.Fabric, vlan(s.Spec.VLAN), address(s.Spec.Gateway), yes(s.Spec.DHCP.Enabled),
					s.Use.Assigned, s.Use.Leased, s.Use.Free,
				}
			})
		},
	})
	show := a.command(verb{
		use: "show SUBNET", short: "Show a subnet", args: cobra.ExactArgs(1), complete: subnetNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			s, err := c.GetSubnet(ctx, api.ByName{Name: args[0]})
			if err != nil {
				return err
			}
			return a.printSubnet(s)
		},
	})
	return noun("subnets", "IP networks", []string{"subnet"}, list, show, a.subnetsSet(),
		a.deleteCommand("SUBNET", "Delete a subnet without machines", subnetNames(), (*client.Client).DeleteSubnet))
}

func (a *app) printSubnet(s metal.Subnet) error {
	fields := []field{
		{"name", s.Name},
		{"network", s.Spec.CIDR},
		{"fabric", s.Spec.Fabric},
		{"VLAN", vlan(s.Spec.VLAN)},
		{"gateway", address(s.Spec.Gateway)},
		{"DNS", s.Spec.DNS},
		{"NTP", s.Spec.NTP},
		{"domain", s.Spec.Domain},
		{"DHCP", yes(s.Spec.DHCP.Enabled)},
	}
	for _, r := range s.Spec.DHCP.Ranges {
		fields = append(fields, field{"dynamic", r.First.String() + " - " + r.Last.String()})
	}
	return a.printObject(s, append(fields,
		field{"lease time", s.Spec.DHCP.LeaseSeconds},
		field{"assigned", fmt.Sprint(s.Use.Assigned)},
		field{"leased", fmt.Sprint(s.Use.Leased)},
		field{"free", fmt.Sprint(s.Use.Free)},
	)...)
}

// vlan shows a VLAN id; nothing for an untagged network.
func vlan(id int) string {
	if id == 0 {
		return ""
	}
	return strconv.Itoa(id)
}

// address shows an address; nothing for none.
func address(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.String()
}

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
				return table.Row{l.Addr, l.MAC, l.Hostname, l.State, when(l.ExpiresAt), l.Subnet}
			})
		},
	})
	list.Flags().StringVar(&in.Subnet, "subnet", "", "only of this subnet")
	return noun("leases", "Addresses of other clients", []string{"lease"}, list)
}
