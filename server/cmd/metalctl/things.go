package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A thing is a kind of named things that are declared: they are listed, shown, set and deleted in the same way.
type thing[T any] struct {
	noun, one string // as in "fabrics" and "fabric"
	about     string
	list      func(*client.Client, context.Context, api.ListByNamesRequest) (api.List[T], error)
	get       func(*client.Client, context.Context, api.ByName) (T, error)
	remove    func(*client.Client, context.Context, api.DeleteByNameRequest) error
	name      func(T) string
	header    table.Row
	row       func(T) table.Row
	fields    func(T) []field
}

func (t thing[T]) names() completion {
	return namesOf(func(c *client.Client, ctx context.Context, page api.Page) (api.List[T], error) {
		return t.list(c, ctx, api.ListByNamesRequest{Page: page})
	}, t.name)
}

// placeholder is how usage names a thing.
func (t thing[T]) placeholder() string {
	return strings.ToUpper(t.one)
}

// command makes the noun's command, with verbs beside those that all things have.
func (t thing[T]) command(a *app, more ...*cobra.Command) *cobra.Command {
	list := a.command(verb{
		use: "list", short: "List " + t.noun, args: cobra.NoArgs,
		run: func(ctx context.Context, c *client.Client, _ []string) error {
			list, err := everything(func(page api.Page) (api.List[T], error) {
				return t.list(c, ctx, api.ListByNamesRequest{Page: page})
			})
			if err != nil {
				return err
			}
			return printList(a, list, t.header, t.row)
		},
	})
	show := a.command(verb{
		use: "show " + t.placeholder(), short: "Show a " + t.one, args: cobra.ExactArgs(1), complete: t.names(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			one, err := t.get(c, ctx, api.ByName{Name: args[0]})
			if err != nil {
				return err
			}
			return a.printObject(one, t.fields(one)...)
		},
	})
	verbs := slices.Concat([]*cobra.Command{list, show}, more, []*cobra.Command{a.deleteCommand(t.placeholder(), "Delete a "+t.one, t.names(), t.remove)})
	return noun(t.noun, t.about, []string{t.one}, verbs...)
}

// spec is what is set of a thing: what it is now, and how it is written.
type spec[T, S any] struct {
	of  func(T) (S, int64) // the spec, and the revision that it is of
	put func(c *client.Client, ctx context.Context, name api.ByName, unchanged api.Precondition, body S) (T, error)
}

// setCommand makes the command that makes a thing, or changes what flags name, and only if nobody else changed the
// thing in between.
func setCommand[T, S any](a *app, t thing[T], s spec[T, S], flags func(*edits[S])) *cobra.Command {
	var change edits[S]
	cmd := a.command(verb{
		use: "set " + t.placeholder(), short: "Make a " + t.one + ", or change what the flags name", args: cobra.ExactArgs(1), complete: t.names(),
		run: func(ctx context.Context, c *client.Client, args []string) error {
			name := api.ByName{Name: args[0]}
			var body S
			var unchanged api.Precondition
			old, err := t.get(c, ctx, name)
			switch {
			case err == nil:
				var revision int64
				body, revision = s.of(old)
				unchanged.IfMatch = fmt.Sprintf(`"%d"`, revision)
			case metal.CodeOf(err) != metal.NotFound:
				return err
			}
			change.apply(&body)
			now, err := s.put(c, ctx, name, unchanged, body)
			if err != nil {
				return err
			}
			return a.printDone(now, "%s %s is set", t.one, t.name(now))
		},
	})
	change.flags = cmd.Flags()
	flags(&change)
	return cmd
}
