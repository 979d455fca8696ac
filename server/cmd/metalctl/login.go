package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// maxSecret bounds what is read for a token or a password.
const maxSecret = 4096

func (a *app) loginCommand() *cobra.Command {
	var tokenFile, caFile string
	var insecure bool
	cmd := &cobra.Command{
		Use:   "login URL",
		Short: "Remember a server and a token for later calls",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg := client.Config{URL: strings.TrimRight(args[0], "/"), Insecure: insecure, UserAgent: "metalctl/" + a.version, Patience: patience}
			var err error
			if cfg.Token, err = a.readSecret(tokenFile, "Token: "); err != nil {
				return err
			}
			if caFile != "" {
				if cfg.CA, err = os.ReadFile(caFile); err != nil {
					return metal.Errorf(metal.Invalid, "read the certificate authority: %w", err)
				}
			}
			return a.login(cmd.Context(), cfg)
		},
	}
	cmd.Flags().StringVar(&tokenFile, "token-file", "", "file with the token, or - for standard input; default: ask")
	cmd.Flags().StringVar(&caFile, "ca-file", "", "file with the certificate authority of the server, in PEM form")
	cmd.Flags().BoolVar(&insecure, "insecure", false, "accept any certificate; whoever is on the way can read the token")
	return cmd
}

// login stores nothing that the server did not accept.
func (a *app) login(ctx context.Context, cfg client.Config) error {
	c, err := client.New(cfg)
	if err != nil {
		return err
	}
	status, err := c.GetStatus(ctx)
	if err != nil {
		return err
	}
	path, err := client.SaveLogin(cfg)
	if err != nil {
		return err
	}
	return a.printDone(status, "logged in to %s (metald %s) as %s; stored in %s", c.Host(), status.Version, status.Token, path)
}

// readSecret reads a secret from a file, from standard input ("-"), or else asks for it without showing it.
func (a *app) readSecret(file, prompt string) (metal.Secret, error) {
	var text []byte
	var err error
	switch file {
	case "":
		terminal, ok := a.in.(*os.File)
		if !ok || !term.IsTerminal(int(terminal.Fd())) {
			return metal.Secret{}, metal.Errorf(metal.Invalid, "there is no terminal to ask for the secret on: give a file, or - for standard input")
		}
		fmt.Fprint(a.errOut, prompt)
		text, err = term.ReadPassword(int(terminal.Fd()))
		fmt.Fprintln(a.errOut)
	case "-":
		text, err = bufio.NewReader(io.LimitReader(a.in, maxSecret)).ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			err = nil
		}
	default:
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return metal.Secret{}, metal.Errorf(metal.Invalid, "read the secret: %w", err)
	}
	return metal.NewSecret(strings.TrimSpace(string(text))), nil
}
