package servertest_test

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// limits lets faults be seen in seconds.
const limits = "limits {\n boot = \"700ms\"\n boots = 2\n silence = \"20s\"\n report = \"700ms\"\n commission = \"10s\"\n}\n"

// wantFailure checks that a machine ended in a failed state which tells why.
func wantFailure(t *testing.T, m metal.Machine, state metal.State, step, message string) {
	t.Helper()
	if m.State != state || !m.Settled {
		t.Fatalf("got %s, settled %t; want %s", m.State, m.Settled, state)
	}
	if m.Failure == nil || m.Failure.Step != step || !strings.Contains(m.Failure.Message, message) {
		t.Fatalf("failure: got %+v; want step %s and %q", m.Failure, step, message)
	}
	if strings.Contains(m.Failure.Message+m.Failure.Detail, "wrong-horse") || strings.Contains(m.Failure.Message+m.Failure.Detail, servertest.BMCPassword) {
		t.Errorf("the failure tells a password: %+v", m.Failure)
	}
}

func setPassword(t *testing.T, s *servertest.Server, m metal.Machine, password string) {
	t.Helper()
	_, err := s.Client.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: byID(m.ID), Body: api.MachineBody{MachineSpec: m.Spec, Password: &password}})
	must(t, err)
}

func TestACommissioningThatFailsSaysWhyAndWorksOnceMended(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.WithConfig(limits))
	for i, test := range []struct {
		name          string
		sabotage      func(t *testing.T, box *servertest.Machine, m metal.Machine)
		step, message string
		detail        string
	}{
		{"the BMC's password is wrong", func(t *testing.T, _ *servertest.Machine, m metal.Machine) { setPassword(t, s, m, "wrong-horse") },
			"boot", "refused the user name \"admin\" or its password: correct them", ""},
		{"the BMC is silent", func(_ *testing.T, box *servertest.Machine, _ metal.Machine) {
			box.IPMI.SetFaults(bmctest.Faults{Silent: true})
		}, "boot", "does not answer", ""},
		{"the BMC refuses to switch", func(_ *testing.T, box *servertest.Machine, _ metal.Machine) {
			box.IPMI.SetFaults(bmctest.Faults{RefusePower: true})
		}, "boot", "the BMC of machine", "completion code d5h"},
		{"the machine never calls", func(_ *testing.T, box *servertest.Machine, _ metal.Machine) { box.Die() },
			"boot", "booted from the network 2 times and no agent spoke within 700ms", "power-cycle into the network"},
		{"the agent cannot take the inventory", func(_ *testing.T, box *servertest.Machine, _ metal.Machine) {
			box.Refuse(agentapi.StepInventory, &metal.Failure{Message: "read /sys: it is gone", Detail: "no such directory"})
		}, "inspect", "read /sys: it is gone", "no such directory"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			box := s.NewMachine(t, 20+i)
			m := s.Declare(t, "n"+string(rune('a'+i)), box)
			test.sabotage(t, box, m)
			m = s.Commission(t, m.ID)
			wantFailure(t, m, metal.FailedCommissioning, test.step, test.message)
			if !strings.Contains(strings.ToLower(m.Failure.Detail), test.detail) {
				t.Errorf("detail: got %q; want %q in it", m.Failure.Detail, test.detail)
			}
			if m.Failure.Detail == "" {
				t.Error("the failure has no evidence")
			}
			box.Mend()
			setPassword(t, s, m, servertest.BMCPassword)
			if m = s.Commission(t, m.ID); m.State != metal.Ready || m.Failure != nil {
				t.Errorf("after it was mended: got %s, %+v; want ready", m.State, m.Failure)
			}
		})
	}
}

