package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) devicesCommand() *cobra.Command {
	t := thing[metal.Device]{
		noun: "devices", one: "device", about: "Things on the network that are not provisioned",
		list: (*client.Client).ListDevices, get: (*client.Client).GetDevice, remove: (*client.Client).DeleteDevice,
		name:   func(d metal.Device) string { return d.Name },
		header: table.Row{"name", "addresses", "dns name", "tags", "description"},
		row: func(d metal.Device) table.Row {
			addrs := make([]string, len(d.Addresses))
			for i, x := range d.Addresses {
				addrs[i] = x.Addr.String()
			}
			return table.Row{d.Name, words(addrs), d.FQDN, words(d.Spec.Tags), d.Spec.Description}
		},
		fields: deviceFields,
	}
	set := setCommand(a, t, spec[metal.Device, metal.DeviceSpec]{
		of: func(d metal.Device) (metal.DeviceSpec, int64) { return d.Spec, d.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.DeviceSpec) (metal.Device, error) {
			return c.PutDevice(ctx, api.PutDeviceRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.DeviceSpec]) {
		editEach(e, "interface", "NIC, as in mac=52:54:00:12:34:56,subnet=office,address=10.0.0.5, each of which can be left out", anInterface,
			func(s *metal.DeviceSpec) *[]metal.DeviceInterface { return &s.Interfaces })
		edit(e, "domain", "domain of its name; empty: its first subnet's", asText, func(s *metal.DeviceSpec) *string { return &s.Domain })
		edit(e, "description", "what it is", asText, func(s *metal.DeviceSpec) *string { return &s.Description })
		editList(e, "tag", "tag", asText, func(s *metal.DeviceSpec) *[]string { return &s.Tags })
	})
	return t.command(a, set)
}

func deviceFields(d metal.Device) []field {
	fields := []field{{"name", d.Name}, {"DNS name", d.FQDN}}
	next := 0
	for _, i := range d.Spec.Interfaces {
		parts := []string{}
		if i.MAC != "" {
			parts = append(parts, string(i.MAC))
		}
		if i.Subnet != "" && next < len(d.Addresses) {
			parts = append(parts, d.Addresses[next].Addr.String()+" in "+i.Subnet)
			next++
		}
		fields = append(fields, field{"interface", strings.Join(parts, ", ")})
	}
	return append(fields, field{"tags", words(d.Spec.Tags)}, field{"description", d.Spec.Description}, field{"created", when(d.CreatedAt)})
}

// anInterface parses a NIC; empty text is none.
func anInterface(s string) ([]metal.DeviceInterface, error) {
	if s == "" {
		return nil, nil
	}
	var i metal.DeviceInterface
	for part := range strings.SplitSeq(s, ",") {
		key, value, _ := strings.Cut(part, "=")
		var err error
		switch key {
		case "mac":
			i.MAC, err = metal.ParseMAC(value)
		case "subnet":
			i.Subnet = value
		case "address":
			i.Addr, err = netip.ParseAddr(value)
		default:
			err = fmt.Errorf("%q is none of mac=, subnet= and address=", part)
		}
		if err != nil {
			return nil, err
		}
	}
	return []metal.DeviceInterface{i}, nil
}
