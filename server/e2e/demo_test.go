package e2e_test

import (
	"log/slog"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

// TestDemonstration runs what make demo shows: every line it prints was checked.
func TestDemonstration(t *testing.T) {
	for _, c := range []struct {
		name     string
		firmware metal.BootMode
		bmc      string
	}{
		{"BIOS firmware and IPMI", metal.BIOS, lab.IPMI},
		{"UEFI firmware and Redfish", metal.UEFI, lab.Redfish},
	} {
		t.Run(c.name, func(t *testing.T) {
			program := terraform(t)
			need(t, program)
			err := demo.Run(t.Context(), demo.Options{
				Firmware: c.firmware, BMC: c.bmc, Programs: programs(t), Example: "../../examples/quickstart", Cache: cache(t),
				Image: "tiny", Terraform: program, Out: t.Output(), Log: testLog(t, slog.LevelWarn),
			})
			if err != nil {
				t.Fatal(err)
			}
		})
	}
}

// terraform is the one that is installed, or the OpenTofu that make terraform built.
func terraform(t *testing.T) string {
	for _, name := range []string{"terraform", "tofu", filepath.Join(programs(t), "tofu")} {
		if _, err := exec.LookPath(name); err == nil {
			return name
		}
	}
	return "terraform"
}
