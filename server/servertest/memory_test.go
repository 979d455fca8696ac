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
	next(t, s, m)
	again := s.Settled(t, m.ID)
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

// next waits until an operation began after the last one on m, and returns it.
func next(t *testing.T, s *servertest.Server, m metal.Machine) metal.Operation {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		now, err := s.Client.GetMachine(t.Context(), api.GetMachineRequest{ByID: byID(m.ID)})
		must(t, err)
		if now.OperationID == m.OperationID {
			continue
		}
		op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(now.OperationID)})
		must(t, err)
		return op
	}
	t.Fatalf("no operation began after %s; want the system to be put into memory anew", m.OperationID)
	return metal.Operation{}
}

func TestNoDiskIsWrittenByARestart(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Image(t, "disk", true)
	rootArchive(t, s, "root")
	box := s.NewMachine(t, 1)
	m := s.Commission(t, s.Declare(t, "n1", box).ID)
	s.Allocate(t, "web", metal.AllocationSpec{})
	d, err := s.Client.CreateDeployment(t.Context(), fromMemory(m.ID, "root", nil))
	must(t, err)
	m = s.Settled(t, m.ID)
	put := func(spec metal.DeploymentSpec) error {
		_, err := s.Client.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: byID(d.ID), Body: api.DeploymentBody{DeploymentSpec: spec}})
		return err
	}
	err = put(metal.DeploymentSpec{Image: "root", Boot: metal.BootMemory, Disk: "vda"})
	if metal.CodeOf(err) != metal.Invalid || !strings.Contains(err.Error(), "leave storage and disk out") {
		t.Errorf("a disk: got %v; want it refused", err)
	}
	// Both changes wait for somebody who asks for a redeployment.
	must(t, put(metal.DeploymentSpec{Image: "disk", Boot: metal.BootReboot, RedeployOn: []string{"trigger"}}))
	must(t, box.BMCFake.Reset(t.Context()))
	op := s.Await(t, next(t, s, m))
	if op.Status != metal.OpDone || !strings.Contains(strings.Join(op.LogTail, "\n"), "loaded the system into memory") {
		t.Errorf("restarted: got %s, %+v, %q; want what ran to run again", op.Status, op.Failure, op.LogTail)
	}
	if steps := box.Steps(); slices.Contains(steps, agentapi.StepWrite) {
		t.Errorf("steps: got %v; want nothing written", steps)
	}
	d, err = s.Client.GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: byID(d.ID)})
	must(t, err)
	if d.Applied == nil || d.Applied.Image != "root" || !slices.Equal(d.PendingChanges, []string{"boot", "image"}) {
		t.Errorf("got %+v, pending %v; want the changes to wait on", d.Applied, d.PendingChanges)
	}
}

func TestASystemThatIsLostBeforeItCallsBackIsPutIntoMemoryAnew(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.WithConfig("limits {\n boots = 2\n}\n"))
	rootArchive(t, s, "root")
	for i, test := range []struct {
		name   string
		losses int
		want   metal.State
		log    string
	}{
		{"the power fails once", 1, metal.Deployed, "the machine started again before its system called back"},
		{"the power fails each time", 2, metal.FailedDeployment, "the system was put into memory 2 times"},
	} {
		t.Run(test.name, func(t *testing.T) {
			box := s.NewMachine(t, i+1)
			m := s.Commission(t, s.Declare(t, "lost"+string(rune('a'+i)), box).ID)
			a := s.Allocate(t, m.Spec.Name, metal.AllocationSpec{Constraints: metal.Constraints{Machine: m.ID}})
			box.Mute()
			box.FirstBoot(`{"over": true, "errors": ["one that is lost"]}`)
			d, err := s.Client.CreateDeployment(t.Context(), fromMemory(a.MachineID, "root", nil))
			must(t, err)
			for n := 1; n <= test.losses; n++ {
				awaitStarted(t, s, box, d.OperationID, n)
				awaitWarning(t, s, d.OperationID) // each system's own
				must(t, box.BMCFake.SetPower(t.Context(), false))
				if n == test.losses {
					box.Mend()
				}
				box.Plug()
			}
			m = s.Settled(t, m.ID)
			op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(d.OperationID)})
			must(t, err)
			if log := strings.Join(op.LogTail, "\n"); m.State != test.want || !strings.Contains(log, test.log) {
				t.Errorf("got %s, %+v, %s; want %s and %q", m.State, m.Failure, log, test.want, test.log)
			}
			if m.State == metal.Deployed && len(op.Warnings) > 0 {
				t.Errorf("warnings: got %q; want none of a system that was lost", op.Warnings)
			}
		})
	}
}

// awaitWarning waits until an operation has a warning.
func awaitWarning(t *testing.T, s *servertest.Server, operation string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(operation)})
		must(t, err)
		if len(op.Warnings) > 0 {
			return
		}
	}
	t.Fatal("the operation has no warning")
}

// awaitStarted waits until a machine has left its RAM environment n times by an operation, which waits for its system.
func awaitStarted(t *testing.T, s *servertest.Server, box *servertest.Machine, operation string, n int) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(operation)})
		must(t, err)
		left := 0
		for _, kind := range box.Steps() {
			if kind == agentapi.StepReboot {
				left++
			}
		}
		if op.Step == "report" && left == n {
			return
		}
	}
	t.Fatalf("the machine did not start its system for the %d. time", n)
}

func TestKilledWhileASystemIsPutIntoMemory(t *testing.T) {
	s := servertest.Start(t, servertest.AsProcess())
	rootArchive(t, s, "root")
	box := s.NewMachine(t, 11)
	m := s.Commission(t, s.Declare(t, "n11", box).ID)
	s.Allocate(t, "web", metal.AllocationSpec{})
	d, err := s.Client.CreateDeployment(t.Context(), fromMemory(m.ID, "root", nil))
	must(t, err)
	op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(d.OperationID)})
	must(t, err)
	seen := killThrough(t, s, op)
	m = s.Settled(t, m.ID)
	must(t, box.BMCFake.Reset(t.Context()))
	seen += killThrough(t, s, next(t, s, m))
	wantState(t, s, m.ID, metal.Deployed)
	if steps := box.Steps(); seen < 2 || slices.Contains(steps, agentapi.StepWrite) {
		t.Errorf("got %d kills, steps %v; want some, and nothing written", seen, steps)
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
