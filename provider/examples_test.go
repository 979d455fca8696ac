package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const examplesDir = "../examples"

const requirement = "terraform {\n  required_providers {\n    metal = { source = \"metalform/metal\" }\n  }\n}\n"

// examples validates every example as a module of one configuration, and applies the quickstart.
func examples(t *testing.T, p *program) {
	w := newWorkspace(t, p, "")
	var root strings.Builder
	for _, dir := range exampleDirs(t) {
		name := strings.NewReplacer("/", "_", "-", "_").Replace(dir)
		copyDir(t, filepath.Join(examplesDir, dir), filepath.Join(w.dir, name))
		if !strings.Contains(contentOf(t, filepath.Join(w.dir, name)), "required_providers") {
			write(t, filepath.Join(w.dir, name, "required.tf"), requirement)
		}
		fmt.Fprintf(&root, "module %q {\n  source = \"./%s\"\n%s}\n", name, name, arguments(dir))
	}
	write(t, filepath.Join(w.dir, "modules.tf"), root.String())
	w.terraform("get", "-no-color")
	w.wants(w.terraform("validate", "-no-color"), "The configuration is valid")
	quickstart(t, p)
}

// arguments are what a module needs that is an example. Those with a provider block of their own are roots.
func arguments(dir string) string {
	switch filepath.Base(dir) {
	case "metal_machine":
		if strings.HasPrefix(dir, "resources") {
			return "  bmc_password = \"\"\n"
		}
	case "instance":
		return "  name  = \"web\"\n  image = \"debian\"\n"
	case "provider":
		return "  metal_token = \"\"\n"
	}
	return ""
}

func exampleDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, pattern := range []string{"resources/*", "data-sources/*", "modules/*", "provider"} {
		found, err := filepath.Glob(filepath.Join(examplesDir, pattern))
		if err != nil || len(found) == 0 {
			t.Fatalf("got no examples for %s (%v)", pattern, err)
		}
		for _, dir := range found {
			dirs = append(dirs, strings.TrimPrefix(dir, examplesDir+"/"))
		}
	}
	return dirs
}

func quickstart(t *testing.T, p *program) {
	l := startLab(t)
	w := newWorkspace(t, p, "", "METAL_URL="+l.URL, "METAL_TOKEN="+l.Token, `TF_VAR_bmc_passwords={n1="one",n2="two"}`)
	copyDir(t, filepath.Join(examplesDir, "quickstart"), w.dir)
	if err := os.Remove(filepath.Join(w.dir, "main.tf")); err != nil { // the quickstart says itself what it requires
		t.Fatal(err)
	}
	for _, name := range []string{"debian", "other"} {
		write(t, filepath.Join(w.dir, name+".img"), name)
	}
	given, err := os.ReadFile(filepath.Join(examplesDir, "quickstart", "terraform.tfvars.example"))
	if err != nil {
		t.Fatal(err)
	}
	values := strings.NewReplacer("debian-13-generic-amd64.qcow2", "debian.img", "another.qcow2", "other.img").Replace(string(given))
	write(t, filepath.Join(w.dir, "terraform.tfvars"), values)
	var id string
	l.do(func(f *fake) { id = f.enlist("52:54:00:00:00:01").ID })
	w.wants(w.terraform("apply", "-auto-approve", "-no-color"), `ssh = "ssh root@10.0.0.`)
	if got := l.passwords["n2"]; got != "two" {
		t.Errorf("got BMC password %q at the server; want the one given", got)
	}
	w.wants(w.terraform("state", "show", "-no-color", "metal_machine.n1"), id)
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.wants(w.terraform("apply", "-auto-approve", "-no-color", "-var=image=other"), "n1 ("+id+") will be erased and reinstalled")
	if got := l.count(metal.OpUndeploy); got != 0 {
		t.Errorf("got the system taken off before another came; want a redeployment")
	}
	w.terraform("destroy", "-auto-approve", "-no-color", "-var=image=other")
	if !slices.Equal(sortedKeys(l.pools), []string{"default"}) || len(l.machines) > 0 {
		t.Errorf("got pools %v and %d machines after the destroy; want the default pool and none", sortedKeys(l.pools), len(l.machines))
	}
}

func copyDir(t *testing.T, from, to string) {
	t.Helper()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(to, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(from, entry.Name()))
		if err != nil {
			t.Fatal(err)
		}
		name := entry.Name()
		if name == "main.tf" { // the workspace has one of its own
			name = "example.tf"
		}
		write(t, filepath.Join(to, name), string(content))
	}
}

// contentOf is all files of a directory.
func contentOf(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(content)
	}
	return b.String()
}
