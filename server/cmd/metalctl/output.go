package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/metalform/terraform-provider-metal/internal/api"
)

const (
	formatTable = "table"
	formatJSON  = "json"
)

// everything reads all pages of a list.
func everything[T any](fetch func(api.Page) (api.List[T], error)) (api.List[T], error) {
	all := api.List[T]{Items: []T{}}
	for page := (api.Page{}); ; {
		part, err := fetch(page)
		if err != nil {
			return api.List[T]{}, err
		}
		all.Items = append(all.Items, part.Items...)
		if part.Next == "" {
			return all, nil
		}
		page.After = part.Next
	}
}

// printList prints a list: as the API's document, or as a table with one row for each item.
func printList[T any](a *app, list api.List[T], header table.Row, row func(T) table.Row) error {
	if a.format == formatJSON {
		return a.printJSON(list)
	}
	t := a.newTable()
	t.AppendHeader(header)
	for _, item := range list.Items {
		t.AppendRow(row(item))
	}
	t.Render()
	return nil
}

// A field is one line of an object shown as text.
type field struct {
	name  string
	value any
}

// printObject prints one object: as the API's document, or as lines of name and value; fields with a zero value are
// left out.
func (a *app) printObject(object any, fields ...field) error {
	if a.format == formatJSON {
		return a.printJSON(object)
	}
	t := a.newTable()
	for _, f := range fields {
		if !reflect.ValueOf(f.value).IsZero() {
			t.AppendRow(table.Row{f.name + ":", fmt.Sprint(f.value)})
		}
	}
	t.Render()
	return nil
}

// printDone prints the object, or in tables a line that says what was done.
func (a *app) printDone(object any, format string, args ...any) error {
	if a.format == formatJSON {
		return a.printJSON(object)
	}
	_, err := fmt.Fprintf(a.out, format+"\n", args...)
	return err
}

func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}

// newTable returns a table without lines, which is easy to read and to cut.
func (a *app) newTable() table.Writer {
	t := table.NewWriter()
	t.SetOutputMirror(a.out)
	t.SuppressTrailingSpaces()
	box := table.StyleBoxDefault
	box.PaddingLeft, box.PaddingRight = "", "  "
	t.SetStyle(table.Style{Box: box, Options: table.OptionsNoBordersAndSeparators, Format: table.FormatOptions{Header: text.FormatUpper}})
	return t
}

// when shows a time in UTC; nothing for none.
func when(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

// size shows a number of bytes in the largest unit that leaves at least one.
func size(bytes int64) string {
	const units = "KMGTPE"
	if bytes < 1024 {
		if bytes == 0 {
			return ""
		}
		return fmt.Sprintf("%d B", bytes)
	}
	value, unit := float64(bytes)/1024, 0
	for value >= 1024 && unit < len(units)-1 {
		value /= 1024
		unit++
	}
	return fmt.Sprintf("%.1f %ciB", value, units[unit])
}

// words joins texts for one cell.
func words[S ~string](items []S) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = string(item)
	}
	return strings.Join(texts, ", ")
}

// yes shows true only: what is not so needs no ink.
func yes(b bool) string {
	if b {
		return "yes"
	}
	return ""
}
