package servertest_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(m) }

func byID(id string) api.ByID { return api.ByID{ID: id} }

func TestAMachineLivesThroughEverything(t *testing.T) {
	s := servertest.Start(t)
	box := s.NewMachine(t, 1)
	m := s.Declare(t, "n1", box)
	if m.State != metal.New || m.Address != "10.77.0.1" || m.FQDN != "n1.fleet.test" {
		t.Fatalf("declared: got %s at %s as %s; want new at 10.77.0.1 as n1.fleet.test", m.State, m.Address, m.FQDN)
	}
	m = s.Commission(t, m.ID)
	if m.State != metal.Ready || m.Hardware.CPUs != 4 {
		t.Fatalf("commissioned: got %+v; want ready with 4 CPUs", m)
	}

	a := s.Allocate(t, "web", metal.AllocationSpec{})
	if again := s.Allocate(t, "web", metal.AllocationSpec{}); again.ID != a.ID {
		t.Errorf("the same claim again: got %s; want %s", again.ID, a.ID)
	}
	s.Image(t, "a", true)
	s.Image(t, "b", true)
	boots := box.Boots()
	d := s.Deploy(t, a.MachineID, "a")
	if d.State != metal.Deployed || !slices.Equal(d.SSHHostKeys, []string{servertest.HostKey}) || len(d.PendingChanges) != 0 {
		t.Fatalf("deployed: got %+v", d)
	}
	if got := box.Boots() - boots; got != 1 {
		t.Errorf("boots from ready to deployed: got %d; want 1, into the system: the agent was in RAM already", got)
	}
	if !strings.Contains(box.Seed()["meta-data"], "n1") || !strings.Contains(box.Seed()["network-config"], "10.77.0.1/16") {
		t.Errorf("the seed lacks the name or the address: %v", box.Seed())
	}

	d = redeploy(t, s, d, "b")
	if d.State != metal.Deployed || d.Applied.Image != "b" || d.MachineID != m.ID {
		t.Fatalf("redeployed: got %+v; want b on the same machine", d)
	}

	op, err := s.Client.DeleteDeployment(t.Context(), byID(d.ID))
	if err != nil {
		t.Fatal(err)
	}
	s.Await(t, op)
	if m = s.Settled(t, m.ID); m.State != metal.Allocated || m.DeploymentID != "" || m.Erased == nil {
		t.Fatalf("undeployed: got %+v; want allocated, without a deployment, and erased", m)
	}
	if op, err = s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Client.GetAllocation(t.Context(), byID(a.ID)); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("the claim after its release was accepted: got %v; want not_found", err)
	}
	s.Await(t, op)
	if m = s.Settled(t, m.ID); m.State != metal.Ready || m.AllocationID != "" {
		t.Fatalf("released: got %+v; want ready and nobody's", m)
	}
	if err := s.Client.DeleteMachine(t.Context(), api.DeleteMachineRequest{ByID: byID(m.ID)}); err != nil {
		t.Fatal(err)
	}
}

// redeploy changes the image of a deployment, and waits.
func redeploy(t *testing.T, s *servertest.Server, d metal.Deployment, image string) metal.Deployment {
	t.Helper()
	_, err := s.Client.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: byID(d.ID), Body: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: image}}})
	if err != nil {
		t.Fatal(err)
	}
	s.Settled(t, d.MachineID)
	d, err = s.Client.GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: byID(d.ID)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAStrangerEnlistsAndIsAdopted(t *testing.T) {
	s := servertest.Start(t)
	box := s.NewMachine(t, 2)
	box.Plug()
	var m metal.Machine
	for end := time.Now().Add(time.Minute); m.Hardware.CPUs == 0 && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l, err := s.Client.ListMachines(t.Context(), api.ListMachinesRequest{MAC: string(box.MAC)})
		if err != nil {
			t.Fatal(err)
		}
		if len(l.Items) == 1 {
			m = l.Items[0]
		}
	}
	if m.State != metal.New || m.Declared || m.Hardware.CPUs != 4 {
		t.Fatalf("enlisted: got %+v; want new, undeclared, with inventory", m)
	}
	if got := box.Steps(); !slices.Equal(got, []agentapi.StepKind{agentapi.StepInventory}) {
		t.Errorf("steps on a machine that nobody asked about: got %v; want the inventory alone", got)
	}
	adopted := s.Declare(t, "n2", box)
	if adopted.ID != m.ID || !adopted.Declared || adopted.FQDN != "n2.fleet.test" {
		t.Fatalf("adopted: got %+v; want the machine %s as n2", adopted, m.ID)
	}
	boots := box.Boots()
	if m = s.Commission(t, m.ID); m.State != metal.Ready {
		t.Fatalf("commissioned: got %s; want ready", m.State)
	}
	if got := box.Boots(); got != boots {
		t.Errorf("boots: got %d; want %d: the agent was there already", got, boots)
	}
}

func TestChangesThatDoNotRedeployWaitAndAreShown(t *testing.T) {
	s := servertest.Start(t)
	m := s.Commission(t, s.Declare(t, "n3", s.NewMachine(t, 3)).ID)
	s.Image(t, "a", false)
	s.Allocate(t, "web", metal.AllocationSpec{})
	d := s.Deploy(t, m.ID, "a")
	data := "#cloud-config\n{}"
	body := api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "a", Hostname: "other"}, UserData: &data}
	impact, err := s.Client.PlanDeployment(t.Context(), api.PlanDeploymentRequest{ByID: byID(d.ID), Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if impact.Action != "store" || !slices.Equal(impact.Changes, []string{"hostname", "user_data"}) {
		t.Errorf("impact: got %+v; want store of hostname and user_data", impact)
	}
	d, err = s.Client.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: byID(d.ID), Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if !d.Settled || !slices.Equal(d.PendingChanges, []string{"hostname", "user_data"}) {
		t.Errorf("after the change: got %+v; want it to wait", d)
	}
	body.Protected, body.Image = true, "a"
	body.RedeployOn = []string{"hostname"}
	_, err = s.Client.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: byID(d.ID), Body: body})
	if metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), "redeploy_protection") {
		t.Errorf("redeploying what is protected: got %v; want a conflict that says so", err)
	}
}

func TestAForgottenMachineDoesNotComeBackByItself(t *testing.T) {
	s := servertest.Start(t)
	box := s.NewMachine(t, 4)
	m := s.Commission(t, s.Declare(t, "n4", box).ID)
	if err := s.Client.DeleteMachine(t.Context(), api.DeleteMachineRequest{ByID: byID(m.ID)}); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		power, err := box.BMCFake.Power(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if power == metal.PowerOff {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the agent of a forgotten machine still runs; want it to power the machine off")
		}
	}
	l, err := s.Client.ListMachines(t.Context(), api.ListMachinesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Items) != 0 {
		t.Errorf("machines: got %+v; want none: the boot that was under way must not enlist it again", l.Items)
	}
}
