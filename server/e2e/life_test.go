package e2e_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
)

// Said on the console by the boot script of a machine that is to start its own disk, and by the tiny system.
const (
	sentToDisk = "booting its own disk"
	sentToRAM  = "booting the RAM environment"
	systemUp   = "TINY-READY"
)

// TestBIOSMachine takes one machine, behind an IPMI BMC, through what can happen to it. Each part begins where the
// one before ended.
func TestBIOSMachine(t *testing.T) {
	need(t, "ipmitool", "dig", "chronyd", "ntpdate", "dhclient")
	g := raise(t, lab.Config{Firmware: metal.BIOS, BMC: lab.IPMI})
	var m metal.Machine
	var d metal.Deployment
	parts := []struct {
		name string
		run  func(t *testing.T)
	}{
		{"its name answers as soon as it is declared", func(t *testing.T) {
			m = g.declare(t, "n1")
			g.wantNames(t, m)
		}},
		{"metald's clock can be asked", func(t *testing.T) { g.wantTime(t) }},
		{"a stranger gets a dynamic lease", func(t *testing.T) { g.wantLease(t) }},
		{"it is commissioned", func(t *testing.T) {
			g.images(t)
			m = g.commission(t, m.ID)
			if h := m.Hardware; h.BootMode != metal.BIOS || h.Disks != 1 || h.Serial != g.node.Serial {
				t.Errorf("hardware: got %+v; want that of %+v", h, g.node)
			}
		}},
		{"it is deployed and calls back", func(t *testing.T) {
			d = g.deploy(t)
			g.wantSystem(t, d, "A")
		}},
		{"after a reset it comes back from its own disk", func(t *testing.T) {
			g.wantLocalBoot(t, d, func(t *testing.T) {
				host, port, _ := strings.Cut(g.node.BMC.Address, ":")
				g.run(t, "ipmitool", "-I", "lanplus", "-C", "17", "-H", host, "-p", port, "-U", g.node.BMC.Username, "-f", g.node.BMC.PasswordFile,
					"chassis", "power", "reset")
			})
		}},
		{"it is deployed again, and kexec starts the system", func(t *testing.T) {
			before := g.console(t)
			d = g.deployed(t, g.update(t, d, g.spec(t, "b", "kexec", "1")))
			g.wantSystem(t, d, "B")
			since := g.console(t)[len(before):]
			if strings.Count(since, sentToRAM) != 1 || strings.Contains(since, sentToDisk) || strings.Count(since, "SeaBIOS") > 1 {
				t.Errorf("console: want one start of the firmware, into the RAM environment, and none after the image was written:\n%s", tail(since))
			}
		}},
		{"it is deployed though metald is killed in the middle", func(t *testing.T) {
			d = g.deployThroughKills(t, d)
			g.wantSystem(t, d, "A")
			g.wantNames(t, m)
		}},
	}
	for _, p := range parts {
		if !t.Run(p.name, p.run) {
			return
		}
	}
}

// TestUEFIMachine is the part of that which differs with the firmware, behind a Redfish BMC.
func TestUEFIMachine(t *testing.T) {
	need(t, "curl")
	g := raise(t, lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish})
	g.images(t)
	m := g.declare(t, "n1")
	m = g.commission(t, m.ID)
	if m.Hardware.BootMode != metal.UEFI {
		t.Errorf("boot mode: got %s; want uefi", m.Hardware.BootMode)
	}
	d := g.deploy(t)
	g.wantSystem(t, d, "A")
	g.wantRedfishReset(t, d)
}

// wantRedfishReset resets the machine through its BMC.
func (g *rig) wantRedfishReset(t *testing.T, d metal.Deployment) {
	t.Helper()
	g.wantLocalBoot(t, d, func(t *testing.T) {
		root := g.node.BMC.Address + "/redfish/v1/Systems"
		auth := g.node.BMC.Username + ":" + g.node.BMC.Password.Reveal()
		systems := g.run(t, "curl", "-sSfk", "-u", auth, root)
		_, id, _ := strings.Cut(systems, `/redfish/v1/Systems/`)
		id, _, _ = strings.Cut(id, `"`)
		g.run(t, "curl", "-sSfk", "-u", auth, "-H", "Content-Type: application/json", "-d", `{"ResetType":"ForceRestart"}`,
			root+"/"+id+"/Actions/ComputerSystem.Reset")
	})
}

// wantSystem looks at the deployed system from inside.
func (g *rig) wantSystem(t *testing.T, d metal.Deployment, version string) {
	t.Helper()
	if got, want := g.login(t, d, "hostname; sed -n 's/^VERSION=//p' /etc/os-release"), "n1\n\""+version+"\""; got != want {
		t.Errorf("the system says %q; want %q", got, want)
	}
}

