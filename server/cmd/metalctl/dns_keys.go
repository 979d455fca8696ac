package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func (a *app) dnsKeysCommand() *cobra.Command {
	t := thing[metal.DNSKey]{
		noun: "keys", one: "key", about: "TSIG keys, which transfers and updates are signed with",
		list: (*client.Client).ListDNSKeys, get: (*client.Client).GetDNSKey, remove: (*client.Client).DeleteDNSKey,
		name:   func(k metal.DNSKey) string { return k.Name },
		header: table.Row{"name", "algorithm", "created"},
		row:    func(k metal.DNSKey) table.Row { return table.Row{k.Name, k.Algorithm, when(k.CreatedAt)} },
		fields: func(k metal.DNSKey) []field {
			return []field{{"name", k.Name}, {"algorithm", k.Algorithm}, {"created", when(k.CreatedAt)}}
		},
	}
	return t.command(a, a.dnsKeysAdd())
}

// secretBytes is the length of a secret that is made here: that of SHA-256, as RFC 8945, 8, advises.
const secretBytes = 32

// dnsKeysAdd makes a key. The one that is there already is never replaced: its other side would be shut out.
func (a *app) dnsKeysAdd() *cobra.Command {
	var body api.DNSKeyBody
	var file string
	cmd := a.command(verb{
		use: "add KEY", short: "Make a key, and print its secret where it is made here; it is not told again", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			name := api.ByName{Name: args[0]}
			if _, err := c.GetDNSKey(ctx, name); err == nil {
				return metal.Errorf(metal.Conflict, "there is a key %s already: delete it first, or choose another name", args[0])
			} else if metal.CodeOf(err) != metal.NotFound {
				return err
			}
			secret, made := "", file == ""
			if made {
				raw := make([]byte, secretBytes)
				rand.Read(raw)
				secret = base64.StdEncoding.EncodeToString(raw)
			} else {
				given, err := a.readFile(file, maxKey)
				if err != nil {
					return err
				}
				secret = strings.TrimSpace(given)
			}
			body.Secret = &secret
			k, err := c.PutDNSKey(ctx, api.PutDNSKeyRequest{ByName: name, Body: body})
			if err != nil {
				return err
			}
			if !made {
				return a.printDone(k, "key %s is made", k.Name)
			}
			told := struct {
				metal.DNSKey
				Secret string `json:"secret"`
			}{k, secret}
			return a.printDone(told, "%s", secret)
		},
	})
	cmd.Flags().StringVar(&body.Algorithm, "algorithm", "hmac-sha256", "hmac-sha256, hmac-sha384 or hmac-sha512")
	cmd.Flags().StringVar(&file, "secret-file", "", "file with a secret in base64 that the other side has already, or - for standard input")
	return cmd
}
