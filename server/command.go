package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bootenv"
	"github.com/metalform/terraform-provider-metal/server/internal/daemon"
)

// version is set by the release build.
var version = "dev"

func command() *cobra.Command {
	root := &cobra.Command{
		Use: "metald", Short: "Provision bare metal: DHCP, TFTP, HTTP boot, DNS, NTP, images and BMCs in one program",
		SilenceUsage: true, SilenceErrors: true, Version: versionText(),
	}
	root.AddCommand(serveCommand(), bootenvCommand())
	root.SetArgs(longFlags(os.Args[1:]))
	return root
}

// longFlags lets flags be written with one dash, as Go programs and Terraform have them: -config is --config.
func longFlags(args []string) []string {
	out := make([]string, len(args))
	for i, a := range args {
		if len(a) > 2 && a[0] == '-' && a[1] != '-' {
			a = "-" + a
		}
		out[i] = a
	}
	return out
}

func versionText() string {
	if info, ok := debug.ReadBuildInfo(); ok && version == "dev" && info.Main.Version != "" {
		return info.Main.Version
	}
	return version
}

func serveCommand() *cobra.Command {
	var config, iface, data, level string
	var check bool
	c := &cobra.Command{
		Use: "serve", Short: "Run the server", Args: cobra.NoArgs,
		Example: "  metald serve -interface eth1\n  metald serve -config /etc/metald.hcl\n  metald serve -config /etc/metald.hcl -check",
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(config, iface, data)
			if err != nil || check {
				return err
			}
			log, err := logger(level)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cfg, log)
		},
	}
	c.Flags().StringVar(&config, "config", "", "configuration file (HCL)")
	c.Flags().StringVar(&iface, "interface", "", "interface that machines are on; goes before the file's")
	c.Flags().StringVar(&data, "data-dir", "", "directory of the database and images; goes before the file's")
	c.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	c.Flags().BoolVar(&check, "check", false, "only check the configuration, and tell every fault")
	return c
}

func load(path, iface, data string) (*daemon.Config, error) {
	cfg, parser, faults := daemon.Load(path, func(c *daemon.Config) {
		if iface != "" {
			c.Interface = iface
		}
		if data != "" {
			c.DataDir = data
		}
	})
	if !faults.HasErrors() {
		return cfg, nil
	}
	if err := daemon.WriteFaults(parser, faults); err != nil {
		return nil, err
	}
	return nil, metal.Errorf(metal.Invalid, "the configuration has %d faults", len(faults))
}

func logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, metal.Errorf(metal.Invalid, "%q is no log level: debug, info, warn or error", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

func serve(ctx context.Context, cfg *daemon.Config, log *slog.Logger) error {
	d, err := daemon.New(ctx, cfg, versionText(), log)
	if err != nil {
		return err
	}
	return d.Run(ctx)
}

func bootenvCommand() *cobra.Command {
	group := &cobra.Command{Use: "bootenv", Short: "The RAM environment that machines are inspected, wiped and written in"}
	var arch, agent, out, deb, flavour string
	var compress, tools bool
	build := &cobra.Command{
		Use: "build", Short: "Build the RAM environment of one architecture from Debian's kernel and metal-agent", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return buildEnv(cmd, building{metal.Arch(arch), bootenv.Flavour(flavour), deb, agent, out, compress, tools})
		},
	}
	build.Flags().StringVar(&arch, "arch", "amd64", "amd64 or arm64")
	build.Flags().StringVar(&flavour, "kernel", "generic", "Debian's kernel: generic (all hardware) or cloud (virtual machines; smaller and faster)")
	build.Flags().StringVar(&deb, "deb", "", "kernel package to use instead of the one that apt has")
	build.Flags().StringVar(&agent, "agent", agentPath(), "metal-agent of that architecture")
	build.Flags().StringVar(&out, "out", "/var/lib/metald/bootenv", "directory of RAM environments")
	build.Flags().BoolVar(&compress, "compress", false, "compress the initramfs: less to transfer, longer to unpack")
	build.Flags().BoolVar(&tools, "tools", false, "build also the archive of programs that root archives are installed with")
	group.AddCommand(build)
	return group
}

// agentPath is beside this program, where packages put it.
func agentPath() string {
	self, err := os.Executable()
	if err != nil {
		return "metal-agent"
	}
	return filepath.Join(filepath.Dir(self), "metal-agent")
}

// building is what the flags of "metald bootenv build" say.
type building struct {
	arch            metal.Arch
	flavour         bootenv.Flavour
	deb, agent, out string
	compress, tools bool
}

func buildEnv(cmd *cobra.Command, b building) error {
	ctx := cmd.Context()
	cache, err := os.MkdirTemp("", "metald-kernel-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(cache)
	if b.deb == "" {
		fmt.Fprintf(cmd.ErrOrStderr(), "fetching Debian's %s kernel for %s\n", b.flavour, b.arch)
		if b.deb, err = bootenv.FetchKernel(ctx, b.arch, b.flavour, cache); err != nil {
			return err
		}
	}
	set := bootenv.Servers()
	if b.flavour == bootenv.Cloud {
		set = bootenv.Virtual()
	}
	dir := filepath.Join(b.out, string(b.arch))
	m, err := bootenv.Build(ctx, bootenv.Options{Arch: b.arch, KernelDeb: b.deb, AgentPath: b.agent, OutDir: dir, Modules: set, Compress: b.compress})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s: kernel %s\n", dir, m.Kernel)
	if b.tools {
		fmt.Fprintf(cmd.ErrOrStderr(), "fetching the tools for %s\n", b.arch)
		if err := bootenv.BuildTools(ctx, bootenv.ToolsOptions{Arch: b.arch, KernelDeb: b.deb, OutDir: dir, CacheDir: cache}); err != nil {
			return err
		}
	}
	if b.arch == metal.ARM64 {
		fmt.Fprintf(cmd.ErrOrStderr(), "fetching the loaders for %s\n", b.arch)
		return bootenv.FetchLoaders(ctx, dir, cache)
	}
	return bootenv.BuildLocalBoot(ctx, filepath.Join(b.out, "localboot.efi"))
}