func TestADeploymentThatFailsSaysWhyAndIsRepeatedOnceMended(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.WithConfig(limits))
	s.Image(t, "a", true)
	for i, test := range []struct {
		name          string
		sabotage      func(box *servertest.Machine)
		step, message string
	}{
		{"the disk cannot be written", func(box *servertest.Machine) {
			box.Refuse(agentapi.StepWrite, &metal.Failure{Message: "write /dev/vda: input/output error", Detail: "sector 4096"})
		}, "write", "input/output error"},
		{"the machine does not restart", func(box *servertest.Machine) {
			box.Refuse(agentapi.StepReboot, &metal.Failure{Message: "reboot: operation not permitted"})
		}, "start", "not permitted"},
		{"the installed system never calls", (*servertest.Machine).Mute, "report", "did not call back within 700ms"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			box := s.NewMachine(t, 30+i)
			m := s.Commission(t, s.Declare(t, "n"+string(rune('a'+i)), box).ID)
			a := s.Allocate(t, "claim-"+m.Spec.Name, metal.AllocationSpec{Constraints: metal.Constraints{Machine: m.ID}})
			test.sabotage(box)
			d := s.Deploy(t, a.MachineID, "a")
			m = s.Settled(t, m.ID)
			wantFailure(t, m, metal.FailedDeployment, test.step, test.message)
			if d.Failure == nil || d.Failure.Step != test.step || m.DeploymentID != d.ID || m.AllocationID != a.ID {
				t.Errorf("the deployment: got %+v on %+v; want the same failure, and nothing lost", d, m)
			}
			box.Mend()
			if d = redeploy(t, s, d, "a"); d.State != metal.Deployed || d.Failure != nil || d.Applied == nil {
				t.Errorf("once mended: got %+v; want it deployed", d)
			}
		})
	}
}

func TestAReleaseThatFailsCanBeRepeated(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.WithConfig(limits))
	box := s.NewMachine(t, 40)
	m := s.Commission(t, s.Declare(t, "n40", box).ID)
	a := s.Allocate(t, "web", metal.AllocationSpec{})
	box.Refuse(agentapi.StepErase, &metal.Failure{Message: "wipe vda: input/output error", Detail: "sector 0"})
	op, err := s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
	must(t, err)
	if op = s.Await(t, op); op.Status != metal.OpFailed {
		t.Errorf("operation: got %s; want failed", op.Status)
	}
	wantFailure(t, s.Settled(t, m.ID), metal.FailedErasing, "erase", "wipe vda")
	if _, err := s.Client.PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "other"}}); metal.CodeOf(err) != metal.Exhausted {
		t.Errorf("a claim of what is not wiped: got %v; want exhausted", err)
	}
	box.Mend()
	op, err = s.Client.ReleaseMachine(t.Context(), api.ReleaseRequest{CommandRequest: api.CommandRequest{ByID: byID(m.ID)}})
	must(t, err)
	s.Await(t, op)
	if m = s.Settled(t, m.ID); m.State != metal.Ready || m.Erased == nil {
		t.Errorf("released again: got %s, %+v; want ready and wiped", m.State, m.Erased)
	}
}

func TestADeadlineEndsAState(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.WithConfig("limits {\n deploy = \"2s\"\n}\n"))
	s.Image(t, "a", true)
	box := s.NewMachine(t, 41)
	m := s.Commission(t, s.Declare(t, "n41", box).ID)
	s.Allocate(t, "web", metal.AllocationSpec{})
	box.Mute()
	d := s.Deploy(t, m.ID, "a")
	wantFailure(t, s.Settled(t, m.ID), metal.FailedDeployment, "report", "report took longer than it may")
	box.Mend()
	if d = redeploy(t, s, d, "a"); d.State != metal.Deployed {
		t.Errorf("deployed again: got %s", d.State)
	}
}

func TestABrokenMachineComesBackByRelease(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	m := s.Commission(t, s.Declare(t, "n42", s.NewMachine(t, 42)).ID)
	a := s.Allocate(t, "web", metal.AllocationSpec{})
	mark := func(cmd metal.Command) error {
		in := api.MarkRequest{ByID: byID(m.ID)}
		in.Body.Command, in.Body.Reason = cmd, "its fan is loud"
		_, err := s.Client.MarkMachine(t.Context(), in)
		return err
	}
	must(t, mark(metal.Break))
	wantFailure(t, s.Settled(t, m.ID), metal.Broken, "marked", "its fan is loud")
	_, commission := s.Client.CommissionMachine(t.Context(), api.CommandRequest{ByID: byID(m.ID)})
	for name, err := range map[string]error{"fix": mark(metal.Fix), "retire": mark(metal.Retire), "commission": commission} {
		if metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), "allocation web holds it") {
			t.Errorf("%s: got %v; want a conflict that names the holder", name, err)
		}
	}
	op, err := s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
	must(t, err)
	s.Await(t, op)
	if m = s.Settled(t, m.ID); m.State != metal.Ready || m.AllocationID != "" || m.Erased == nil {
		t.Errorf("released: got %+v; want it ready, wiped and nobody's", m)
	}
}
