package lab

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// patience bounds waits for real programs on a loaded computer.
const patience = 90 * time.Second

// needRack skips the test where a lab cannot be made, and fails it there when CI is set.
func needRack(t *testing.T, programs ...string) {
	t.Helper()
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "root")
	}
	for _, p := range append(programs, qemuOf(metal.AMD64), qemuImg) {
		if _, err := exec.LookPath(p); err != nil {
			missing = append(missing, p)
		}
	}
	if len(missing) == 0 {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("missing: %v", missing)
	}
	t.Skipf("missing: %v", missing)
}

func testName(suffix string) string { return fmt.Sprintf("lab-test-%d-%s", os.Getpid(), suffix) }

// raise makes a lab for one test.
func raise(t *testing.T, cfg Config) *Lab {
	t.Helper()
	l, err := Up(t.Context(), cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// run runs a program inside the lab and returns what it printed.
func run(t *testing.T, l *Lab, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := l.Inside(cmd.Start)
	if err == nil {
		err = cmd.Wait()
	}
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out.String())
	}
	return strings.TrimSpace(out.String())
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not after %s: %s", patience, what)
		}
	}
}

func TestIpmitoolDrivesAMachine(t *testing.T) {
	needRack(t, "ipmitool")
	l := raise(t, Config{Dir: t.TempDir(), Name: testName("ipmi"), MemoryMiB: 128})
	b := l.State().Machines[0].BMC
	host, port, err := net.SplitHostPort(b.Address)
	if err != nil {
		t.Fatal(err)
	}
	ipmi := func(args ...string) string {
		t.Helper()
		return run(t, l, "ipmitool", append([]string{"-I", "lanplus", "-C", "3", "-H", host, "-p", port, "-U", b.Username, "-f", b.PasswordFile}, args...)...)
	}
	n := l.nodes["node1"]
	want := func(text string, args ...string) {
		t.Helper()
		if got := ipmi(args...); !strings.Contains(got, text) {
			t.Errorf("ipmitool %v: got %q; want %q in it", args, got, text)
		}
	}

	want("Chassis Power is off", "power", "status")
	ipmi("chassis", "bootdev", "disk")
	wantBoot(t, n, metal.BootDisk, true)
	ipmi("power", "on")
	want("Chassis Power is on", "power", "status")
	wantBoot(t, n, "", false)
	wantIndex(t, n, nicFirst)

	ipmi("chassis", "bootdev", "disk")
	wantIndex(t, n, nicLast)
	ipmi("power", "reset")
	eventually(t, "the reset uses the override", func() bool {
		device, _, _ := n.Boot(t.Context())
		return device == ""
	})
	wantIndex(t, n, nicFirst)
	ipmi("power", "off")
	want("Chassis Power is off", "power", "status")
}

func TestCurlDrivesAMachineByRedfish(t *testing.T) {
	needRack(t, "curl")
	l := raise(t, Config{Dir: t.TempDir(), Name: testName("redfish"), MemoryMiB: 128, BMC: Redfish})
	b := l.State().Machines[0].BMC
	if len(b.Fingerprint) != 64 {
		t.Errorf("fingerprint: got %q; want 64 hex digits", b.Fingerprint)
	}
	redfish := func(method, path, body string) string {
		t.Helper()
		return run(t, l, "curl", "-sk", "--fail-with-body", "-u", b.Username+":"+b.Password.Reveal(), "-X", method,
			"-H", "Content-Type: application/json", "-d", body, b.Address+path)
	}
	n := l.nodes["node1"]
	const system = "/redfish/v1/Systems/1"
	resetTo := func(kind string) {
		redfish("POST", system+"/Actions/ComputerSystem.Reset", `{"ResetType": "`+kind+`"}`)
	}

	if got := redfish("GET", system, ""); !strings.Contains(got, `"PowerState":"Off"`) {
		t.Errorf("got %s; want it off", got)
	}
	resetTo("On")
	wantPower(t, n, metal.PowerOn)
	redfish("PATCH", system, `{"Boot": {"BootSourceOverrideEnabled": "Once", "BootSourceOverrideTarget": "Hdd"}}`)
	wantBoot(t, n, metal.BootDisk, true)
	wantIndex(t, n, nicLast)
	resetTo("ForceOff")
	wantPower(t, n, metal.PowerOff)
	wantBoot(t, n, metal.BootDisk, true)
}

