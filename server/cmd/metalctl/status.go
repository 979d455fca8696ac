package main

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/client"
)

func (a *app) statusCommand() *cobra.Command {
	return a.command(verb{
		use: "status", short: "Say which server this is, and who you are to it", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			status, err := c.GetStatus(ctx)
			if err != nil {
				return err
			}
			fields := []field{{"server", c.Host()}, {"version", status.Version}, {"started", when(status.Started)}, {"token", status.Token}}
			for _, name := range slices.Sorted(maps.Keys(status.Services)) {
				fields = append(fields, field{name, status.Services[name]})
			}
			return a.printObject(status, fields...)
		},
	})
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Say which version of metalctl this is", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			text := fmt.Sprintf("%s %s/%s %s", a.version, runtime.GOOS, runtime.GOARCH, runtime.Version())
			return a.printDone(map[string]string{"version": a.version}, "metalctl %s", text)
		},
	}
}
