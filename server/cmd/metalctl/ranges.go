package main

import (
	"context"
	"net/netip"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) rangesCommand() *cobra.Command {
	t := thing[metal.IPRange]{
		noun: "ranges", one: "range", about: "Addresses of a subnet that are set apart",
		list: (*client.Client).ListRanges, get: (*client.Client).GetRange, remove: (*client.Client).DeleteRange,
		name:   func(r metal.IPRange) string { return r.Name },
		header: table.Row{"name", "subnet", "first", "last", "kind", "description"},
		row: func(r metal.IPRange) table.Row {
			return table.Row{r.Name, r.Spec.Subnet, r.Spec.First, r.Spec.Last, r.Spec.Kind, r.Spec.Description}
		},
		fields: func(r metal.IPRange) []field {
			return append([]field{
				{"name", r.Name}, {"subnet", r.Spec.Subnet}, {"first", r.Spec.First}, {"last", r.Spec.Last}, {"kind", r.Spec.Kind}, {"description", r.Spec.Description},
			}, optionFields(r.Spec.Options)...)
		},
	}
	set := setCommand(a, t, spec[metal.IPRange, metal.IPRangeSpec]{
		of: func(r metal.IPRange) (metal.IPRangeSpec, int64) { return r.Spec, r.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.IPRangeSpec) (metal.IPRange, error) {
			return c.PutRange(ctx, api.PutRangeRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.IPRangeSpec]) {
		edit(e, "subnet", "subnet that it is in", asText, func(s *metal.IPRangeSpec) *string { return &s.Subnet })
		edit(e, "first", "first address", netip.ParseAddr, func(s *metal.IPRangeSpec) *netip.Addr { return &s.First })
		edit(e, "last", "last address", netip.ParseAddr, func(s *metal.IPRangeSpec) *netip.Addr { return &s.Last })
		edit(e, "kind", "dynamic or reserved", oneOf(metal.RangeDynamic, metal.RangeReserved), func(s *metal.IPRangeSpec) *metal.RangeKind { return &s.Kind })
		edit(e, "description", "what it is for", asText, func(s *metal.IPRangeSpec) *string { return &s.Description })
		editOptions(e, func(s *metal.IPRangeSpec) *metal.DHCPOptions { return &s.Options })
	})
	return t.command(a, set)
}

func (a *app) reservationsCommand() *cobra.Command {
	t := thing[metal.Reservation]{
		noun: "reservations", one: "reservation", about: "Addresses that are kept for one client each",
		list: (*client.Client).ListReservations, get: (*client.Client).GetReservation, remove: (*client.Client).DeleteReservation,
		name:   func(r metal.Reservation) string { return r.Name },
		header: table.Row{"name", "subnet", "address", "mac", "duid", "dns name"},
		row: func(r metal.Reservation) table.Row {
			return table.Row{r.Name, r.Spec.Subnet, address(r.Addr), r.Spec.MAC, r.Spec.DUID, r.FQDN}
		},
		fields: func(r metal.Reservation) []field {
			return append([]field{
				{"name", r.Name}, {"subnet", r.Spec.Subnet}, {"address", address(r.Addr)}, {"MAC", r.Spec.MAC}, {"DUID", r.Spec.DUID},
				{"host name", r.Spec.Hostname}, {"DNS name", r.FQDN},
			}, optionFields(r.Spec.Options)...)
		},
	}
	set := setCommand(a, t, spec[metal.Reservation, metal.ReservationSpec]{
		of: func(r metal.Reservation) (metal.ReservationSpec, int64) { return r.Spec, r.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.ReservationSpec) (metal.Reservation, error) {
			return c.PutReservation(ctx, api.PutReservationRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.ReservationSpec]) {
		edit(e, "subnet", "subnet that it is in", asText, func(s *metal.ReservationSpec) *string { return &s.Subnet })
		edit(e, "address", "address to keep; empty: the one it has, or the next free one", anAddress, func(s *metal.ReservationSpec) *netip.Addr { return &s.Addr })
		edit(e, "mac", "client's MAC address; empty: none", aMAC, func(s *metal.ReservationSpec) *metal.MAC { return &s.MAC })
		edit(e, "duid", "client's DHCPv6 identifier in hex; empty: none", asText, func(s *metal.ReservationSpec) *string { return &s.DUID })
		edit(e, "hostname", "host name; empty: none", asText, func(s *metal.ReservationSpec) *string { return &s.Hostname })
		editOptions(e, func(s *metal.ReservationSpec) *metal.DHCPOptions { return &s.Options })
	})
	return t.command(a, set)
}

func (a *app) routesCommand() *cobra.Command {
	t := thing[metal.StaticRoute]{
		noun: "routes", one: "route", about: "Routes that hosts of a subnet are told of",
		list: (*client.Client).ListStaticRoutes, get: (*client.Client).GetStaticRoute, remove: (*client.Client).DeleteStaticRoute,
		name:   func(r metal.StaticRoute) string { return r.Name },
		header: table.Row{"name", "subnet", "to", "via", "metric"},
		row: func(r metal.StaticRoute) table.Row {
			return table.Row{r.Name, r.Spec.Subnet, r.Spec.Destination, r.Spec.Gateway, r.Spec.Metric}
		},
		fields: func(r metal.StaticRoute) []field {
			return []field{{"name", r.Name}, {"subnet", r.Spec.Subnet}, {"to", r.Spec.Destination}, {"via", r.Spec.Gateway}, {"metric", r.Spec.Metric}}
		},
	}
	set := setCommand(a, t, spec[metal.StaticRoute, metal.StaticRouteSpec]{
		of: func(r metal.StaticRoute) (metal.StaticRouteSpec, int64) { return r.Spec, r.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.StaticRouteSpec) (metal.StaticRoute, error) {
			return c.PutStaticRoute(ctx, api.PutStaticRouteRequest{ByName: name, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.StaticRouteSpec]) {
		edit(e, "subnet", "subnet whose hosts are told", asText, func(s *metal.StaticRouteSpec) *string { return &s.Subnet })
		edit(e, "to", "network that it leads to, as in 10.9.0.0/16", netip.ParsePrefix, func(s *metal.StaticRouteSpec) *netip.Prefix { return &s.Destination })
		edit(e, "via", "router, an address of the subnet", netip.ParseAddr, func(s *metal.StaticRouteSpec) *netip.Addr { return &s.Gateway })
		edit(e, "metric", "preference; lower wins", number, func(s *metal.StaticRouteSpec) *int { return &s.Metric })
	})
	return t.command(a, set)
}

// optionFields shows what clients are told.
func optionFields(o metal.DHCPOptions) []field {
	fields := []field{
		{"told MTU", o.MTU}, {"boot server", o.BootServer}, {"boot file", o.BootFile}, {"log servers", o.Syslog}, {"time zone", o.TimeZone}, {"WPAD", o.WPAD},
	}
	for _, c := range o.Custom {
		fields = append(fields, field{"option", table.Row{c.Code, c.Type, c.Value}})
	}
	return fields
}
