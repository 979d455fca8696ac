package lab

import (
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestANameOrDirectoryIsTakenOnce(t *testing.T) {
	for _, kind := range []string{"name", "directory"} {
		long := strings.Repeat("x", 200) + testName("claim")
		held, err := claim(kind, long)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := claim(kind, long); metal.CodeOf(err) != metal.Conflict {
			t.Errorf("a second %s: got %v; want a %s error", kind, err, metal.Conflict)
		}
		held.Close()
		again, err := claim(kind, long)
		if err != nil {
			t.Fatalf("a %s that was given back: %v", kind, err)
		}
		again.Close()
	}
}

func TestTwoLabsCannotShareANameOrADirectory(t *testing.T) {
	needRack(t)
	dir := t.TempDir()
	l := raise(t, Config{Dir: dir, Name: testName("first")})
	for name, cfg := range map[string]Config{
		"the same name":      {Dir: t.TempDir(), Name: l.cfg.Name},
		"the same directory": {Dir: dir, Name: testName("second")},
	} {
		if _, err := Up(t.Context(), cfg, testLog(t)); metal.CodeOf(err) != metal.Conflict {
			t.Errorf("%s: got %v; want a %s error", name, err, metal.Conflict)
		}
	}
	if got, err := Load(dir); err != nil || got.Name != l.cfg.Name {
		t.Errorf("the first lab's state: got %v, %v; want it untouched", got, err)
	}
	if err := Down(t.Context(), dir); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("down in the lab's own process: got %v; want a %s error", err, metal.Conflict)
	}
}

func TestLabsOfDifferentNamesRunSideBySide(t *testing.T) {
	needRack(t)
	a := raise(t, Config{Dir: t.TempDir(), Name: testName("a")})
	b := raise(t, Config{Dir: t.TempDir(), Name: testName("b")})
	if a.State().Machines[0].BMC.Address != b.State().Machines[0].BMC.Address {
		t.Errorf("addresses differ; want the same, each in its own namespace")
	}
}

// wreck leaves what a lab leaves that was killed after it wired its network.
func wreck(t *testing.T, cfg Config, withState bool) {
	t.Helper()
	ns, err := newNamespace(cfg.Name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = deleteNamespace(cfg.Name) })
	uplink, err := inside(ns, func() (io.Closer, error) { return wire(netip.MustParsePrefix("172.31.0.1/24"), 1) })
	if err != nil {
		t.Fatal(err)
	}
	uplink.Close()
	close(ns.quit)
	<-ns.gone
	if !withState {
		return
	}
	state := sampleState(cfg.Dir)
	state.Name = cfg.Name
	if err := state.save(); err != nil {
		t.Fatal(err)
	}
}

func TestUpClearsAWreckAway(t *testing.T) {
	needRack(t)
	for _, c := range []struct {
		name      string
		withState bool
	}{
		{"with its state file", true},
		{"without, by the mark on its bridge", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := Config{Dir: t.TempDir(), Name: testName("wreck")}
			wreck(t, cfg, c.withState)
			l := raise(t, cfg)
			if got := len(l.State().Machines); got != 1 {
				t.Errorf("got %d machines; want the new lab's one", got)
			}
		})
	}
}

func TestUpClearsTheWreckOfAnotherNameInItsDirectory(t *testing.T) {
	needRack(t)
	dir := t.TempDir()
	wreck(t, Config{Dir: dir, Name: testName("old")}, true)
	raise(t, Config{Dir: dir, Name: testName("new")})
	if exists(filepath.Join(netnsDir, testName("old"))) {
		t.Error("the old namespace is still there; want it gone")
	}
}

func TestDownClearsAWreckAway(t *testing.T) {
	needRack(t)
	cfg := Config{Dir: filepath.Join(t.TempDir(), "lab"), Name: testName("down")}
	if err := os.Mkdir(cfg.Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	wreck(t, cfg, true)
	if err := os.WriteFile(LogPath(cfg.Dir), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Down(t.Context(), cfg.Dir); err != nil {
		t.Fatal(err)
	}
	wantNothing(t, cfg)
	if err := Down(t.Context(), cfg.Dir); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("a second time: got %v; want a %s error", err, metal.NotFound)
	}
}

func TestANamespaceOfSomebodyElseIsSpared(t *testing.T) {
	needRack(t, "ip")
	cfg := Config{Dir: filepath.Join(t.TempDir(), "lab"), Name: testName("theirs")}
	if out, err := exec.Command("ip", "netns", "add", cfg.Name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", cfg.Name).Run() })
	if _, err := Up(t.Context(), cfg, testLog(t)); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("got %v; want a %s error", err, metal.Conflict)
	}
	if !exists(filepath.Join(netnsDir, cfg.Name)) {
		t.Error("the namespace is gone; want it spared")
	}
}

func TestIPCanUseAndLeaveALabsNamespace(t *testing.T) {
	needRack(t, "ip")
	cfg := Config{Dir: filepath.Join(t.TempDir(), "lab"), Name: testName("ip")}
	l, err := Up(t.Context(), cfg, testLog(t))
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ip", "netns", "exec", cfg.Name, "ip", "-o", "addr", "show", bridgeName).CombinedOutput()
	for _, want := range []string{"172.31.0.1/24", "fd00:31::1/64", "fe80::5054:ff:feff:ff01/64"} {
		if err != nil || !strings.Contains(string(out), want) {
			t.Errorf("got %v: %s; want %s in it", err, out, want)
		}
	}
	if strings.Contains(string(out), "tentative") {
		t.Errorf("got %s; want every address usable at once", out)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close after ip used it: %v", err)
	}
	wantNothing(t, cfg)
}
