package main

import (
	"context"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) fabricsCommand() *cobra.Command {
	t := thing[metal.Fabric]{
		noun: "fabrics", one: "fabric", about: "Sets of switches that share VLAN ids",
		list: (*client.Client).ListFabrics, get: (*client.Client).GetFabric, remove: (*client.Client).DeleteFabric,
		name:   func(f metal.Fabric) string { return f.Name },
		header: table.Row{"name", "description"},
		row:    func(f metal.Fabric) table.Row { return table.Row{f.Name, f.Spec.Description} },
		fields: func(f metal.Fabric) []field {
			return []field{{"name", f.Name}, {"description", f.Spec.Description}, {"created", when(f.CreatedAt)}}
		},
	}
	set := setCommand(a, t, spec[metal.Fabric, metal.FabricSpec]{
		of: func(f metal.Fabric) (metal.FabricSpec, int64) { return f.Spec, f.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.FabricSpec) (metal.Fabric, error) {
			return c.PutFabric(ctx, api.PutFabricRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.FabricSpec]) {
		edit(e, "description", "what it is", asText, func(s *metal.FabricSpec) *string { return &s.Description })
	})
	return t.command(a, set)
}

func (a *app) spacesCommand() *cobra.Command {
	t := thing[metal.Space]{
		noun: "spaces", one: "space", about: "Sets of VLANs between which traffic is routed freely",
		list: (*client.Client).ListSpaces, get: (*client.Client).GetSpace, remove: (*client.Client).DeleteSpace,
		name:   func(s metal.Space) string { return s.Name },
		header: table.Row{"name", "description"},
		row:    func(s metal.Space) table.Row { return table.Row{s.Name, s.Spec.Description} },
		fields: func(s metal.Space) []field {
			return []field{{"name", s.Name}, {"description", s.Spec.Description}, {"created", when(s.CreatedAt)}}
		},
	}
	set := setCommand(a, t, spec[metal.Space, metal.SpaceSpec]{
		of: func(s metal.Space) (metal.SpaceSpec, int64) { return s.Spec, s.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.SpaceSpec) (metal.Space, error) {
			return c.PutSpace(ctx, api.PutSpaceRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.SpaceSpec]) {
		edit(e, "description", "what it is", asText, func(s *metal.SpaceSpec) *string { return &s.Description })
	})
	return t.command(a, set)
}

func (a *app) vlansCommand() *cobra.Command {
	t := thing[metal.VLAN]{
		noun: "vlans", one: "vlan", about: "Layer-2 networks",
		list: (*client.Client).ListVLANs, get: (*client.Client).GetVLAN, remove: (*client.Client).DeleteVLAN,
		name:   func(v metal.VLAN) string { return v.Name },
		header: table.Row{"name", "fabric", "vid", "mtu", "space", "advertises", "description"},
		row: func(v metal.VLAN) table.Row {
			return table.Row{v.Name, v.Spec.Fabric, v.Spec.VID, v.Spec.MTU, v.Spec.Space, yes(v.Spec.RA.Enabled), v.Spec.Description}
		},
		fields: func(v metal.VLAN) []field {
			return []field{
				{"name", v.Name}, {"fabric", v.Spec.Fabric}, {"VLAN id", strconv.Itoa(v.Spec.VID)}, {"MTU", v.Spec.MTU}, {"space", v.Spec.Space},
				{"router advertisements", advertised(v.Spec.RA)}, {"description", v.Spec.Description}, {"created", when(v.CreatedAt)},
			}
		},
	}
	set := setCommand(a, t, spec[metal.VLAN, metal.VLANSpec]{
		of: func(v metal.VLAN) (metal.VLANSpec, int64) { return v.Spec, v.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.VLANSpec) (metal.VLAN, error) {
			return c.PutVLAN(ctx, api.PutVLANRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.VLANSpec]) {
		edit(e, "fabric", "fabric that it is on", asText, func(s *metal.VLANSpec) *string { return &s.Fabric })
		edit(e, "vid", "802.1Q id; 0 is untagged", number, func(s *metal.VLANSpec) *int { return &s.VID })
		edit(e, "mtu", "largest packet in bytes", number, func(s *metal.VLANSpec) *int { return &s.MTU })
		edit(e, "space", "space that it belongs to; empty: none", asText, func(s *metal.VLANSpec) *string { return &s.Space })
		edit(e, "description", "what it is", asText, func(s *metal.VLANSpec) *string { return &s.Description })
		editBool(e, "advertise", "advertise the prefixes of its IPv6 subnets", func(s *metal.VLANSpec) *bool { return &s.RA.Enabled })
		editBool(e, "managed", "tell hosts that addresses come by DHCPv6", func(s *metal.VLANSpec) *bool { return &s.RA.Managed })
		editBool(e, "other", "tell hosts that other settings come by DHCPv6", func(s *metal.VLANSpec) *bool { return &s.RA.Other })
		editBool(e, "autonomous", "let hosts make addresses by themselves", func(s *metal.VLANSpec) *bool { return &s.RA.Autonomous })
		editBool(e, "router", "make the server's host their default router", func(s *metal.VLANSpec) *bool { return &s.RA.Router })
	})
	return t.command(a, set)
}

// advertised says what router advertisements tell.
func advertised(ra metal.RouterAd) string {
	if !ra.Enabled {
		return ""
	}
	said := []string{"prefixes"}
	for _, flag := range []struct {
		on   bool
		name string
	}{{ra.Managed, "managed"}, {ra.Other, "other"}, {ra.Autonomous, "autonomous"}, {ra.Router, "router"}} {
		if flag.on {
			said = append(said, flag.name)
		}
	}
	return strings.Join(said, ", ")
}