func TestAMachineThatIsPluggedInAsksForAnAddress(t *testing.T) {
	needRack(t, "dnsmasq")
	l := raise(t, Config{Dir: t.TempDir(), Name: testName("dhcp"), MemoryMiB: 128})
	m := l.State().Machines[0]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	dnsmasq := exec.CommandContext(ctx, "dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--port=0", "--log-dhcp",
		"--leasefile-ro", "--interface="+bridgeName, "--bind-interfaces", "--dhcp-range=172.31.0.100,172.31.0.110")
	said, err := dnsmasq.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Inside(dnsmasq.Start); err != nil {
		t.Fatal(err)
	}
	if err := l.Act(t.Context(), m.Name, PowerOn); err != nil {
		t.Fatal(err)
	}
	asked := false
	var log strings.Builder
	for lines := bufio.NewScanner(io.TeeReader(said, &log)); !asked && lines.Scan(); {
		asked = strings.Contains(lines.Text(), "DHCPDISCOVER("+bridgeName+") "+string(m.MACs[0]))
	}
	cancel()
	_ = dnsmasq.Wait()
	if !asked {
		t.Errorf("dnsmasq saw no DHCPDISCOVER of %s:\n%s", m.MACs[0], log.String())
	}
	var console strings.Builder
	if err := Console(t.Context(), m, &console, false); err != nil || !strings.Contains(console.String(), "iPXE") {
		t.Errorf("console: got %q, %v; want the firmware's and iPXE's words", console.String(), err)
	}
}

func TestUEFIMachinesKeepTheirOwnNVRAM(t *testing.T) {
	needRack(t)
	if _, err := findHost(Config{Firmware: metal.UEFI}); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	l := raise(t, Config{Dir: t.TempDir(), Name: testName("uefi"), Machines: 2, Firmware: metal.UEFI, HTTPBoot: true, DiskBus: NVMe, Disks: 2})
	for _, m := range l.State().Machines {
		if err := l.Act(t.Context(), m.Name, PowerOn); err != nil {
			t.Fatal(err)
		}
		if !exists(filepath.Join(machineDir(l.cfg.Dir, m.Name), nvramName)) {
			t.Errorf("%s has no %s", m.Name, nvramName)
		}
	}
}

func TestEveryNICModelStarts(t *testing.T) {
	needRack(t)
	for _, nic := range []string{E1000, E1000e} {
		t.Run(nic, func(t *testing.T) {
			l := raise(t, Config{Dir: t.TempDir(), Name: testName(strings.ToLower(nic)), MemoryMiB: 128, NIC: nic})
			if err := l.Act(t.Context(), "node1", PowerOn); err != nil {
				t.Fatal(err)
			}
			n := l.nodes["node1"]
			setBoot(t, n, metal.BootDisk, true)
			wantIndex(t, n, nicLast)
		})
	}
}

func TestAQEMUThatRefusesItsArgumentsIsExplained(t *testing.T) {
	needRack(t)
	l := raise(t, Config{Dir: t.TempDir(), Name: testName("refuse"), MemoryMiB: 128})
	if err := os.Remove(l.State().Machines[0].Disks[0]); err != nil {
		t.Fatal(err)
	}
	err := l.Act(t.Context(), "node1", PowerOn)
	if metal.CodeOf(err) != metal.Internal || !strings.Contains(refusalOf(err).Detail, diskName(0)) {
		t.Errorf("got %v; want an error with QEMU's own words about %s", err, diskName(0))
	}
	wantPower(t, l.nodes["node1"], metal.PowerOff)
}

func TestCloseLeavesNothingBehind(t *testing.T) {
	needRack(t)
	cfg := Config{Dir: filepath.Join(t.TempDir(), "lab"), Name: testName("close"), MemoryMiB: 128}
	l, err := Up(t.Context(), cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Act(t.Context(), "node1", PowerOn); err != nil {
		t.Fatal(err)
	}
	proc := l.nodes["node1"].proc
	for range 2 {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	wantNothing(t, cfg)
	if proc.running() {
		t.Error("QEMU runs on; want it gone")
	}
	if err := l.Wait(t.Context()); err != nil {
		t.Errorf("waiting for a closed lab: got %v; want nil", err)
	}
}

func TestUpThatIsInterruptedLeavesNothingBehind(t *testing.T) {
	needRack(t)
	cfg := Config{Dir: filepath.Join(t.TempDir(), "lab"), Name: testName("stop"), Machines: 50}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { // the tenth machine is being made
		eventually(t, "the tenth machine", func() bool { return exists(machineDir(cfg.Dir, "node10")) })
		cancel()
	}()
	if _, err := Up(ctx, cfg, testLog(t)); err == nil {
		t.Fatal("got a lab; want an error")
	}
	wantNothing(t, cfg)
}

// wantNothing checks that no trace of a lab is left.
func wantNothing(t *testing.T, cfg Config) {
	t.Helper()
	for _, path := range []string{cfg.Dir, filepath.Join(netnsDir, cfg.Name)} {
		if exists(path) {
			t.Errorf("%s is still there; want it gone", path)
		}
	}
}
