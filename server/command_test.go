package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestCheckTellsFaultsAndStartsNothing(t *testing.T) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	for _, test := range []struct {
		name, text, want string
	}{
		{"a good configuration", "interface = \"lo\"\ndata_dir = \"" + data + "\"\n", ""},
		{"two faults", "interface = \"lo\"\nntp {\n  local_stratum = 99\n}\napi {\n  listen = \"x\"\n}\n", "the configuration has 2 faults"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(dir, "metald.hcl")
			if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
				t.Fatal(err)
			}
			c := command()
			c.SetArgs(longFlags([]string{"serve", "-config", path, "-check"}))
			var out bytes.Buffer
			c.SetOut(&out)
			c.SetErr(&out)
			err := c.ExecuteContext(t.Context())
			if test.want == "" && err != nil || test.want != "" && (metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("got %v; want %q", err, test.want)
			}
			if _, err := os.Stat(data); err == nil {
				t.Error("it made the data directory")
			}
		})
	}
}

func TestOneDashIsTwo(t *testing.T) {
	got := longFlags([]string{"serve", "-config", "x", "--check", "-h", "-"})
	if want := []string{"serve", "--config", "x", "--check", "-h", "-"}; !slices.Equal(got, want) {
		t.Errorf("got %v; want %v", got, want)
	}
}
