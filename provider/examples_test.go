package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const examplesDir = "../examples"

const requirement = "terraform {\n  required_providers {\n    metal = { source = \"metalform/metal\" }\n  }\n}\n"

// examples validates every example as a module of one configuration.
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
}

// arguments are what a module needs that is an example. Those with a provider block of their own are roots.
func arguments(dir string) string {
	switch filepath.Base(dir) {
	case "metal_machine":
		if strings.HasPrefix(dir, "resources") {
			return "  bmc_password = \"\"\n"
		}
	case "metal_dns_key":
		return "  transfer_secret = \"c2VjcmV0IG9mIHRoZSBleGFtcGxlcw==\"\n"
	case "instance":
		return "  name  = \"web\"\n  image = \"debian\"\n"
	case "luks":
		return "  disk_key = \"correct horse battery\"\n"
	case "provider":
		return "  metal_token = \"\"\n"
	}
	return ""
}

func exampleDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	for _, pattern := range []string{"resources/*", "data-sources/*", "modules/*", "storage/*", "network-config/*", "os/*", "network", "provider"} {
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
