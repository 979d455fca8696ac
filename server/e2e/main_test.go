// Package e2e_test boots virtual machines from the network, by real firmware and against a real metald process, and
// looks at what a person would look at: the API, the console, DNS, and a login.
package e2e_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The environment variables that say where the programs are (default: they are built) and what is built once is kept
// (default: the user's cache directory).
const (
	programsVariable = "METAL_PROGRAMS"
	cacheVariable    = "METAL_CACHE"
)

const module = "github.com/metalform/terraform-provider-metal/"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if testing.Short() || os.Getenv(programsVariable) != "" || os.Geteuid() != 0 {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "metal-e2e-")
	if err == nil {
		defer os.RemoveAll(dir)
		err = build(dir)
	}
	if err == nil {
		err = os.Setenv(programsVariable, dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

// build builds the programs of a rack into dir.
func build(dir string) error {
	for _, p := range []struct{ cgo, path, name string }{
		{"1", "server", "metald"},
		{"0", "server/cmd/metal-agent", "metal-agent"},
		{"0", "provider", "terraform-provider-metal"},
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, p.name), module+p.path)
		cmd.Env = append(os.Environ(), "CGO_ENABLED="+p.cgo)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.name, err, out)
		}
	}
	return nil
}

// programs is the directory with metald, metal-agent and the provider.
func programs(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs(os.Getenv(programsVariable))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func cache(t *testing.T) string {
	t.Helper()
	dir := os.Getenv(cacheVariable)
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		dir = filepath.Join(user, "metalform")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// need skips a test in a short run, and where a tool or root is missing; in CI, where all must be there, it fails.
func need(t *testing.T, tools ...string) {
	t.Helper()
	if testing.Short() {
		t.Skip("boots virtual machines")
	}
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, tool := range append(tools, "ip", "qemu-system-x86_64", "qemu-img", "grub-mkimage", "ssh", "ssh-keygen") {
		if _, err := exec.LookPath(tool); err != nil {
			missing = append(missing, tool)
		}
	}
	switch {
	case len(missing) == 0:
	case os.Getenv("CI") != "":
		t.Fatalf("missing: %v", missing)
	default:
		t.Skipf("missing: %v", missing)
	}
}
