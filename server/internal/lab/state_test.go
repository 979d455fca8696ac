package lab

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func sampleState(dir string) State {
	cfg := Config{Dir: dir, Machines: 2, BMC: Redfish}.withDefaults()
	return State{
		Name: cfg.Name, Dir: cfg.Dir, Bridge: bridgeName, Subnet: cfg.Subnet, Host: cfg.host(), Host6: host6(),
		Firmware: cfg.Firmware, Owner: Process{PID: 7, Started: 9}, Ready: true,
		Machines: []Machine{cfg.describe(1, newPassword()), cfg.describe(2, newPassword())},
	}
}

func TestStateIsReadAsItWasWritten(t *testing.T) {
	want := sampleState(t.TempDir())
	if err := want.save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(want.Dir)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, *got, comparePrefix); diff != "" {
		t.Errorf("state (-want +got):\n%s", diff)
	}
}

func TestStateFileIsTheOwnersOnly(t *testing.T) {
	s := sampleState(t.TempDir())
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(statePath(s.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if got := info.Mode().Perm(); got != 0o600 {
		t.Errorf("got mode %o; want 600", got)
	}
	data, err := os.ReadFile(statePath(s.Dir))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(data), `"password": "`+s.Machines[0].BMC.Password.Reveal()+`"`) {
		t.Error("the file does not have the password of the first BMC; want it there for ipmitool")
	}
}

func TestPrintingAStateHidesPasswords(t *testing.T) {
	s := sampleState("/lab")
	var logged strings.Builder
	slog.New(slog.NewTextHandler(&logged, nil)).Info("state", "state", s, "bmc", s.Machines[0].BMC.Password)
	for name, text := range map[string]string{
		"%v":     fmt.Sprintf("%v", s),
		"%+v":    fmt.Sprintf("%+v", s.Machines[0].BMC),
		"a log":  logged.String(),
		"status": fmt.Sprintf("%+v", describeStatus(s.Machines[0])),
	} {
		if strings.Contains(text, s.Machines[0].BMC.Password.Reveal()) {
			t.Errorf("%s shows a password: %s", name, text)
		}
	}
}

func TestLoadTellsWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	if _, err := Load(dir); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("an empty directory: got %v; want a %s error", err, metal.NotFound)
	}
	if err := os.WriteFile(statePath(dir), []byte(`{"name": "x", "mach`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); metal.CodeOf(err) != metal.Internal {
		t.Errorf("half a file: got %v; want another error than %s", err, metal.NotFound)
	}
}

func TestAnUnknownMachineIsNotFoundAndTheKnownAreNamed(t *testing.T) {
	s := sampleState("/lab")
	if m, err := s.Machine("node2"); err != nil || m.Name != "node2" {
		t.Errorf("got %q, %v; want node2", m.Name, err)
	}
	_, err := s.Machine("node3")
	if metal.CodeOf(err) != metal.NotFound || !strings.Contains(err.Error(), "[node1 node2]") {
		t.Errorf("got %v; want a %s error that names node1 and node2", err, metal.NotFound)
	}
}

func TestRemoveFilesLeavesStrangersAlone(t *testing.T) {
	s := sampleState(t.TempDir() + "/lab")
	if err := os.MkdirAll(machineDir(s.Dir, "node1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	stranger := s.Dir + "/notes.txt"
	if err := os.WriteFile(stranger, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := removeFiles(s.Dir, labFiles()); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(s.Dir)
	if err != nil || len(left) != 1 || left[0].Name() != "notes.txt" {
		t.Errorf("left are %v, %v; want notes.txt alone", left, err)
	}
	if err := os.Remove(stranger); err != nil {
		t.Fatal(err)
	}
	for range 2 { // a second time must not mind that all is gone
		if err := removeFiles(s.Dir, labFiles()); err != nil {
			t.Fatal(err)
		}
	}
	if exists(s.Dir) {
		t.Error("the empty directory is still there; want it removed")
	}
}
