package metal_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var update = flag.Bool("update", false, "write docs/lifecycle.md")

// TestTheDocumentedLifecycleIsThatOfTheTables prints the tables, and compares them with what is checked in.
func TestTheDocumentedLifecycleIsThatOfTheTables(t *testing.T) {
	const path = "../../docs/lifecycle.md"
	got := document()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("docs/lifecycle.md is stale: run go test ./internal/metal -update\n%s", diff)
	}
}

func document() string {
	var b strings.Builder
	b.WriteString("# The life of a machine\n\n" +
		"Generated from the tables in internal/metal/state.go: run `go test ./internal/metal -update`.\n\n" +
		"A resting state changes only by command. A working state has a job and a deadline: it ends in success, in failure\n" +
		"(the deadline is one), or by abort.\n\n")
	b.WriteString("```mermaid\nstateDiagram-v2\n    [*] --> new\n")
	for _, w := range metal.Works() {
		for _, from := range w.From {
			arrow(&b, from, w.State, string(w.Command))
		}
		arrow(&b, w.State, w.Done, "done")
		arrow(&b, w.State, w.Failed, "failed")
		if w.Aborted != metal.Back && w.Aborted != w.Failed {
			arrow(&b, w.State, w.Aborted, "aborted")
		}
	}
	for _, m := range metal.Moves() {
		for _, from := range m.From {
			arrow(&b, from, m.To, string(m.Command))
		}
	}
	b.WriteString("    retired --> [*]\n```\n\n## Work\n\n" +
		"| state | entered by | from | done | failed | aborted | limit |\n|---|---|---|---|---|---|---|\n")
	for _, w := range metal.Works() {
		command, from := string(w.Command), list(w.From)
		if command == "" {
			command, from = "success of the state before", before(w.State)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", w.State, command, from, w.Done, w.Failed, strings.Trim(string(w.Aborted), "()"), w.Limit)
	}
	b.WriteString("\n## Moves\n\nThese take effect at once.\n\n| command | from | to |\n|---|---|---|\n")
	for _, m := range metal.Moves() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", m.Command, list(m.From), m.To)
	}
	return b.String()
}

func arrow(b *strings.Builder, from, to metal.State, label string) {
	fmt.Fprintf(b, "    %s --> %s: %s\n", from, to, label)
}

func list(states []metal.State) string {
	names := make([]string, len(states))
	for i, s := range states {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// before lists the working states whose success leads to s.
func before(s metal.State) string {
	var states []metal.State
	for _, w := range metal.Works() {
		if w.Done == s {
			states = append(states, w.State)
		}
	}
	return list(states)
}
