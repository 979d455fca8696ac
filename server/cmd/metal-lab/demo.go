package main

import (
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

// demoCommand shows the whole product.
func demoCommand() *cobra.Command {
	o := demo.Options{}
	var firmware string
	var verbose bool
	c := &cobra.Command{
		Use: "demo", Short: "Take virtual machines from powered off to a login by terraform apply, and back", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.Firmware, o.Out = metal.BootMode(firmware), cmd.OutOrStdout()
			level := slog.LevelWarn
			if verbose {
				level = slog.LevelInfo
			}
			o.Log = slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
			var err error
			if o.Cache, err = filepath.Abs(o.Cache); err != nil {
				return err
			}
			if o.Terraform == "" {
				if o.Terraform, err = terraform(); err != nil {
					return err
				}
			}
			return demo.Run(cmd.Context(), o)
		},
	}
	c.Flags().StringVar(&firmware, "firmware", "bios", "bios or uefi")
	c.Flags().StringVar(&o.BMC, "bmc", lab.IPMI, "ipmi or redfish")
	c.Flags().StringVar(&o.Image, "image", "tiny", "system to install: tiny, or debian with all of cloud-init")
	c.Flags().StringVar(&o.Programs, "programs", programs(), "directory with metald, metal-agent and the provider")
	c.Flags().StringVar(&o.Example, "example", "examples/quickstart", "Terraform configuration to apply")
	c.Flags().StringVar(&o.Cache, "cache", ".cache", "directory of what is built once")
	c.Flags().StringVar(&o.Terraform, "terraform", "", "command to run (default terraform, or else tofu)")
	c.Flags().BoolVar(&o.Login, "login", false, "open a shell on the machine before it is destroyed")
	c.Flags().BoolVar(&verbose, "verbose", false, "tell what is built")
	return c
}

// imageCommand builds the images that tests and demonstrations install.
func imageCommand() *cobra.Command {
	var cache, kind string
	c := &cobra.Command{
		Use: "image", Short: "Build the RAM environment and the images that a lab needs, into the cache", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
			_, err := demo.Build(cmd.Context(), cache, programs(), kind, log)
			return err
		},
	}
	c.Flags().StringVar(&cache, "cache", ".cache", "directory of what is built once")
	c.Flags().StringVar(&kind, "image", "tiny", "tiny or debian")
	return c
}

// programs is where this program lies, and the others beside it.
func programs() string {
	self, err := os.Executable()
	if err != nil {
		return "bin"
	}
	return filepath.Dir(self)
}

func terraform() (string, error) {
	for _, name := range []string{"terraform", "tofu", filepath.Join(programs(), "tofu")} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", metal.Errorf(metal.NotFound, "neither terraform nor tofu is installed: install one, or name it by -terraform")
}
