package main

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// storageFlags are the files that say what is made of disks.
type storageFlags struct {
	file string
	keys map[string]string // name to file
}

func (s *storageFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&s.file, "storage", "", "file with what is made of the disks, in JSON as the API has it")
	flags.StringToStringVar(&s.keys, "storage-key", nil, "NAME=FILE with the key of an encrypted volume, or layout=FILE; can be repeated")
}

// into reads the files into a body. A line end at the end of a key is none of it.
func (s *storageFlags) into(body *api.DeploymentBody) error {
	if s.file != "" {
		text, err := os.ReadFile(s.file)
		if err != nil {
			return metal.Errorf(metal.Invalid, "read the storage: %w", err)
		}
		if body.Storage, err = parseStorage(text); err != nil {
			return metal.Errorf(metal.Invalid, "read the storage in %s: %w", s.file, err)
		}
	}
	for name, file := range s.keys {
		text, err := os.ReadFile(file)
		if err != nil {
			return metal.Errorf(metal.Invalid, "read the key of %s: %w", name, err)
		}
		if body.StorageKeys == nil {
			body.StorageKeys = map[string]string{}
		}
		body.StorageKeys[name] = strings.TrimRight(string(text), "\r\n")
	}
	return nil
}

// parseStorage reads a declaration and refuses what it does not know, such as a misspelt field.
func parseStorage(text []byte) (*metal.StorageSpec, error) {
	var spec metal.StorageSpec
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&spec); err != nil {
		return nil, err
	}
	if d.More() {
		return nil, metal.Errorf(metal.Invalid, "there is more than one object in it")
	}
	return &spec, nil
}

func (a *app) deploymentsPlan() *cobra.Command {
	var body api.DeploymentBody
	var storage storageFlags
	cmd := a.command(verb{
		use: "plan MACHINE", short: "Say what a deployment would make of a machine's disks, and do nothing", args: cobra.ExactArgs(1), complete: machineNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			if err := storage.into(&body); err != nil {
				return err
			}
			m, err := c.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: args[0]}})
			if err != nil {
				return err
			}
			impact, err := c.PreviewDeployment(ctx, api.PreviewDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: body}})
			if err != nil {
				return err
			}
			return a.printObject(impact, impactFields(impact)...)
		},
	})
	flags := cmd.Flags()
	flags.StringVar(&body.Image, "image", "", "name of the image")
	flags.StringVar(&body.Disk, "disk", "", "name, serial or WWN of the disk to overwrite; default: the smallest that fits")
	storage.add(cmd)
	if err := cmd.MarkFlagRequired("image"); err != nil {
		panic(err) // the flag is defined above
	}
	return cmd
}

// impactFields are what a dry run tells.
func impactFields(impact metal.Impact) []field {
	fields := []field{{"action", impact.Action}, {"changes", words(impact.Changes)}, {"erases", impact.Erases}, {"problem", impact.Problem}}
	for i, line := range impact.Storage {
		name := ""
		if i == 0 {
			name = "storage"
		}
		fields = append(fields, field{name, line})
	}
	return fields
}

func (a *app) deploymentsRecoveryKeys() *cobra.Command {
	return a.command(verb{
		use: "recovery-keys DEPLOYMENT", short: "Show the keys that open volumes which the machine's TPM does not open any more", args: cobra.ExactArgs(1), complete: deploymentIDs(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			out, err := c.RevealRecoveryKeys(ctx, api.ByID{ID: args[0]})
			if err != nil {
				return err
			}
			var fields []field
			for _, name := range slices.Sorted(maps.Keys(out.Keys)) {
				fields = append(fields, field{name, out.Keys[name]})
			}
			return a.printObject(out, fields...)
		},
	})
}
