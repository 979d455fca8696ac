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

func (a *app) bootProfilesCommand() *cobra.Command {
	t := thing[metal.BootProfile]{
		noun: "boot-profiles", one: "boot-profile", about: "Installers of other publishers, and their answers",
		list: (*client.Client).ListBootProfiles, remove: (*client.Client).DeleteBootProfile,
		get: func(c *client.Client, ctx context.Context, in api.ByName) (metal.BootProfile, error) {
			return c.GetBootProfile(ctx, api.GetBootProfileRequest{ByName: in})
		},
		name:   func(p metal.BootProfile) string { return p.Name },
		header: table.Row{"name", "version", "unknown", "tags", "description"},
		row: func(p metal.BootProfile) table.Row {
			return table.Row{p.Name, p.Version, yes(p.Spec.Unknown), strings.Join(p.Spec.Tags, ", "), p.Spec.Description}
		},
		fields: func(p metal.BootProfile) []field {
			names := make([]string, len(p.Spec.Answers))
			for i, f := range p.Spec.Answers {
				names[i] = f.Name
			}
			return []field{
				{"name", p.Name}, {"version", strconv.FormatInt(p.Version, 10)}, {"command line", p.Spec.CommandLine},
				{"answer files", strings.Join(names, ", ")}, {"secrets", strings.Join(p.Secrets, ", ")},
				{"unknown machines", yes(p.Spec.Unknown)}, {"tags", strings.Join(p.Spec.Tags, ", ")},
				{"description", p.Spec.Description}, {"changed", when(p.ChangedAt)},
			}
		},
	}
	return t.command(a)
}

func (a *app) installationsCommand() *cobra.Command {
	macs := namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[metal.Installation], error) {
		return c.ListInstallations(ctx, api.ListByNamesRequest{Page: page})
	}, func(i metal.Installation) string { return string(i.MAC) })
	list := a.command(verb{
		use: "list", short: "List what boot profiles install", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.Installation], error) {
				return c.ListInstallations(ctx, api.ListByNamesRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"mac", "profile", "version", "state", "boots", "seen", "said"}, installationRow)
		},
	})
	forget := a.command(verb{
		use: "forget MAC", short: "Forget an installation: the machine may install again when it boots", args: cobra.ExactArgs(1), complete: macs,
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := c.DeleteInstallation(ctx, api.ByMAC{MAC: args[0]}); err != nil {
				return err
			}
			return a.printDone(api.None{}, "the installation of %s is forgotten", args[0])
		},
	})
	return noun("installations", "What boot profiles install", []string{"installation"}, list, forget)
}

func installationRow(i metal.Installation) table.Row {
	said := ""
	if len(i.Log) > 0 {
		said = i.Log[len(i.Log)-1]
	}
	return table.Row{i.MAC, i.Profile, i.Version, i.State, i.Boots, when(i.SeenAt), said}
}
