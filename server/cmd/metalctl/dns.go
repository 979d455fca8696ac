package main

import (
	"context"
	"net/netip"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) dnsCommand() *cobra.Command {
	return noun("dns", "Zones, records and keys", nil, a.zonesCommand(), a.recordsCommand(), a.dnsKeysCommand())
}

func (a *app) zonesCommand() *cobra.Command {
	t := thing[metal.Zone]{
		noun: "zones", one: "zone", about: "Declared zones",
		list: (*client.Client).ListZones,
		get: func(c *client.Client, ctx context.Context, name api.ByName) (metal.Zone, error) {
			return c.GetZone(ctx, api.ByZone{Zone: name.Name})
		},
		remove: func(c *client.Client, ctx context.Context, in api.DeleteByNameRequest) error {
			return c.DeleteZone(ctx, api.DeleteZoneRequest{ByZone: api.ByZone{Zone: in.Name}})
		},
		name:   func(z metal.Zone) string { return z.Name },
		header: table.Row{"name", "serial", "ttl", "name servers", "transfer keys", "update keys"},
		row: func(z metal.Zone) table.Row {
			return table.Row{z.Name, z.Serial, z.Spec.TTL, words(z.Spec.NameServers), words(z.Spec.Transfer.Keys), words(z.Spec.Update.Keys)}
		},
		fields: func(z metal.Zone) []field {
			return []field{
				{"name", z.Name}, {"serial", z.Serial}, {"TTL", z.Spec.TTL}, {"negative TTL", z.Spec.NegativeTTL}, {"name servers", words(z.Spec.NameServers)},
				{"mailbox", z.Spec.Mailbox}, {"transfer to", z.Spec.Transfer.Networks}, {"transfer keys", words(z.Spec.Transfer.Keys)},
				{"notified", words(z.Spec.Transfer.Notify)}, {"update keys", words(z.Spec.Update.Keys)}, {"created", when(z.CreatedAt)},
			}
		},
	}
	set := setCommand(a, t, spec[metal.Zone, metal.ZoneSpec]{
		of: func(z metal.Zone) (metal.ZoneSpec, int64) { return z.Spec, z.Revision },
		put: func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body metal.ZoneSpec) (metal.Zone, error) {
			return c.PutZone(ctx, api.PutZoneRequest{ByZone: api.ByZone{Zone: name.Name}, Precondition: unchanged, Body: body})
		},
	}, func(e *edits[metal.ZoneSpec]) {
		type S = metal.ZoneSpec
		edit(e, "ttl", "seconds that others may remember records", number, func(s *S) *int { return &s.TTL })
		edit(e, "negative-ttl", "seconds that others may remember that something is not there", number, func(s *S) *int { return &s.NegativeTTL })
		editList(e, "name-server", "another server of the zone", asText, func(s *S) *[]string { return &s.NameServers })
		edit(e, "mailbox", "mail address of who is responsible", asText, func(s *S) *string { return &s.Mailbox })
		editList(e, "transfer-to", "network that may copy the zone", netip.ParsePrefix, func(s *S) *[]netip.Prefix { return &s.Transfer.Networks })
		editList(e, "transfer-key", "TSIG key that a copy is asked for with", asText, func(s *S) *[]string { return &s.Transfer.Keys })
		editList(e, "notify", "server that is told of changes, as address or address:port", asText, func(s *S) *[]string { return &s.Transfer.Notify })
		editList(e, "update-key", "TSIG key that changes records by DNS UPDATE", asText, func(s *S) *[]string { return &s.Update.Keys })
	})
	return t.command(a, set)
}

func zoneNames() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Zone], error) {
		return c.ListZones(ctx, api.ListByNamesRequest{Page: page})
	}, func(z metal.Zone) string { return z.Name })
}

func (a *app) recordsCommand() *cobra.Command {
	list := a.command(verb{
		use: "list [ZONE]", short: "List records", args: cobra.MaximumNArgs(1), complete: zoneNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			in := api.ListRecordSetsRequest{Zone: strings.Join(args, "")}
			list, err := everything(func(page api.Page) (api.List[metal.RecordSet], error) {
				in.Page = page
				return c.ListRecordSets(ctx, in)
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"zone", "name", "type", "ttl", "values"}, func(r metal.RecordSet) table.Row {
				return table.Row{r.Zone, r.Name, r.Type, ttl(r.Spec.TTL), words(r.Spec.Values)}
			})
		},
	})
	show := a.command(verb{
		use: "show ZONE NAME TYPE", short: "Show the records of a name and type", args: cobra.ExactArgs(3), complete: zoneNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			r, err := c.GetRecordSet(ctx, recordSet(args))
			if err != nil {
				return err
			}
			fields := []field{{"name", r.FQDN}, {"zone", r.Zone}, {"type", r.Type}, {"TTL", r.Spec.TTL}}
			for _, v := range r.Spec.Values {
				fields = append(fields, field{"value", v})
			}
			return a.printObject(r, fields...)
		},
	})
	remove := a.command(verb{
		use: "delete ZONE NAME TYPE", short: "Delete the records of a name and type", args: cobra.ExactArgs(3), complete: zoneNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteRecordSet(ctx, api.DeleteRecordSetRequest{ByRecordSet: recordSet(args)}); err != nil {
				return err
			}
			return a.printDone(struct{}{}, "%s %s in %s is deleted", recordSet(args).Type, args[1], args[0])
		},
	})
	return noun("records", "Record sets of declared zones", []string{"record"}, list, show, a.recordsSet(), remove)
}

func (a *app) recordsSet() *cobra.Command {
	var body metal.RecordSetSpec
	cmd := a.command(verb{
		use: "set ZONE NAME TYPE VALUE...", short: "Make these values the records of a name and type; @ is the zone itself", args: cobra.MinimumNArgs(4), complete: zoneNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			body.Values = args[3:]
			r, err := c.PutRecordSet(ctx, api.PutRecordSetRequest{ByRecordSet: recordSet(args), Body: body})
			if err != nil {
				return err
			}
			return a.printDone(r, "%s %s is set", r.Type, r.FQDN)
		},
	})
	cmd.Flags().IntVar(&body.TTL, "ttl", 0, "seconds that others may remember them; 0: the zone's")
	return cmd
}

func recordSet(args []string) api.ByRecordSet {
	return api.ByRecordSet{ByZone: api.ByZone{Zone: args[0]}, Name: args[1], Type: strings.ToUpper(args[2])}
}

// ttl shows a record's own TTL; nothing where it has the zone's.
func ttl(seconds int) string {
	if seconds == 0 {
		return ""
	}
	return strconv.Itoa(seconds)
}
