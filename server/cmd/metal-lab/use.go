package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

func statusCommand(p *place) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the machines and their power",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := connect(p)
			if err != nil {
				return err
			}
			machines, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), client.State(), machines)
			}
			return printStatus(cmd.OutOrStdout(), client.State(), machines)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, without passwords")
	return cmd
}

func powerCommand(p *place) *cobra.Command {
	return &cobra.Command{
		Use:   "power MACHINE on|off|reset",
		Short: "Turn a machine on or off (hard), or reset it",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect(p)
			if err != nil {
				return err
			}
			return client.Act(cmd.Context(), args[0], lab.Action(args[1]))
		},
	}
}

func plugCommand(p *place) *cobra.Command {
	return &cobra.Command{
		Use:   "plug MACHINE",
		Short: "Plug a machine in: it starts, as an unknown one in a new rack does",
		Long: `Plug a machine in: it starts from the network by itself, as an unknown machine does when
somebody puts it into the rack and presses its button. metald sees it and lists it as new.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client, err := connect(p)
			if err != nil {
				return err
			}
			return client.Act(cmd.Context(), args[0], lab.PowerOn)
		},
	}
}

func consoleCommand(p *place) *cobra.Command {
	var follow bool
	cmd := &cobra.Command{
		Use:   "console MACHINE",
		Short: "Print what a machine wrote to its serial port",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := p.path()
			if err != nil {
				return err
			}
			state, err := lab.Load(dir)
			if err != nil {
				return err
			}
			machine, err := state.Machine(args[0])
			if err != nil {
				return err
			}
			return lab.Console(cmd.Context(), machine, cmd.OutOrStdout(), follow)
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, "go on until Ctrl-C")
	return cmd
}

func execCommand(p *place) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "exec -- COMMAND [ARGUMENT...]",
		Short:   "Run a command inside the rack's network",
		Example: "  metal-lab exec -- ipmitool -I lanplus -H 172.31.0.1 -p 6231 -U admin -f FILE power status",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			dir, err := p.path()
			if err != nil {
				return err
			}
			return lab.Exec(dir, args)
		},
	}
	// Flags after the command's name are the command's, also without "--".
	cmd.Flags().SetInterspersed(false)
	return cmd
}

func connect(p *place) (*lab.Client, error) {
	dir, err := p.path()
	if err != nil {
		return nil, err
	}
	return lab.Connect(dir)
}

// printStatus prints a lab for people.
func printStatus(out io.Writer, s *lab.State, machines []lab.MachineStatus) error {
	fmt.Fprintf(out, "Lab %s: %s on %s (%s), files in %s, process %d\n\n", s.Name, s.Host, s.Bridge, s.Firmware, s.Dir, s.Owner.PID)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "MACHINE\tMAC\tPOWER\tBOOT\tBMC\tADDRESS")
	for _, m := range machines {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, m.MAC, m.Power, bootText(m), m.BMC, m.Address)
	}
	return table.Flush()
}

// bootText says what the machine starts from next.
func bootText(m lab.MachineStatus) string {
	switch {
	case m.Boot == "":
		return "network, disk"
	case m.Once:
		return string(m.Boot) + " once"
	}
	return string(m.Boot)
}

// printJSON prints a lab for programs. What lab.json has beyond it is secret or concerns the lab's own process.
func printJSON(out io.Writer, s *lab.State, machines []lab.MachineStatus) error {
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(struct {
		Name     string              `json:"name"`
		Dir      string              `json:"dir"`
		Bridge   string              `json:"bridge"`
		Subnet   string              `json:"subnet"`
		Host     string              `json:"host"`
		Firmware string              `json:"firmware"`
		Machines []lab.MachineStatus `json:"machines"`
	}{s.Name, s.Dir, s.Bridge, s.Subnet.String(), s.Host.String(), string(s.Firmware), machines})
}
