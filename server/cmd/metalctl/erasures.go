package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

//go:embed erasure.html
var erasurePage string

func (a *app) erasuresCommand() *cobra.Command {
	var in api.ListEraseCertificatesRequest
	list := a.command(verb{
		use: "list", short: "List the signed records of wipes, oldest first", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[metal.EraseCertificate], error) {
				in.Page = page
				return c.ListEraseCertificates(ctx, in)
			})
			if err != nil {
				return err
			}
			return printList(a, list, table.Row{"id", "machine", "mode", "disks", "result", "certified"}, func(e metal.EraseCertificate) table.Row {
				return table.Row{e.ID, e.Machine, e.Mode, len(e.Disks), wipeResults(e.Disks), when(e.CertifiedAt)}
			})
		},
	})
	list.Flags().StringVar(&in.Machine, "machine", "", "only of this machine: its name, or its id when it is gone")
	key := a.command(verb{
		use: "key", short: "Print the public key that checks certificates, as a JWK: keep it apart from them", args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			k, err := c.GetEraseKey(ctx)
			if err != nil {
				return err
			}
			return a.printJSON(k)
		},
	})
	return noun("erasures", "Erase certificates", []string{"erasure"}, list, a.erasuresShow(), key, a.erasuresVerify())
}

// wipeResults lists what was proved, each kind once.
func wipeResults(disks []metal.DiskWiped) string {
	var kinds []string
	for _, kind := range []metal.WipeResult{metal.WipeVerified, metal.WipeTrusted, metal.WipeDataLeft} {
		for _, d := range disks {
			if d.Result == kind {
				kinds = append(kinds, string(kind))
				break
			}
		}
	}
	return words(kinds)
}

func (a *app) erasuresShow() *cobra.Command {
	var page bool
	show := a.command(verb{
		use: "show CERTIFICATE", short: "Show a certificate; as JSON (-o json) it carries its signature, as a page (--page) it prints", args: cobra.ExactArgs(1),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			e, err := c.GetEraseCertificate(ctx, args[0])
			if err != nil {
				return err
			}
			if page {
				key, err := c.GetEraseKey(ctx)
				if err != nil {
					return err
				}
				return a.printErasurePage(e, key)
			}
			if a.format == formatJSON {
				return a.printJSON(e)
			}
			return a.printErasure(e.EraseRecord)
		},
	})
	show.Flags().BoolVar(&page, "page", false, "print an HTML page, to be filed or printed")
	return show
}

func (a *app) printErasure(e metal.EraseRecord) error {
	rows := make([]field, 0, 8+len(e.Disks))
	rows = append(rows, field{"certificate", e.ID}, field{"machine", fmt.Sprintf("%s (%s)", e.Machine, e.MachineID)},
		field{"chassis", told(e.Vendor, e.Product, e.Serial)}, field{"claim", e.Allocation}, field{"mode", e.Mode}, field{"certified", when(e.CertifiedAt)})
	for _, d := range e.Disks {
		rows = append(rows, field{"disk " + d.Name, fmt.Sprintf("%s, %s, %s: %s (%d of %d blocks read back held data)",
			told(d.Model, d.Serial), size(d.Bytes), d.Method, d.Result, d.NonZero, d.Sampled)})
	}
	return a.printObject(e, rows...)
}

// told joins what is known.
func told(facts ...string) string {
	return words(slices.DeleteFunc(facts, func(s string) bool { return s == "" }))
}

func (a *app) printErasurePage(e metal.EraseCertificate, key metal.JWK) error {
	signed, err := json.MarshalIndent(e.Signed, "", "  ")
	if err != nil {
		return err
	}
	jwk, err := json.MarshalIndent(key, "", "  ")
	if err != nil {
		return err
	}
	page, err := template.New("erasure").Funcs(template.FuncMap{"size": size, "when": when}).Parse(erasurePage)
	if err != nil {
		return err
	}
	return page.Execute(a.out, map[string]any{"Record": e.EraseRecord, "Signed": string(signed), "Key": string(jwk)})
}

func (a *app) erasuresVerify() *cobra.Command {
	var keyFile string
	verify := &cobra.Command{
		Use: "verify FILE", Short: "Check a certificate's signature, from a file of show -o json or from standard input (-); no server is asked",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			var e metal.EraseCertificate
			if err := a.readJSON(args[0], &e); err != nil {
				return err
			}
			var key metal.JWK
			if err := a.readJSON(keyFile, &key); err != nil {
				return err
			}
			record, err := metal.VerifyErase(e.Signed, key)
			if err != nil {
				return err
			}
			return a.printErasure(record)
		},
	}
	verify.Flags().StringVar(&keyFile, "key", "", "file of the server's public key, as metalctl erasures key printed it")
	_ = verify.MarkFlagRequired("key") // it fails only for a flag that is not there
	return verify
}

// mostDocument bounds a certificate and a key.
const mostDocument = 1 << 20

func (a *app) readJSON(file string, into any) error {
	text, err := a.readFile(file, mostDocument)
	if err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(text), into); err != nil {
		return metal.Errorf(metal.Invalid, "read %s: it is not the JSON that was expected: %v", file, err)
	}
	return nil
}
