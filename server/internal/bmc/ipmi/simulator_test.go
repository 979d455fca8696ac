package ipmi

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
)

const (
	simulatorLAN = `name "n1"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 %[1]d
    priv_limit admin
    allowed_auths_callback none md2 md5 straight
    allowed_auths_user none md2 md5 straight
    allowed_auths_operator none md2 md5 straight
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  chassis_control "sh %[2]s %[3]s"
  user 1 true "" "test" user 10 none md2 md5 straight
  user 2 true "admin" "secret123" admin 10 md5
  user 3 true "oper" "secret456" operator 10 md5
`
	simulatorMC = `mc_setbmc 0x20
mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02
mc_enable 0x20
`
)

// startSimulator starts OpenIPMI's ipmi_sim, an implementation that shares nothing with ours, and returns its address
// and the directory of testdata/chassis.sh. The test is skipped when ipmi_sim is missing, which CI does not accept.
func startSimulator(t *testing.T) (addr, dir string) {
	t.Helper()
	program, err := exec.LookPath("ipmi_sim")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("find ipmi_sim: %v", err)
		}
		t.Skip("ipmi_sim is not installed")
	}
	script, err := filepath.Abs("testdata/chassis.sh")
	if err != nil {
		t.Fatal(err)
	}
	probe, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := probe.LocalAddr().(*net.UDPAddr).Port
	probe.Close()

	dir = t.TempDir()
	for name, text := range map[string]string{"lan.conf": fmt.Sprintf(simulatorLAN, port, script, dir), "n1.emu": simulatorMC} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd := exec.Command(program, "-n", "-c", "lan.conf", "-f", "n1.emu", "-s", dir)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // says that it was killed
		if t.Failed() {
			t.Logf("ipmi_sim said:\n%s", said.String())
		}
	})
	return fmt.Sprintf("127.0.0.1:%d", port), dir
}

func TestControllerDrivesIpmiSim(t *testing.T) {
	addr, dir := startSimulator(t)
	for _, c := range []struct{ user, password string }{{"admin", "secret123"}, {"oper", "secret456"}} {
		t.Run("as "+c.user, func(t *testing.T) {
			if err := os.RemoveAll(filepath.Join(dir, "log")); err != nil {
				t.Fatal(err)
			}
			e := endpoint(addr)
			e.Username, e.Password, e.Timeout = c.user, metal.NewSecret(c.password), 20*time.Second
			opened := dial(t, e)
			defer opened.Close()
			if got := opened.(*controller).session.suite; got != suites()[1] {
				t.Errorf("suite: got %+v; want cipher suite 3, the better of ipmi_sim's", got)
			}
			expectPower(t, opened, metal.PowerOff)
			if err := opened.BootOnce(t.Context(), metal.BootNetwork, metal.UEFI); err != nil {
				t.Errorf("BootOnce: %v", err)
			}
			for _, power := range []metal.Power{metal.PowerOn, metal.PowerOn, metal.PowerOff} {
				if err := opened.SetPower(t.Context(), power); err != nil {
					t.Errorf("SetPower(%s): %v", power, err)
				}
				expectPower(t, opened, power)
			}
			log, err := os.ReadFile(filepath.Join(dir, "log"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff("boot pxe\npower 1\npower 0\n", string(log)); diff != "" {
				t.Errorf("what the chassis was told (-want +got):\n%s", diff)
			}
		})
	}
}

func TestIpmiSimRefuses(t *testing.T) {
	addr, _ := startSimulator(t)
	for _, c := range []struct{ name, user, password string }{
		{"a wrong password", "admin", "secret124"},
		{"an unknown user", "nobody", "secret123"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := endpoint(addr)
			e.Username, e.Password = c.user, metal.NewSecret(c.password)
			_, err := Dial(t.Context(), e)
			if !errors.Is(err, bmc.ErrRefused) || strings.Contains(err.Error(), c.password) {
				t.Errorf("got %v; want %v without the password", err, bmc.ErrRefused)
			}
		})
	}
}
