package main

import (
	"context"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// patience is how long a person is kept waiting for a server that does not answer. Waiting for operations has more.
const patience = 10 * time.Second

// app is what all commands share.
type app struct {
	in      io.Reader
	out     io.Writer // results
	errOut  io.Writer // progress and errors
	live    bool      // errOut is a terminal: progress is drawn in place
	version string

	format  string        // --output
	wait    bool          // --wait, of long commands
	timeout time.Duration // --timeout, of long commands; 0: none
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "metalctl",
		Short: "Command line of a Metalform server",
		Long: "metalctl talks to a Metalform server: the one of the last metalctl login, or the one that the environment\n" +
			"names (METAL_URL, METAL_TOKEN, METAL_CA_FILE, METAL_INSECURE).",
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(*cobra.Command, []string) error {
			if a.format != formatTable && a.format != formatJSON {
				return metal.Errorf(metal.Invalid, "there is no output %q: use table or json", a.format)
			}
			return nil
		},
	}
	root.PersistentFlags().StringVarP(&a.format, "output", "o", formatTable, "table or json")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return metal.Errorf(metal.Invalid, "%v: see %s --help", err, cmd.CommandPath())
	})
	root.AddCommand(
		a.loginCommand(), a.statusCommand(), a.versionCommand(),
		a.machinesCommand(), a.operationsCommand(), a.imagesCommand(), a.poolsCommand(), a.keysCommand(),
		a.bootProfilesCommand(), a.installationsCommand(),
		a.fabricsCommand(), a.vlansCommand(), a.spacesCommand(), a.subnetsCommand(), a.rangesCommand(), a.reservationsCommand(),
		a.routesCommand(), a.devicesCommand(), a.dnsCommand(), a.leasesCommand(), a.erasuresCommand(),
		a.allocationsCommand(), a.deploymentsCommand(), a.eventsCommand(), a.tokensCommand(), a.consoleCommand(),
	)
	return root
}

// connect returns a client of the configured server.
func (a *app) connect() (*client.Client, error) {
	cfg, err := client.Load()
	if err != nil {
		return nil, err
	}
	cfg.UserAgent = "metalctl/" + a.version
	cfg.Patience = patience
	return client.New(cfg)
}

// noun makes a command that only holds others.
func noun(use, short string, aliases []string, verbs ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{Use: use, Short: short, Aliases: aliases, Args: cobra.NoArgs}
	cmd.AddCommand(verbs...)
	return cmd
}

// verb is a command that calls the server.
type verb struct {
	use, short string
	args       cobra.PositionalArgs
	complete   completion // of the first argument; nil: nothing to offer
	run        func(ctx context.Context, c *client.Client, args []string) error
}

// command makes the cobra command of a verb.
func (a *app) command(v verb) *cobra.Command {
	cmd := &cobra.Command{
		Use: v.use, Short: v.short, Args: v.args,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.connect()
			if err != nil {
				return err
			}
			return v.run(cmd.Context(), c, args)
		},
	}
	cmd.ValidArgsFunction = a.completer(v.complete)
	return cmd
}

// long adds the flags of commands that start an operation.
func (a *app) long(cmd *cobra.Command) *cobra.Command {
	cmd.Flags().BoolVar(&a.wait, "wait", true, "wait until it is done, and show how far it is")
	cmd.Flags().DurationVar(&a.timeout, "timeout", 0, "wait no longer than this, as in 30m; the operation goes on")
	return cmd
}
