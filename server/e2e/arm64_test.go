package e2e_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

// TestAnArm64MachineLives takes one through its life: it enlists by the PXE of its firmware, is adopted, commissioned,
// deployed, logged in to, and given back.
func TestAnArm64MachineLives(t *testing.T) {
	need(t, "qemu-system-aarch64")
	assets, err := demo.BuildArm64(t.Context(), cache(t), programs(t))
	if err != nil {
		t.Fatal(err)
	}
	g := raiseWith(t, lab.Config{Arch: metal.ARM64, Firmware: metal.UEFI, BMC: lab.Redfish, MemoryMiB: 1024, CPUs: 2}, assets.Env,
		filepath.Dir(assets.ImageA), `boot = "4m"`, `report = "5m"`)
	if err := g.Lab.Act(t.Context(), g.node.Name, lab.PowerOn); err != nil {
		t.Fatal(err)
	}
	m, err := g.AwaitMachine(soon(t), g.node.MACs[0], func(m metal.Machine) bool { return m.Hardware.CPUs > 0 })
	if err != nil {
		t.Fatal(err)
	}
	if h := m.Hardware; m.State != metal.New || h.Arch != metal.ARM64 || h.BootMode != metal.UEFI || h.Serial != g.node.Serial || h.Disks != 1 || h.CPUs != 2 {
		t.Errorf("enlisted: got %s, %+v; want a new machine of arm64", m.State, h)
	}
	m = g.commission(t, g.declare(t, "n1").ID)
	for name, arch := range map[string]metal.Arch{"a": metal.ARM64, "pc": metal.AMD64} {
		image, err := g.Client.PutImage(t.Context(), api.PutImageRequest{
			ByName: api.ByName{Name: name}, Body: metal.ImageSpec{Source: assets.ImageA, Arch: arch, Reports: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		g.ended(t, image.OperationID)
	}
	if _, err := g.Client.PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "web"}}); err != nil {
		t.Fatal(err)
	}
	_, err = g.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: g.spec(t, "pc", "", "")}})
	if err == nil || !strings.Contains(err.Error(), "amd64") {
		t.Errorf("an image for PCs: got %v; want it refused", err)
	}
	d, err := g.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: m.ID, DeploymentBody: g.spec(t, "a", "", "")}})
	if err != nil {
		t.Fatal(err)
	}
	d = g.deployed(t, d)
	if got := g.login(t, d, "uname -m; hostname"); got != "aarch64\nn1" {
		t.Errorf("logged in: got %q; want aarch64 and n1", got)
	}
	op, err := g.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: api.ByID{ID: "web"}})
	if err != nil {
		t.Fatal(err)
	}
	g.ended(t, op.ID)
}
