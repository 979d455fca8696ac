package servertest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// rootArchive imports a root archive.
func rootArchive(t *testing.T, s *servertest.Server, name string) {
	t.Helper()
	source := filepath.Join(s.Images, name+".tar")
	must(t, os.WriteFile(source, servertest.Root(), 0o600))
	must(t, second(s.Client.PutImage(t.Context(), api.PutImageRequest{
		ByName: api.ByName{Name: name}, Body: metal.ImageSpec{Source: source, Kind: metal.ImageRoot, Reports: true},
	})))
	i, err := s.Client.GetImage(t.Context(), api.GetImageRequest{ByName: api.ByName{Name: name}, Wait: "30s"})
	must(t, err)
	if i.State != metal.ImageReady {
		t.Fatalf("image %s: got %s, %+v; want it ready", name, i.State, i.Failure)
	}
}

func fromMemory(machine, image string, change func(*metal.DeploymentSpec)) api.CreateDeploymentRequest {
	spec := metal.DeploymentSpec{Image: image, Boot: metal.BootMemory}
	if change != nil {
		change(&spec)
	}
	return api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{MachineID: machine, DeploymentBody: api.DeploymentBody{DeploymentSpec: spec}}}
}

func TestASystemRunsFromMemoryAndComesBackAfterARestart(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Image(t, "disk", true)
	rootArchive(t, s, "root")
	box := s.NewMachine(t, 1)
	m := s.Commission(t, s.Declare(t, "n1", box).ID)
	a := s.Allocate(t, "web", metal.AllocationSpec{})
	for says, change := range map[string]func(*metal.DeploymentSpec){
		"it is a whole disk":         func(spec *metal.DeploymentSpec) { spec.Image = "disk" },
		"touches no disk":            func(spec *metal.DeploymentSpec) { spec.Storage = &metal.StorageSpec{Layout: metal.LayoutFlat} },
		"leave storage and disk out": func(spec *metal.DeploymentSpec) { spec.Disk = "vda" },
	} {
		_, err := s.Client.CreateDeployment(t.Context(), fromMemory(a.MachineID, "root", change))
		if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v; want an invalid error that says %q", err, says)
		}
	}
	d, err := s.Client.CreateDeployment(t.Context(), fromMemory(a.MachineID, "root", nil))
	must(t, err)
	m = s.Settled(t, m.ID)
	if m.State != metal.Deployed {
		t.Fatalf("got %s, %+v; want it deployed", m.State, m.Failure)
	}
	first, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: api.ByID{ID: d.OperationID}})
	must(t, err)
	if !slices.ContainsFunc(first.LogTail, func(l string) bool { return strings.HasPrefix(l, "loaded the system into memory") }) {
		t.Errorf("log: got %q; want it to say what was done", first.LogTail)
	}
	if steps := box.Steps(); slices.Contains(steps, agentapi.StepWrite) || !slices.Contains(steps, agentapi.StepInstall) {
		t.Errorf("steps: got %v; want nothing written", steps)
	}
	// Locked or not: the machine is to be what it was.
	must(t, second(s.Client.LockMachine(t.Context(), api.LockRequest{ByID: byID(m.ID), Body: api.LockBody{Locked: true}})))
	must(t, box.BMCFake.Reset(t.Context()))
	var again metal.Machine
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		again, err = s.Client.GetMachine(t.Context(), api.GetMachineRequest{ByID: byID(m.ID)})
		must(t, err)
		if again.OperationID != m.OperationID && again.Settled {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("restarted: got %s, operation %s; want the system to be put there anew", again.State, again.OperationID)
		}
	}
	op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: api.ByID{ID: again.OperationID}})
	must(t, err)
	if again.State != metal.Deployed || again.DeploymentID != d.ID || op.Kind != metal.OpDeploy || !strings.Contains(strings.Join(op.LogTail, "\n"), "n1 started again") {
		t.Errorf("restarted: got %s with %s by %s %q; want the same deployment once more", again.State, again.DeploymentID, op.Kind, op.LogTail)
	}
	if !slices.ContainsFunc(op.LogTail, func(l string) bool { return l == "the installed system called back" }) {
		t.Errorf("log: got %q; want the system to call back", op.LogTail)
	}
	for _, line := range op.LogTail {
		if strings.HasPrefix(line, "power-cycle") {
			t.Errorf("log: got %q; want no other restart", line)
		}
	}
	must(t, second(s.Client.LockMachine(t.Context(), api.LockRequest{ByID: byID(m.ID), Body: api.LockBody{Locked: false}})))
	release, err := s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
	must(t, err)
	if op := s.Await(t, release); op.Status != metal.OpDone {
		t.Errorf("release: got %s, %+v; want it done", op.Status, op.Failure)
	}
}

func TestAMachineWithTooLittleMemoryIsRefused(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	rootArchive(t, s, "root")
	box := s.NewMachine(t, 1)
	box.SetMemory(512 << 20)
	m := s.Commission(t, s.Declare(t, "n1", box).ID)
	s.Allocate(t, "web", metal.AllocationSpec{})
	_, err := s.Client.CreateDeployment(t.Context(), fromMemory(m.ID, "root", nil))
	if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "and the machine has 512 MiB") {
		t.Errorf("got %v; want an invalid error with both sizes", err)
	}
}