// wantLocalBoot resets a deployed machine that starts from the network first, and wants it back as it was.
func (g *rig) wantLocalBoot(t *testing.T, d metal.Deployment, reset func(t *testing.T)) {
	t.Helper()
	const bootID = "cat /proc/sys/kernel/random/boot_id"
	first := g.login(t, d, bootID)
	before := g.console(t)
	reset(t)
	since := func() string { return g.console(t)[len(before):] }
	eventually(t, "the system is up again", func() bool { return strings.Contains(since(), systemUp) })
	if got := since(); !strings.Contains(got, "n1 is deployed: "+sentToDisk) {
		t.Errorf("console: want iPXE to be sent to the disk:\n%s", tail(got))
	}
	if again := g.login(t, d, bootID); again == first {
		t.Errorf("boot id: got %s a second time; want another boot", again)
	}
	m, err := g.Client.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: d.MachineID}})
	if err != nil || m.State != metal.Deployed {
		t.Errorf("after the reset: got %s, %v; want deployed", m.State, err)
	}
}

// deployThroughKills puts image a on the machine while metald is killed twice.
func (g *rig) deployThroughKills(t *testing.T, d metal.Deployment) metal.Deployment {
	t.Helper()
	d = g.update(t, d, g.spec(t, "a", "reboot", "2"))
	g.awaitStep(t, d, func(op metal.Operation) bool { return op.Step == "write" && op.Progress > 0 })
	g.restart(t)
	before := g.console(t)
	g.awaitStep(t, d, func(op metal.Operation) bool { return op.Step == "report" })
	eventually(t, "the machine starts again", func() bool { return len(g.console(t)) > len(before) })
	g.restart(t)
	return g.deployed(t, d)
}

// awaitStep polls the deployment's operation until it is far enough.
func (g *rig) awaitStep(t *testing.T, d metal.Deployment, far func(metal.Operation) bool) {
	t.Helper()
	ctx := soon(t)
	for {
		op, err := g.Client.GetOperation(ctx, api.GetOperationRequest{ByID: api.ByID{ID: d.OperationID}})
		if err != nil {
			t.Fatal(err)
		}
		if op.Ended() {
			t.Fatalf("the operation ended too soon: %+v", op)
		}
		if far(op) {
			return
		}
	}
}

// restart kills metald, by kill -9, and starts it again.
func (g *rig) restart(t *testing.T) {
	t.Helper()
	if err := g.KillServer(); err != nil {
		t.Fatal(err)
	}
	if err := g.StartServer(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// wantNames asks metald's name server for the machine, forwards and backwards.
func (g *rig) wantNames(t *testing.T, m metal.Machine) {
	t.Helper()
	server := "@" + g.Lab.State().Host.String()
	if got := g.run(t, "dig", server, "+short", m.FQDN, "A"); got != m.Address || !netip.MustParseAddr(got).Is4() {
		t.Errorf("%s: got %q; want %s", m.FQDN, got, m.Address)
	}
	if got, want := g.run(t, "dig", server, "+short", "-x", m.Address), m.FQDN+"."; got != want {
		t.Errorf("%s backwards: got %q; want %q", m.Address, got, want)
	}
}

// TestSecureBootMachine is a UEFI machine whose firmware runs only what Microsoft's keys vouch for: shim, Debian's
// GRUB and Debian's kernel, into the RAM environment and from the disk.
func TestSecureBootMachine(t *testing.T) {
	need(t, "curl")
	g := raise(t, lab.Config{Firmware: metal.UEFI, BMC: lab.Redfish, SecureBoot: true})
	g.images(t)
	m := g.declare(t, "n1")
	m = g.commission(t, m.ID)
	inventory, err := g.Client.GetInventory(t.Context(), api.ByID{ID: m.ID})
	if err != nil || !inventory.SecureBoot {
		t.Errorf("inventory: got Secure Boot %t, %v; want it enabled", inventory.SecureBoot, err)
	}
	d := g.deploy(t)
	g.wantSecureSystem(t, d)
	g.wantRedfishReset(t, d) // then it comes back by GRUB from the network
	g.wantSecureSystem(t, d)
	if console := g.console(t); strings.Contains(console, "iPXE") {
		t.Errorf("console: want no iPXE:\n%s", tail(console))
	}
}

// wantSecureSystem looks at the deployed system from inside.
func (g *rig) wantSecureSystem(t *testing.T, d metal.Deployment) {
	t.Helper()
	g.wantSystem(t, d, "A")
	// What the kernel's EFI stub found: secure_boot of the boot parameters (Documentation/arch/x86/zero-page).
	const found, enabled = `hexdump -s 492 -n 1 -e '1/1 "%d"' /sys/kernel/boot_params/data`, "3"
	if got := g.login(t, d, found); got != enabled {
		t.Errorf("secure_boot of the boot parameters: got %q; want %q, enabled", got, enabled)
	}
}
