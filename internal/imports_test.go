package internal

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/metalform/terraform-provider-metal/"

// may is the architecture: each package, and the packages of ours that its code (not its tests) may import. A package
// without a line fails. Services do not import one another: they meet in the store, and daemon passes it to them.
var may = map[string][]string{
	"internal/metal":  {},
	"internal/api":    {"internal/metal"},
	"internal/client": {"internal/metal", "internal/api"},

	"provider": {"internal/metal", "internal/api", "internal/client"},

	"server":              {"internal/metal", "server/internal/daemon", "server/internal/bootenv"},
	"server/cmd/metalctl": {"internal/metal", "internal/api", "internal/client"},
	"server/cmd/metal-agent": {
		"internal/metal", "server/internal/agent", "server/internal/agentapi", "server/internal/agent/...",
	},
	"server/cmd/metal-lab": {
		"internal/metal", "server/internal/lab", "server/internal/lab/osimage", "server/internal/lab/demo",
	},
	"server/servertest": {
		"internal/metal", "internal/api", "internal/client", "server/internal/daemon", "server/internal/agentapi",
		"server/internal/bmc/bmctest",
	},

	"server/internal/udp": {"internal/metal"},
	// Namespaces that tests run in; nothing but tests imports it.
	"server/internal/netns": {},

	"server/internal/seal":   {},
	"server/internal/ipam":   {"internal/metal"},
	"server/internal/layout": {"internal/metal"},
	// Boot profiles: their templates rendered, and the files that they name.
	"server/internal/profile":  {"internal/metal"},
	"server/internal/bootfile": {"internal/metal"},
	// The network as it is in memory: fed from the store by daemon, asked by the services.
	"server/internal/lease":     {"internal/metal", "server/internal/ipam"},
	"server/internal/zone":      {"internal/metal"},
	"server/internal/link":      {"internal/metal"},
	"server/internal/neighbour": {"internal/metal"},
	"server/internal/dhcp6":     {"internal/metal", "server/internal/udp", "server/internal/boot"},

	"server/internal/bmc":         {"internal/metal"},
	"server/internal/bmc/ipmi":    {"internal/metal", "server/internal/bmc"},
	"server/internal/bmc/redfish": {"internal/metal", "server/internal/bmc"},
	"server/internal/bmc/bmctest": {"internal/metal"},

	"server/internal/agentapi":    {"internal/metal", "server/internal/image/chunk"},
	"server/internal/metadata":    {"internal/metal"},
	"server/internal/netconf":     {"internal/metal"},
	"server/internal/image":       {"internal/metal", "server/internal/image/..."},
	"server/internal/image/...":   {"internal/metal"},
	"server/internal/bootenv":     {"internal/metal"},
	"server/internal/store":       {"internal/metal", "server/internal/seal"},
	"server/internal/boot":        {"internal/metal", "server/internal/agentapi"},
	"server/internal/agent":       {"internal/metal", "server/internal/agentapi", "server/internal/agent/..."},
	"server/internal/agent/...":   {"internal/metal", "server/internal/agentapi", "server/internal/image/chunk", "server/internal/agent/..."},
	"server/internal/dhcp":        {"internal/metal", "server/internal/udp", "server/internal/boot"},
	"server/internal/tftp":        {"internal/metal", "server/internal/udp"},
	"server/internal/dns":         {"internal/metal", "server/internal/udp", "server/internal/zone"},
	"server/internal/ntp":         {"internal/metal", "server/internal/udp"},
	"server/internal/ra":          {"internal/metal"},
	"server/internal/lab":         {"internal/metal", "server/internal/bmc/bmctest"},
	"server/internal/lab/osimage": {"internal/metal", "server/internal/bootenv"},
	"server/internal/lab/rack":    {"internal/metal", "internal/api", "internal/client", "server/internal/lab"},
	"server/internal/lab/demo": {
		"internal/metal", "internal/api", "server/internal/lab", "server/internal/lab/rack", "server/internal/lab/osimage",
	},

	"server/internal/lifecycle": {
		"internal/metal", "server/internal/store", "server/internal/bmc", "server/internal/agentapi",
	},
	"server/internal/fleet": {
		"internal/metal", "internal/api", "server/internal/store", "server/internal/lifecycle", "server/internal/ipam",
		"server/internal/metadata", "server/internal/agentapi", "server/internal/layout", "server/internal/zone", "server/internal/profile",
		"server/internal/netconf",
	},
	"server/e2e":                {},
	"server/e2e/benchnet":       {"internal/...", "server/e2e/benchnet/..."},
	"server/e2e/benchnet/...":   {"internal/...", "server/e2e/benchnet/..."},
	"server/e2e/benchdeploy":    {"internal/...", "server/e2e/benchnet/...", "server/internal/agentapi", "server/internal/agent/..."},
	"server/e2e/bench":          {"internal/...", "server/internal/lab", "server/internal/lab/..."},
	"server/e2e/bench/bareinit": {"server/internal/agent/..."},

	"server/internal/httpapi": {"internal/metal", "internal/api"},
	"server/internal/daemon":  {"internal/...", "server/internal/..."},
}

type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

func list(t *testing.T, env []string, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Deps"}, args...)...)
	cmd.Dir = ".."
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var all []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("go list: %v\n%s", err, stderr.String())
		}
		all = append(all, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	return all
}

// allowed returns the table's line for a package, by its own name or by a "..." that covers it.
func allowed(name string) ([]string, bool) {
	if line, ok := may[name]; ok {
		return line, true
	}
	for key, line := range may {
		if covers(key, name) {
			return line, true
		}
	}
	return nil, false
}

func covers(pattern, name string) bool {
	prefix, wild := strings.CutSuffix(pattern, "...")
	return pattern == name || wild && strings.HasPrefix(name, prefix)
}

func TestPackagesImportOnlyWhatTheTableAllows(t *testing.T) {
	for _, p := range list(t, nil, "./...") {
		name := strings.TrimPrefix(p.ImportPath, module)
		if name == "internal" {
			continue // this test
		}
		line, ok := allowed(name)
		if !ok {
			t.Errorf("%s has no line in the table", name)
		}
		for _, imported := range p.Imports {
			ours, is := strings.CutPrefix(imported, module)
			if !is {
				continue
			}
			if !slices.ContainsFunc(line, func(pattern string) bool { return covers(pattern, ours) }) {
				t.Errorf("%s imports %s, which its line does not allow", name, ours)
			}
		}
	}
}

func TestTheDomainDoesNoIO(t *testing.T) {
	for _, p := range list(t, nil, "./internal/metal") {
		for _, bad := range []string{"os", "net", "net/http", "database/sql", "io/fs"} {
			if slices.Contains(p.Imports, bad) {
				t.Errorf("internal/metal imports %s", bad)
			}
		}
		for _, imported := range p.Imports {
			if strings.Contains(imported, ".") {
				t.Errorf("internal/metal imports %s, and may import the standard library only", imported)
			}
		}
	}
}

func TestTheSmallProgramsHaveNoDatabaseInThem(t *testing.T) {
	for _, p := range list(t, []string{"CGO_ENABLED=0"}, "./provider", "./server/cmd/...") {
		for _, dep := range p.Deps {
			if strings.Contains(dep, "sqlite") || dep == "runtime/cgo" {
				t.Errorf("%s depends on %s", p.ImportPath, dep)
			}
		}
	}
}
