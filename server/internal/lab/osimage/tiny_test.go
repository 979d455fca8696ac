package osimage

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// reports takes what systems post when they are up.
type reports struct {
	addr  string
	forms chan url.Values
}

func newReports(t *testing.T) *reports {
	t.Helper()
	r := &reports{forms: make(chan url.Values, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if err := q.ParseForm(); err != nil || q.Method != http.MethodPost {
			http.Error(w, "want a form", http.StatusBadRequest)
			return
		}
		r.forms <- q.PostForm
	}))
	t.Cleanup(server.Close)
	r.addr = server.Listener.Addr().String()
	return r
}

func (r *reports) wait(t *testing.T, m *machine, limit time.Duration) url.Values {
	t.Helper()
	select {
	case f := <-r.forms:
		return f
	case <-time.After(limit):
		for len(m.lines) > 0 {
			m.seen.WriteString(<-m.lines + "\n")
		}
		t.Fatalf("no report within %v; the console said:\n%s", limit, m.seen.String())
		return nil
	}
}

func buildTiny(t *testing.T) string {
	t.Helper()
	buildTools(t)
	out := filepath.Join(t.TempDir(), "tiny.img.zst")
	if err := BuildTiny(t.Context(), Options{Out: out, CacheDir: cacheDir(t), Version: "B", Log: testLog(t)}); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTinyBootsByBothFirmwaresAndReports(t *testing.T) {
	image := buildTiny(t)
	tools(t, "ssh", "ssh-keygen")
	key := filepath.Join(t.TempDir(), "key")
	if said, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v: %s", err, said)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		uefi    bool
		network string
	}{
		{"BIOS with a static address", false, "version: 2\nethernets:\n  boot0:\n    match:\n      macaddress: \"52:54:00:00:00:07\"\n    addresses:\n      - 10.0.2.15/24\n    routes:\n      - to: default\n        via: 10.0.2.2\n    nameservers:\n      addresses: [10.0.2.3]\n"},
		{"UEFI with DHCP", true, "network:\n  version: 2\n  ethernets:\n    eth0:\n      dhcp4: true\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			reports := newReports(t)
			drive := deploy(t, image, 1<<30, map[string]string{
				"meta-data":      "instance-id: i-1\nlocal-hostname: node7\n",
				"user-data":      "#cloud-config\nssh_authorized_keys:\n  - " + string(public),
				"vendor-data":    "#cloud-config\nphone_home:\n  url: http://10.0.2.100:80/report\n  post: [hostname, pub_key_ed25519]\n",
				"network-config": c.network,
			})
			port := freePort(t)
			started := time.Now()
			m := start(t, drive, c.uefi,
				"-netdev", "user,id=n0,restrict=on,hostfwd=tcp:127.0.0.1:"+port+"-:22,guestfwd=tcp:10.0.2.100:80-tcp:"+reports.addr,
				"-device", "virtio-net-pci,netdev=n0,mac=52:54:00:00:00:07,romfile=")
			line := m.wait(t, "TINY-READY", 3*time.Minute)
			t.Logf("ready after %v", time.Since(started))
			if want := `TINY-READY node7 "B"`; !strings.Contains(line, want) {
				t.Errorf("console: got %q; want %q", line, want)
			}
			form := reports.wait(t, m, time.Minute)
			if got, want := form.Get("hostname"), "node7"; got != want {
				t.Errorf("reported hostname: got %q; want %q", got, want)
			}
			if got := form.Get("pub_key_ed25519"); !strings.HasPrefix(got, "ssh-ed25519 AAAA") {
				t.Errorf("reported host key: got %q; want an ed25519 key", got)
			}
			if got, want := strings.TrimSpace(login(t, key, port, "hostname; id -un")), "node7\ndebian"; got != want {
				t.Errorf("login: got %q; want %q", got, want)
			}
		})
	}
}
