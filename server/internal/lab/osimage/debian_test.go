package osimage

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDebianBootsToALoginWithTheKeyOfItsSeed(t *testing.T) {
	if os.Getenv("METAL_SLOW") != "1" {
		t.Skip("takes minutes; set METAL_SLOW=1")
	}
	buildTools(t)
	tools(t, "mmdebstrap", "ssh", "ssh-keygen")
	out := filepath.Join(t.TempDir(), "debian.img.zst")
	started := time.Now()
	if err := BuildDebian(t.Context(), Options{Out: out, CacheDir: cacheDir(t), Log: testLog(t)}); err != nil {
		t.Fatal(err)
	}
	t.Logf("built in %v", time.Since(started))
	key := filepath.Join(t.TempDir(), "key")
	if said, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, said)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	reports := newReports(t)
	drive := deploy(t, out, 4<<30, map[string]string{
		"meta-data":      "instance-id: i-1\nlocal-hostname: node7\n",
		"user-data":      "#cloud-config\nssh_authorized_keys:\n  - " + string(public),
		"vendor-data":    "#cloud-config\nphone_home:\n  url: http://10.0.2.100:80/report\n  post: [hostname, pub_key_ed25519]\n  tries: 5\n",
		"network-config": "version: 2\nethernets:\n  nic0:\n    match:\n      macaddress: \"52:54:00:00:00:07\"\n    dhcp4: true\n",
	})
	port := freePort(t)
	started = time.Now()
	m := start(t, drive, false,
		"-netdev", "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:"+port+"-:22,guestfwd=tcp:10.0.2.100:80-tcp:"+reports.addr,
		"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:07,romfile=")
	form := reports.wait(t, m, 5*time.Minute)
	t.Logf("reported after %v", time.Since(started))
	if got, want := form.Get("hostname"), "node7"; got != want {
		t.Errorf("reported hostname: got %q; want %q", got, want)
	}
	if !strings.HasPrefix(form.Get("pub_key_ed25519"), "ssh-ed25519 ") {
		t.Errorf("reported host key: got %q; want an ed25519 key", form.Get("pub_key_ed25519"))
	}
	said := login(t, key, port, "hostname; df -k --output=size / | tail -1; cloud-init status --wait; systemctl --failed --no-legend")
	t.Logf("login after %v:\n%s", time.Since(started), said)
	lines := strings.Fields(said)
	if len(lines) < 2 || lines[0] != "node7" || len(lines[1]) != 7 || lines[1] < "3500000" {
		t.Errorf("the system says %q; want its host name, and a root file system grown to the disk", said)
	}
}

// login runs a command by SSH as the user debian.
func login(t *testing.T, key, port, command string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ssh", "-i", key, "-p", port, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null",
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=60", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "debian@127.0.0.1", command).CombinedOutput()
	if err != nil {
		t.Fatalf("ssh: %v: %s", err, out)
	}
	return string(out)
}

// freePort finds a port of the loopback that nobody uses.
func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}
