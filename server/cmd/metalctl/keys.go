package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxKey is what the API takes for a public key.
const maxKey = 16384

func (a *app) keysCommand() *cobra.Command {
	list := a.command(verb{
		use: "list", short: "List SSH keys", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.SSHKey], error) {
				return c.ListSSHKeys(ctx, api.ListByNamesRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"name", "key", "created"}, func(k metal.SSHKey) table.Row {
				return table.Row{k.Name, fmt.Sprintf("%.40s", k.PublicKey), when(k.CreatedAt)}
			})
		},
	})
	show := a.command(verb{
		use: "show KEY", short: "Print a public key", args: cobra.ExactArgs(1), complete: keyNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			k, err := c.GetSSHKey(ctx, api.ByName{Name: args[0]})
			if err != nil {
				return err
			}
			return a.printDone(k, "%s", strings.TrimSpace(k.PublicKey))
		},
	})
	set := a.command(verb{
		use: "set KEY FILE", short: "Store a public key from a file, or from standard input (-)", args: cobra.ExactArgs(2), complete: keyNames(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			text, err := a.readKey(args[1])
			if err != nil {
				return err
			}
			k, err := c.PutSSHKey(ctx, api.PutSSHKeyRequest{ByName: api.ByName{Name: args[0]}, Body: api.SSHKeyBody{PublicKey: text}})
			if err != nil {
				return err
			}
			return a.printDone(k, "key %s is set", k.Name)
		},
	})
	return noun("keys", "SSH public keys", []string{"key", "ssh-keys"}, list, show, set,
		a.deleteCommand("KEY", "Delete an SSH key", keyNames(), (*client.Client).DeleteSSHKey))
}

// readKey reads a public key, and sends no private one.
func (a *app) readKey(file string) (string, error) {
	text, err := a.readFile(file, maxKey)
	if err != nil {
		return "", err
	}
	key := strings.TrimSpace(text)
	if strings.Contains(key, "PRIVATE KEY") {
		return "", metal.Errorf(metal.Invalid, "%s holds a private key, which is not sent: give the public one, as in %s.pub", file, file)
	}
	return key, nil
}
