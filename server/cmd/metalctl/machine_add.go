package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) machinesAdd() *cobra.Command {
	var body api.MachineBody
	var bmc metal.BMC
	var macs []string
	var arch, passwordFile string
	cmd := a.command(verb{
		use: "add NAME", short: "Declare a machine, or adopt one that enlisted itself", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			body.Name, body.Arch = args[0], metal.Arch(arch)
			for _, text := range macs {
				mac, err := metal.ParseMAC(text)
				if err != nil {
					return err
				}
				body.MACs = append(body.MACs, mac)
			}
			if bmc.Type != "" {
				body.BMC = &bmc
			}
			if passwordFile != "" {
				password, err := a.readSecret(passwordFile, "Password of the BMC: ")
				if err != nil {
					return err
				}
				text := password.Reveal()
				body.Password = &text
			}
			m, err := c.CreateMachine(ctx, api.CreateMachineRequest{Body: body})
			if err != nil {
				return err
			}
			return a.printDone(m, "%s is %s (%s)", m.Spec.Name, m.State, m.ID)
		},
	})
	flags := cmd.Flags()
	flags.StringSliceVar(&macs, "mac", nil, "MAC address of a NIC, the one it boots from first; can be repeated")
	flags.StringVar(&arch, "arch", "", "amd64 or arm64")
	flags.StringVar(&body.Pool, "pool", "", "pool it belongs to")
	flags.StringVar(&body.Zone, "zone", "", "failure domain")
	flags.StringSliceVar(&body.Tags, "tag", nil, "tag; can be repeated")
	flags.StringVar(&body.Notes, "notes", "", "any text")
	flags.StringVar(&body.KernelParameters, "kernel-parameters", "", "added to the kernel command line of the RAM environment")
	flags.BoolVar(&body.Protected, "protected", false, "refuse to forget the machine")
	flags.StringVar(&bmc.Type, "bmc-type", "", "ipmi, redfish or manual")
	flags.StringVar(&bmc.Address, "bmc-address", "", "host, host:port or the URL of a Redfish service")
	flags.StringVar(&bmc.Username, "bmc-user", "", "user name at the BMC")
	flags.StringVar(&passwordFile, "bmc-password-file", "", "file with the password at the BMC, or - for standard input")
	flags.BoolVar(&bmc.TLS.Insecure, "bmc-insecure", false, "accept any certificate of the BMC")
	flags.StringVar(&bmc.TLS.Fingerprint, "bmc-fingerprint", "", "SHA-256 of the BMC's certificate in hex: accept only this one")
	return cmd
}
