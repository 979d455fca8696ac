package e2e_test

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

func TestAnUnknownMachineEnlistsByThePXEOfItsOwnFirmware(t *testing.T) {
	enlist(t, lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish, NativePXE: true}, "PXE")
}

func TestAnUnknownMachineEnlistsByUEFIHTTPBoot(t *testing.T) {
	enlist(t, lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish, HTTPBoot: true}, "HTTP")
}

// enlist switches a machine on that nobody declared, as a person does who plugged it in. over is how its firmware
// says on the console that it boots.
func enlist(t *testing.T, cfg lab.Config, over string) {
	need(t)
	g := raise(t, cfg)
	if err := g.Lab.Act(t.Context(), g.node.Name, lab.PowerOn); err != nil {
		t.Fatal(err)
	}
	m, err := g.AwaitMachine(soon(t), g.node.MACs[0], func(m metal.Machine) bool { return m.Hardware.CPUs > 0 })
	if err != nil {
		t.Fatal(err)
	}
	if m.State != metal.New || m.Declared || m.Spec.BMC != nil {
		t.Errorf("enlisted: got %+v; want a new machine that nobody declared", m)
	}
	h := m.Hardware
	if h.BootMode != metal.UEFI || h.Arch != metal.AMD64 || h.Serial != g.node.Serial || !strings.EqualFold(h.UUID, g.node.UUID) ||
		h.Vendor != "Metalform" || h.CPUs != 1 || h.Disks != 1 || h.DiskBytes != 4<<30 || h.NICs != 1 || h.MemoryBytes != 512<<20 {
		t.Errorf("hardware: got %+v; want that of %+v", h, g.node)
	}
	if console := g.console(t); !strings.Contains(console, ">>Start "+over) || !strings.Contains(console, "unknown machine: enlisting") {
		t.Errorf("console: want the firmware's own boot over %s and the script for unknown machines:\n%s", over, tail(console))
	}
}
