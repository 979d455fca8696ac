package main

import (
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

func upCommand(p *place) *cobra.Command {
	var cfg lab.Config
	var arch, firmware, subnet string
	var diskMiB int64
	var foreground bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Make a rack and keep it running in the background",
		Long: `Make a rack and keep it running in the background. All machines are off at first.

What a killed lab of the same name or directory left is cleared away, with its disks.
Passwords of the BMCs are in files that only root can read, one for each machine, and in lab.json.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := p.path()
			if err != nil {
				return err
			}
			cfg.Name, cfg.Dir, cfg.Arch, cfg.Firmware, cfg.DiskBytes = p.name, dir, metal.Arch(arch), metal.BootMode(firmware), diskMiB<<20
			if cfg.Subnet, err = netip.ParsePrefix(subnet); err != nil {
				return metal.Errorf(metal.Invalid, "--subnet %q is not a network such as 172.31.0.0/24", subnet)
			}
			if err := cfg.Validate(); err != nil {
				return err
			}
			if foreground {
				log := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil))
				return hold(cmd.Context(), cfg, log, func(s lab.State) error { return printLab(cmd.OutOrStdout(), s) })
			}
			if err := background(cmd.Context(), cfg); err != nil {
				return err
			}
			state, err := lab.Load(dir)
			if err != nil {
				return err
			}
			return printLab(cmd.OutOrStdout(), *state)
		},
	}
	f := cmd.Flags()
	f.IntVarP(&cfg.Machines, "machines", "n", 1, "how many machines")
	f.StringVar(&arch, "arch", string(metal.AMD64), "amd64 or arm64")
	f.StringVar(&firmware, "firmware", string(metal.BIOS), "bios or uefi")
	f.StringVar(&cfg.BMC, "bmc", lab.IPMI, "ipmi or redfish")
	f.IntVar(&cfg.CPUs, "cpus", 1, "processors of each machine")
	f.IntVar(&cfg.MemoryMiB, "memory", 512, "memory of each machine, in MiB")
	f.IntVar(&cfg.Disks, "disks", 1, "disks of each machine")
	f.Int64Var(&diskMiB, "disk-size", 4096, "size of each disk, in MiB; it takes room only when written to")
	f.StringVar(&cfg.DiskBus, "disk-bus", lab.VirtioDisk, "virtio or nvme")
	f.StringVar(&cfg.NIC, "nic", lab.VirtioNIC, "virtio-net-pci, e1000 or e1000e")
	f.BoolVar(&cfg.NativePXE, "native-pxe", false, "leave iPXE out, so that the UEFI firmware's own PXE runs")
	f.BoolVar(&cfg.SecureBoot, "secure-boot", false, "have the UEFI firmware run only what Microsoft's keys vouch for")
	f.BoolVar(&cfg.TPM, "tpm", false, "give each machine a TPM 2.0")
	f.BoolVar(&cfg.HTTPBoot, "http-boot", false, "let the UEFI firmware start by HTTP instead of PXE")
	f.StringVar(&subnet, "subnet", "172.31.0.0/24", "IPv4 network of the rack; the host has its first address")
	f.BoolVar(&foreground, "foreground", false, "stay, and end the rack at Ctrl-C")
	return cmd
}

func downCommand(p *place) *cobra.Command {
	return &cobra.Command{
		Use:   "down",
		Short: "End the rack and remove all of it, disks included",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			dir, err := p.path()
			if err != nil {
				return err
			}
			return lab.Down(cmd.Context(), dir)
		},
	}
}

// printLab tells a person how to use a lab.
func printLab(out io.Writer, s lab.State) error {
	fmt.Fprintf(out, "Lab %s is up: %d machines (%s) on %s, host address %s.\n\n", s.Name, len(s.Machines), s.Firmware, s.Bridge, s.Host)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MACHINE\tMAC\tBMC\tADDRESS\tUSERNAME\tPASSWORD IN")
	for _, m := range s.Machines {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.MACs[0], m.BMC.Type, m.BMC.Address, m.BMC.Username, m.BMC.PasswordFile)
	}
	return table.Flush()
}
