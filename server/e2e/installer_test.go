package e2e_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
)

// debianInstaller is where Debian's package debian-installer-12-netboot-amd64 has the installer.
const debianInstaller = "/usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64/"

// A mirror is as much of a Debian archive as an installer asks for before it fetches packages.
type mirror struct {
	mu    sync.Mutex
	asked []string
}

func (m *mirror) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.mu.Lock()
	m.asked = append(m.asked, r.URL.Path)
	m.mu.Unlock()
	switch r.URL.Path {
	case "/debian/dists/bookworm/Release":
		fmt.Fprint(w, "Origin: Debian\nLabel: Debian\nSuite: oldstable\nCodename: bookworm\nArchitectures: amd64\nComponents: main\n")
	case "/debian/dists/bookworm/main/binary-amd64/Release":
		fmt.Fprint(w, "Archive: oldstable\nOrigin: Debian\nLabel: Debian\nComponent: main\nArchitecture: amd64\n")
	default:
		http.NotFound(w, r)
	}
}

// was says whether a file was asked for; path is below the release.
func (m *mirror) was(asked string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Contains(m.asked, "/debian/dists/bookworm/"+asked)
}

// serveMirror serves it in the rack's network, as the host.
func (g *rig) serveMirror(t *testing.T) *mirror {
	t.Helper()
	var ln net.Listener
	err := g.Lab.Inside(func() (err error) {
		ln, err = new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort(g.Lab.State().Host.String(), "80"))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	m := &mirror{}
	server := &http.Server{Handler: m}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	t.Cleanup(func() {
		server.Close()
		<-done
		if t.Failed() {
			t.Logf("the archive was asked for %q", m.asked)
		}
	})
	return m
}

// bootFile puts a file where metald may take it from.
func bootFile(t *testing.T, dir, from string) metal.BootFile {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, filepath.Base(from))
	if err := os.WriteFile(at, content, 0o600); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	return metal.BootFile{Source: at, SHA256: hex.EncodeToString(sum[:])}
}

// TestDebianInstallsItself starts Debian's own installer on a machine that nobody declared, with the answers that the
// repository has as an example. There is no archive of packages: it gets as far as asking for them, and gives up.
func TestDebianInstallsItself(t *testing.T) {
	if _, err := os.Stat(debianInstaller); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("Debian's installer is missing: %v", err)
		}
		t.Skip("Debian's installer is missing: install debian-installer-12-netboot-amd64")
	}
	t.Run("on BIOS", func(t *testing.T) { debianInstalls(t, metal.BIOS) })
	t.Run("on UEFI", func(t *testing.T) {
		if os.Getenv("METAL_NIGHTLY") == "" {
			t.Skip("takes minutes more: METAL_NIGHTLY=1 runs it, and so does make nightly")
		}
		debianInstalls(t, metal.UEFI)
	})
}

func debianInstalls(t *testing.T, firmware metal.BootMode) {
	t.Helper()
	assets, err := demo.Build(t.Context(), cache(t), programs(t), "tiny", testLog(t, slog.LevelWarn))
	if err != nil {
		t.Fatal(err)
	}
	images := t.TempDir()
	g := raiseWith(t, lab.Config{Firmware: firmware, MemoryMiB: 1024, CPUs: 2}, assets.Env, images)
	archive := g.serveMirror(t)
	_, err = g.Client.PutBootProfile(t.Context(), api.PutBootProfileRequest{
		ByName: api.ByName{Name: "debian"},
		Body:   api.BootProfileBody{BootProfileSpec: g.debianProfile(t, images), Secrets: &map[string]string{"password_hash": "$6$salt$hash"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.Lab.Act(t.Context(), g.node.Name, lab.PowerOn); err != nil {
		t.Fatal(err)
	}
	reported := func(line string) func() bool {
		return func() bool { return slices.Contains(g.installation(t).Log, line) }
	}
	eventually(t, "the machine boots the installer", func() bool { return g.installation(t).Boots > 0 })
	name := "host-" + strings.ReplaceAll(string(g.node.MACs[0]), ":", "")
	eventually(t, "the installer reads its answers, and calls by the name that it was given", reported("started as "+name))
	eventually(t, "the installer asks the archive of the answers for its release", func() bool { return archive.was("Release") })
	eventually(t, "the installer asks whether there is its architecture", func() bool { return archive.was("main/binary-amd64/Release") })
	eventually(t, "the installer takes the archive, and asks who signed it", func() bool { return archive.was("InRelease") || archive.was("Release.gpg") })
	eventually(t, "the installer, which is not through in its time, gives up", reported("not through in 1 seconds"))
	if err := g.Lab.Act(t.Context(), g.node.Name, lab.Reset); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the machine is told to boot its own disk", func() bool {
		return strings.Contains(g.console(t), "boot profile debian is through with this machine")
	})
	if i := g.installation(t); i.State != metal.InstallFailed || i.Profile != "debian" || i.Boots != 1 {
		t.Errorf("installation: got %+v; want it failed, booted once by the profile", i)
	}
}

// debianProfile is of the example, with what the installer is told to say on the serial port.
func (g *rig) debianProfile(t *testing.T, images string) metal.BootProfileSpec {
	t.Helper()
	answers, err := os.ReadFile("../../examples/installers/debian-preseed.cfg")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^# +(auto=.*)$`).FindSubmatch(answers)
	if line == nil {
		t.Fatal("the example does not say its command line")
	}
	kernel := bootFile(t, images, debianInstaller+"linux")
	return metal.BootProfileSpec{
		Kernel: &kernel, Initrds: []metal.BootFile{bootFile(t, images, debianInstaller+"initrd.gz")},
		CommandLine: string(line[1]) + " console=ttyS0,115200",
		Answers:     []metal.AnswerFile{{Name: "preseed.cfg", Content: string(answers)}},
		Variables:   map[string]string{"disk": "/dev/vda", "mirror": g.Lab.State().Host.String(), "limit": "1"}, Unknown: true,
	}
}

// installation is that of the rack's machine; zero before it begins.
func (g *rig) installation(t *testing.T) metal.Installation {
	t.Helper()
	l, err := g.Client.ListInstallations(t.Context(), api.ListByNamesRequest{Names: []string{string(g.node.MACs[0])}})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Items) == 0 {
		return metal.Installation{}
	}
	return l.Items[0]
}
