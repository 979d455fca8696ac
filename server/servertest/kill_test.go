package servertest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// TestKilledAtEveryStepOfALife kills metald with kill -9 whenever an operation has reached another step, and starts
// it again: every operation must still end as if nothing had happened.
func TestKilledAtEveryStepOfALife(t *testing.T) {
	s := servertest.Start(t, servertest.AsProcess())
	box := s.NewMachine(t, 10)
	m := s.Declare(t, "n10", box)
	s.Image(t, "a", true)

	op, err := s.Client.CommissionMachine(t.Context(), api.CommandRequest{ByID: byID(m.ID)})
	must(t, err)
	seen := killThrough(t, s, op)
	wantState(t, s, m.ID, metal.Ready)

	a := s.Allocate(t, "web", metal.AllocationSpec{})
	d, err := s.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: a.MachineID, DeploymentBody: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "a"}},
	}})
	must(t, err)
	op, err = s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(d.OperationID)})
	must(t, err)
	seen += killThrough(t, s, op)
	wantState(t, s, m.ID, metal.Deployed)

	s.Image(t, "b", true)
	d, err = s.Client.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: byID(d.ID), Body: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "b"}}})
	must(t, err)
	op, err = s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(d.OperationID)})
	must(t, err)
	seen += killThrough(t, s, op)
	wantState(t, s, m.ID, metal.Deployed)
	d, err = s.Client.GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: byID(d.ID)})
	must(t, err)
	if d.Applied == nil || d.Applied.Image != "b" {
		t.Errorf("applied after the redeployment: got %+v; want image b", d.Applied)
	}

	op, err = s.Client.DeleteDeployment(t.Context(), byID(d.ID))
	must(t, err)
	seen += killThrough(t, s, op)
	wantState(t, s, m.ID, metal.Allocated)

	op, err = s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
	must(t, err)
	seen += killThrough(t, s, op)
	wantState(t, s, m.ID, metal.Ready)
	if seen < 8 {
		t.Errorf("metald was killed %d times: the test saw too few steps to mean anything", seen)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantState(t *testing.T, s *servertest.Server, id string, want metal.State) {
	t.Helper()
	if m := s.Settled(t, id); m.State != want {
		t.Fatalf("state: got %s (%+v); want %s", m.State, m.Failure, want)
	}
}

// killThrough kills metald once at each step of an operation that it sees, and waits for the operation's success.
// It returns how often that was.
func killThrough(t *testing.T, s *servertest.Server, op metal.Operation) int {
	t.Helper()
	killed := map[string]bool{}
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); {
		now, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(op.ID)})
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if now.Ended() {
			if now.Status != metal.OpDone {
				t.Fatalf("%s: got %s (%+v) after kills at %v; want done", op.Kind, now.Status, now.Failure, killed)
			}
			return len(killed)
		}
		if at := fmt.Sprint(now.Step); at != "" && !killed[at] {
			killed[at] = true
			s.Kill()
		}
	}
	t.Fatalf("%s did not end after kills at %v", op.Kind, killed)
	return 0
}
