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
// repository has as an example. There is no archive of packages: it gets as far as asking for them.
func TestDebianInstallsItself(t *testing.T) {
	if _, err := os.Stat(debianInstaller); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("Debian's installer is missing: %v", err)
		}
		t.Skip("Debian's installer is missing: install debian-installer-12-netboot-amd64")
	}
	assets, err := demo.Build(t.Context(), cache(t), programs(t), "tiny", testLog(t, slog.LevelWarn))
	if err != nil {
		t.Fatal(err)
	}
	answers, err := os.ReadFile("../../examples/installers/debian-preseed.cfg")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^# +(auto=.*)$`).FindSubmatch(answers)
	if line == nil {
		t.Fatal("the example does not say its command line")
	}
	images := t.TempDir()
	g := raiseWith(t, lab.Config{Firmware: metal.BIOS, MemoryMiB: 1024, CPUs: 2}, assets.Env, images)
	archive := g.serveMirror(t)
	host := g.Lab.State().Host.String()
	kernel := bootFile(t, images, debianInstaller+"linux")
	_, err = g.Client.PutBootProfile(t.Context(), api.PutBootProfileRequest{
		ByName: api.ByName{Name: "debian"},
		Body: api.BootProfileBody{
			BootProfileSpec: metal.BootProfileSpec{
				Kernel: &kernel, Initrds: []metal.BootFile{bootFile(t, images, debianInstaller+"initrd.gz")},
				CommandLine: string(line[1]) + " console=ttyS0,115200",
				Answers:     []metal.AnswerFile{{Name: "preseed.cfg", Content: string(answers)}},
				Variables:   map[string]string{"disk": "/dev/vda", "mirror": host}, Unknown: true,
			},
			Secrets: &map[string]string{"password_hash": "$6$salt$hash"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	hardware, err := g.Lab.Hardware(g.node.Name)
	if err != nil {
		t.Fatal(err)
	}
	if err := hardware.SetPower(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	mac := string(g.node.MACs[0])
	progress := func() metal.Installation {
		l, err := g.Client.ListInstallations(t.Context(), api.ListByNamesRequest{Names: []string{mac}})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Items) == 0 {
			return metal.Installation{}
		}
		return l.Items[0]
	}
	eventually(t, "the machine boots the installer", func() bool { return progress().Boots > 0 })
	eventually(t, "the installer read its answers, and calls", func() bool {
		return slices.ContainsFunc(progress().Log, func(line string) bool { return strings.Contains(line, "started") })
	})
	eventually(t, "the installer asks the archive of the answers for its release", func() bool { return archive.was("Release") })
	eventually(t, "the installer asks whether there is its architecture", func() bool { return archive.was("main/binary-amd64/Release") })
	eventually(t, "the installer takes the archive, and asks who signed it", func() bool { return archive.was("InRelease") || archive.was("Release.gpg") })
	if i := progress(); i.State != metal.Installing || i.Profile != "debian" || i.Boots != 1 {
		t.Errorf("installation: got %+v; want it at work, booted once by the profile", i)
	}
}
