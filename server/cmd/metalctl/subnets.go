package main

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) subnetsCommand() *cobra.Command {
	t := thing[metal.Subnet]{
		noun: "subnets", one: "subnet", about: "IP networks",
		list: (*client.Client).ListSubnets, get: (*client.Client).GetSubnet, remove: (*client.Client).DeleteSubnet,
		name:   func(s metal.Subnet) string { return s.Name },
		header: table.Row{"name", "cidr", "fabric", "vlan", "gateway", "dhcp", "assigned", "dynamic", "leased", "free"},
		row: func(s metal.Subnet) table.Row {
			return table.Row{
				s.Name, s.Spec.CIDR, s.Spec.Fabric, vlan(s.Spec.VLAN), address(s.Spec.Gateway), served(s.Spec.DHCP.Mode),
				s.Use.Assigned, s.Use.Dynamic, s.Use.Leased, s.Use.Free,
			}
		},
		fields: subnetFields,
	}
	set := setCommand(a, t, spec[metal.Subnet, metal.SubnetSpec]{
		of: func(s metal.Subnet) (metal.SubnetSpec, int64) { return s.Spec, s.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.SubnetSpec) (metal.Subnet, error) {
			return c.PutSubnet(ctx, api.PutSubnetRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, subnetFlags)
	return t.command(a, set, a.addressesCommand(t.names()))
}

func subnetFlags(e *edits[metal.SubnetSpec]) {
	type S = metal.SubnetSpec
	edit(e, "cidr", "network, as in 10.0.0.0/24", netip.ParsePrefix, func(s *S) *netip.Prefix { return &s.CIDR })
	edit(e, "fabric", "layer-2 fabric", asText, func(s *S) *string { return &s.Fabric })
	edit(e, "vlan", "VLAN id; 0 is untagged", number, func(s *S) *int { return &s.VLAN })
	edit(e, "gateway", "default router handed to clients; empty: none", anAddress, func(s *S) *netip.Addr { return &s.Gateway })
	editList(e, "dns", "name server handed to clients", netip.ParseAddr, func(s *S) *[]netip.Addr { return &s.DNS })
	editList(e, "ntp", "time server handed to clients", netip.ParseAddr, func(s *S) *[]netip.Addr { return &s.NTP })
	edit(e, "domain", "domain of the machines' names", asText, func(s *S) *string { return &s.Domain })
	editList(e, "search", "domain that clients try for short names", asText, func(s *S) *[]string { return &s.Search })
	edit(e, "dhcp", "how DHCP is served: authoritative, proxy or off", oneOf(metal.DHCPAuthoritative, metal.DHCPProxy, metal.DHCPOff),
		func(s *S) *metal.DHCPMode { return &s.DHCP.Mode })
	editList(e, "range", "dynamic range, as in 10.0.0.100-10.0.0.200", aRange, func(s *S) *[]metal.AddrRange { return &s.DHCP.Ranges })
	edit(e, "lease-seconds", "lease time of clients that nobody declared", number, func(s *S) *int { return &s.DHCP.LeaseSeconds })
	edit(e, "delegate", "prefixes that routers among the clients get, as in 2001:db8:100::/40,56; empty: none", aPool, func(s *S) **metal.PrefixPool { return &s.DHCP.Delegation })
	editOptions(e, func(s *S) *metal.DHCPOptions { return &s.DHCP.Options })
}

func subnetFields(s metal.Subnet) []field {
	fields := []field{
		{"name", s.Name},
		{"network", s.Spec.CIDR},
		{"fabric", s.Spec.Fabric},
		{"VLAN", vlan(s.Spec.VLAN)},
		{"gateway", address(s.Spec.Gateway)},
		{"DNS", s.Spec.DNS},
		{"NTP", s.Spec.NTP},
		{"domain", s.Spec.Domain},
		{"search", words(s.Spec.Search)},
		{"DHCP", served(s.Spec.DHCP.Mode)},
	}
	for _, r := range s.Spec.DHCP.Ranges {
		fields = append(fields, field{"dynamic", r.First.String() + " - " + r.Last.String()})
	}
	if p := s.Spec.DHCP.Delegation; p != nil {
		fields = append(fields, field{"delegated", fmt.Sprintf("/%d of %s", p.Length, p.CIDR)})
	}
	fields = append(fields, optionFields(s.Spec.DHCP.Options)...)
	return append(fields,
		field{"lease time", s.Spec.DHCP.LeaseSeconds},
		field{"addresses", fmt.Sprint(s.Use.Total)},
		field{"assigned", fmt.Sprint(s.Use.Assigned)},
		field{"in ranges", fmt.Sprint(s.Use.Dynamic)},
		field{"leased", fmt.Sprint(s.Use.Leased)},
		field{"reserved", fmt.Sprint(s.Use.Reserved)},
		field{"free", fmt.Sprint(s.Use.Free)},
	)
}

// served shows how DHCP is served; nothing where it is not.
func served(m metal.DHCPMode) string {
	if m == metal.DHCPOff {
		return ""
	}
	return string(m)
}

// aPool parses a network to delegate prefixes of, and their length; empty text is none.
func aPool(s string) (*metal.PrefixPool, error) {
	if s == "" {
		return nil, nil
	}
	var p metal.PrefixPool
	network, length, ok := strings.Cut(s, ",")
	if !ok {
		return nil, fmt.Errorf("%q has no length: write it as in 2001:db8:100::/40,56", s)
	}
	var err error
	if p.CIDR, err = netip.ParsePrefix(network); err != nil {
		return nil, err
	}
	p.Length, err = number(length)
	return &p, err
}

func (a *app) addressesCommand(names completion) *cobra.Command {
	var in api.ListAddressesRequest
	cmd := a.command(verb{
		use: "addresses SUBNET", short: "Say what the addresses of a subnet are for", args: cobra.ExactArgs(1), complete: names,
		run: func(ctx context.Context, c *client.Client, args []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.AddressUse], error) {
				in.ByName, in.Page = api.ByName{Name: args[0]}, page
				return c.ListAddresses(ctx, in)
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"first", "last", "use", "mac", "who"}, func(u metal.AddressUse) table.Row {
				last := ""
				if u.Last != u.First {
					last = u.Last.String()
				}
				return table.Row{u.First, last, u.Use, u.MAC, u.Who}
			})
		},
	})
	cmd.Flags().BoolVar(&in.Free, "free", false, "only the free ones")
	return cmd
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
