package bmctest

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var (
	testAccount  = Account{Username: "admin", Password: metal.NewSecret("secret123")}
	testIdentity = Identity{
		UUID: "4c4c4544-0051-3010-8053-b7c04f4e3732", Serial: "LAB-0001", Model: "Virtual 1", Name: "n1",
		MACs: []metal.MAC{"52:54:00:12:34:56", "52:54:00:12:34:57"},
	}
)

// quiet is a logger for tests that do not look at the log.
func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// run runs a service until the test ends, and fails the test when it does not end well.
func run(t *testing.T, service func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- service(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run ended with %v; want nil", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end within 10 s of its context")
		}
	})
}

func startIPMI(t *testing.T, hw Hardware) *IPMI {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b, err := NewIPMI(conn, hw, testIdentity, testAccount, quiet())
	if err != nil {
		t.Fatal(err)
	}
	run(t, b.Run)
	return b
}

// tool returns the path of a program, or skips the test when it is missing, which CI does not accept.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("find %s: %v", name, err)
		}
		t.Skipf("%s is not installed", name)
	}
	return path
}

// output runs a program and returns what it printed and complained. It sees nothing of the environment: there are
// variables that bend curl and Python's requests to a proxy or another certificate store.
func output(t *testing.T, path string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestIpmitoolDrivesTheMachine(t *testing.T) {
	ipmitool := tool(t, "ipmitool")
	for _, suite := range []string{"3", "17"} {
		t.Run("cipher suite "+suite, func(t *testing.T) {
			var starts, stops, resets atomic.Int32
			hw := &Fake{OnPowerOn: func(Boot) { starts.Add(1) }, OnPowerOff: func() { stops.Add(1) }, OnReset: func(Boot) { resets.Add(1) }}
			host, port, err := net.SplitHostPort(startIPMI(t, hw).Addr())
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct {
				command string
				want    string // part of the output
				power   metal.Power
				boot    Boot
			}{
				{"chassis status", "System Power         : off", metal.PowerOff, Boot{}},
				{"chassis power status", "Chassis Power is off", metal.PowerOff, Boot{}},
				{"chassis bootdev pxe options=efiboot", "Set Boot Device to pxe", metal.PowerOff, Boot{metal.BootNetwork, true, true}},
				{"chassis bootparam get 5", "Options apply to only next boot", metal.PowerOff, Boot{metal.BootNetwork, true, true}},
				{"chassis bootparam get 5", "BIOS EFI boot", metal.PowerOff, Boot{metal.BootNetwork, true, true}},
				{"chassis bootparam get 5", "Boot Device Selector : Force PXE", metal.PowerOff, Boot{metal.BootNetwork, true, true}},
				{"chassis power on", "Chassis Power Control: Up/On", metal.PowerOn, Boot{}},
				{"chassis bootparam get 5", "Boot Flag Invalid", metal.PowerOn, Boot{}},
				{"chassis bootdev disk options=persistent", "Set Boot Device to disk", metal.PowerOn, Boot{metal.BootDisk, false, false}},
				{"chassis bootparam get 5", "Options apply to all future boots", metal.PowerOn, Boot{metal.BootDisk, false, false}},
				{"chassis power cycle", "Chassis Power Control: Cycle", metal.PowerOn, Boot{metal.BootDisk, false, false}},
				{"chassis power reset", "Chassis Power Control: Reset", metal.PowerOn, Boot{metal.BootDisk, false, false}},
				{"chassis bootdev none", "Set Boot Device to none", metal.PowerOn, Boot{}},
				{"chassis power soft", "Chassis Power Control: Soft", metal.PowerOff, Boot{}},
				{"chassis power on", "Chassis Power Control: Up/On", metal.PowerOn, Boot{}},
				{"chassis power off", "Chassis Power Control: Down/Off", metal.PowerOff, Boot{}},
				{"mc info", "IPMI Version              : 2.0", metal.PowerOff, Boot{}},
				{"mc guid", "4c4c4544-0051-3010-8053-b7c04f4e3732", metal.PowerOff, Boot{}},
				{"lan print 1", "127.0.0.1", metal.PowerOff, Boot{}},
			} {
				args := append([]string{"-I", "lanplus", "-C", suite, "-H", host, "-p", port, "-U", "admin", "-P", "secret123"}, strings.Fields(c.command)...)
				out, err := output(t, ipmitool, args...)
				if err != nil || !strings.Contains(out, c.want) {
					t.Errorf("%s: got %q, %v; want a text with %q", c.command, out, err, c.want)
				}
				if power, _ := hw.Power(t.Context()); power != c.power {
					t.Errorf("power after %s: got %s; want %s", c.command, power, c.power)
				}
				if got := hw.NextBoot(); got != c.boot {
					t.Errorf("override after %s: got %+v; want %+v", c.command, got, c.boot)
				}
			}
			if on, off, reset := starts.Load(), stops.Load(), resets.Load(); on != 3 || off != 3 || reset != 1 {
				t.Errorf("got %d starts, %d stops, %d resets; want 3, 3, 1", on, off, reset)
			}
		})
	}
}
