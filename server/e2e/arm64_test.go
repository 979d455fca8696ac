package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

func TestAnArm64MachineLives(t *testing.T) { arm64Life(t, false) }

// TestAnArm64MachineLivesWithSecureBoot has firmware that runs only what Microsoft's keys vouch for.
func TestAnArm64MachineLivesWithSecureBoot(t *testing.T) {
	if os.Getenv("METAL_NIGHTLY") == "" {
		t.Skip("another processor is emulated once more, which takes minutes: METAL_NIGHTLY=1 runs it, and so does make nightly")
	}
	arm64Life(t, true)
}

// arm64Life takes a machine through its life: it enlists by the PXE of its firmware, is adopted, commissioned, deployed,
// logged in to, reset, and given back.
func arm64Life(t *testing.T, secure bool) {
	t.Helper()
	need(t, "qemu-system-aarch64", "curl")
	assets, err := demo.BuildArm64(t.Context(), cache(t), programs(t))
	if err != nil {
		t.Fatal(err)
	}
	g := raiseWith(t, lab.Config{
		Arch: metal.ARM64, Firmware: metal.UEFI, SecureBoot: secure, BMC: lab.Redfish, MemoryMiB: 1024, CPUs: 2,
	}, assets.Env, filepath.Dir(assets.ImageA), `boot = "4m"`, `report = "5m"`)
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
	m = g.declare(t, "n1")
	spec := m.Spec // from the next boot on, the kernel's own word for Secure Boot is for the console
	spec.KernelParameters = "loglevel=7"
	if m, err = g.Client.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: api.ByID{ID: m.ID}, Body: api.MachineBody{MachineSpec: spec}}); err != nil {
		t.Fatal(err)
	}
	m = g.commission(t, m.ID)
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
	g.wantRedfishReset(t, d) // then it comes back by GRUB from the network
	op, err := g.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: api.ByID{ID: "web"}})
	if err != nil {
		t.Fatal(err)
	}
	g.ended(t, op.ID)
	if said := strings.Contains(g.console(t), "secureboot: Secure boot enabled"); said != secure {
		t.Errorf("the RAM environment's kernel says that Secure Boot is on: got %t; want %t", said, secure)
	}
}
