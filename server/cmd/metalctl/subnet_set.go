package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// subnetsSet changes only what flags name, and only if nobody else changed the subnet in between.
func (a *app) subnetsSet() *cobra.Command {
	var cmd *cobra.Command
	cmd = a.command(verb{
		use: "set SUBNET", short: "Make a subnet, or change what the flags name", args: cobra.ExactArgs(1), complete: subnetNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			in := api.PutSubnetRequest{ByName: api.ByName{Name: args[0]}}
			old, err := c.GetSubnet(ctx, in.ByName)
			switch {
			case err == nil:
				in.Body = old.Spec
				in.IfMatch = fmt.Sprintf(`"%d"`, old.Revision)
			case metal.CodeOf(err) != metal.NotFound:
				return err
			}
			if err := changeSubnet(&in.Body, cmd); err != nil {
				return err
			}
			s, err := c.PutSubnet(ctx, in)
			if err != nil {
				return err
			}
			return a.printDone(s, "subnet %s is set", s.Name)
		},
	})
	flags := cmd.Flags()
	flags.String("cidr", "", "network, as in 10.0.0.0/24")
	flags.String("fabric", "", "layer-2 fabric")
	flags.Int("vlan", 0, "VLAN id; 0 is untagged")
	flags.String("gateway", "", "default router handed to clients; empty: none")
	flags.StringSlice("dns", nil, "name server handed to clients; can be repeated")
	flags.StringSlice("ntp", nil, "time server handed to clients; can be repeated")
	flags.String("domain", "", "domain of the machines' names")
	flags.Bool("dhcp", false, "serve DHCP")
	flags.StringSlice("range", nil, "dynamic range, as in 10.0.0.100-10.0.0.200; can be repeated")
	flags.Int("lease-seconds", 0, "lease time of clients that nobody declared")
	return cmd
}

// changeSubnet writes the flags that were given into spec.
func changeSubnet(spec *metal.SubnetSpec, cmd *cobra.Command) error {
	for _, name := range []string{"cidr", "fabric", "vlan", "gateway", "dns", "ntp", "domain", "dhcp", "range", "lease-seconds"} {
		if !cmd.Flags().Changed(name) {
			continue
		}
		if err := changeSubnetField(spec, cmd, name); err != nil {
			return metal.Errorf(metal.Invalid, "--%s: %v", name, err)
		}
	}
	return nil
}

func changeSubnetField(spec *metal.SubnetSpec, cmd *cobra.Command, name string) (err error) {
	flags := cmd.Flags()
	text := flags.Lookup(name).Value.String()
	switch name {
	case "cidr":
		spec.CIDR, err = netip.ParsePrefix(text)
	case "fabric":
		spec.Fabric = text
	case "vlan":
		spec.VLAN, err = flags.GetInt(name)
	case "gateway":
		spec.Gateway = netip.Addr{}
		if text != "" {
			spec.Gateway, err = netip.ParseAddr(text)
		}
	case "dns":
		spec.DNS, err = addresses(cmd, name)
	case "ntp":
		spec.NTP, err = addresses(cmd, name)
	case "domain":
		spec.Domain = text
	case "dhcp":
		spec.DHCP.Enabled, err = flags.GetBool(name)
	case "range":
		spec.DHCP.Ranges, err = ranges(cmd, name)
	case "lease-seconds":
		spec.DHCP.LeaseSeconds, err = flags.GetInt(name)
	}
	return err
}

func addresses(cmd *cobra.Command, name string) ([]netip.Addr, error) {
	texts, err := cmd.Flags().GetStringSlice(name)
	if err != nil {
		return nil, err
	}
	var list []netip.Addr
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			return nil, err
		}
		list = append(list, addr)
	}
	return list, nil
}

func ranges(cmd *cobra.Command, name string) ([]metal.AddrRange, error) {
	texts, err := cmd.Flags().GetStringSlice(name)
	if err != nil {
		return nil, err
	}
	var list []metal.AddrRange
	for _, text := range texts {
		first, last, ok := strings.Cut(text, "-")
		if !ok {
			return nil, fmt.Errorf("%q is not a range: write it as in 10.0.0.100-10.0.0.200", text)
		}
		var r metal.AddrRange
		if r.First, err = netip.ParseAddr(strings.TrimSpace(first)); err != nil {
			return nil, err
		}
		if r.Last, err = netip.ParseAddr(strings.TrimSpace(last)); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}
