package servertest_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/bmctest"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

func wantRefusal(t *testing.T, what string, err error, code metal.Code, message string) {
	t.Helper()
	if metal.CodeOf(err) != code || !strings.Contains(err.Error(), message) {
		t.Errorf("%s: got %v; want %s with %q", what, err, code, message)
	}
}

func second(_ any, err error) error { return err }

// awaitState waits until an operation has brought a machine to a step.
func awaitStep(t *testing.T, s *servertest.Server, machine, step string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		l, err := s.Client.ListOperations(t.Context(), api.ListOperationsRequest{Machine: machine, Status: "open"})
		must(t, err)
		if len(l.Items) == 1 && l.Items[0].Step == step {
			return
		}
	}
	t.Fatalf("no operation on machine %s came to step %s", machine, step)
}

func TestAbortInEachWorkingState(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Image(t, "a", true)
	box := s.NewMachine(t, 50)
	m := s.Declare(t, "n50", box)
	command := api.CommandRequest{ByID: byID(m.ID)}
	abort := func(step string, want metal.State) {
		t.Helper()
		awaitStep(t, s, m.ID, step)
		_, err := s.Client.AbortMachine(t.Context(), byID(m.ID))
		must(t, err)
		if m = s.Settled(t, m.ID); m.State != want {
			t.Fatalf("aborted at %s: got %s; want %s", step, m.State, want)
		}
		wantRefusal(t, "abort of nothing", second(s.Client.AbortMachine(t.Context(), byID(m.ID))), metal.Conflict, "nothing to abort")
	}

	box.Die()
	must(t, second(s.Client.CommissionMachine(t.Context(), command)))
	abort("boot", metal.New)
	box.Mend()
	m = s.Commission(t, m.ID)

	a := s.Allocate(t, "web", metal.AllocationSpec{})
	box.Mute()
	d, err := s.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: m.ID, DeploymentBody: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "a"}},
	}})
	must(t, err)
	abort("report", metal.FailedDeployment)
	box.Mend()
	if d = redeploy(t, s, d, "a"); d.State != metal.Deployed {
		t.Fatalf("deployed after an abort: got %s, %+v", d.State, d.Failure)
	}

	box.Die()
	must(t, second(s.Client.DeleteDeployment(t.Context(), byID(d.ID))))
	abort("boot", metal.FailedDeployment)
	must(t, second(s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})))
	abort("boot", metal.FailedErasing)

	box.IPMI.SetFaults(bmctest.Faults{Silent: true})
	release := api.ReleaseRequest{CommandRequest: command, Body: metal.ReleasePolicy{Erase: metal.EraseNone}}
	must(t, second(s.Client.ReleaseMachine(t.Context(), release)))
	abort("free", metal.FailedReleasing)
	box.Mend()
	release.Body.Erase = metal.EraseQuick
	op, err := s.Client.ReleaseMachine(t.Context(), release)
	must(t, err)
	s.Await(t, op)
	if m = s.Settled(t, m.ID); m.State != metal.Ready {
		t.Errorf("in the end: got %s, %+v; want ready", m.State, m.Failure)
	}
}

func TestAReleaseOverridesADeployment(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	s.Image(t, "a", true)
	box := s.NewMachine(t, 51)
	m := s.Commission(t, s.Declare(t, "n51", box).ID)
	a := s.Allocate(t, "web", metal.AllocationSpec{})
	box.Mute()
	d, err := s.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: m.ID, DeploymentBody: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "a"}},
	}})
	must(t, err)
	awaitStep(t, s, m.ID, "report")
	wantRefusal(t, "power in the middle", second(s.Client.PowerMachine(t.Context(), api.PowerRequest{CommandRequest: api.CommandRequest{ByID: byID(m.ID)}, Body: api.PowerBody{Action: "off"}})),
		metal.Conflict, d.OperationID)
	op, err := s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
	must(t, err)
	before, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: byID(d.OperationID)})
	must(t, err)
	if before.Status != metal.OpAborted {
		t.Errorf("the deployment's operation: got %s; want aborted", before.Status)
	}
	s.Await(t, op)
	if m = s.Settled(t, m.ID); m.State != metal.Ready || m.DeploymentID != "" {
		t.Errorf("released: got %+v; want ready, with nothing on it", m)
	}
}

func TestRefusalsTellWhatToDo(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	ctx, c := t.Context(), s.Client
	m := s.Commission(t, s.Declare(t, "n52", s.NewMachine(t, 52)).ID)
	command := api.CommandRequest{ByID: byID(m.ID)}
	lock := func(locked bool) {
		must(t, second(c.LockMachine(ctx, api.LockRequest{ByID: byID(m.ID), Body: api.LockBody{Locked: locked}})))
	}
	lock(true)
	wantRefusal(t, "commission of a locked machine", second(c.CommissionMachine(ctx, command)), metal.Conflict, "it is locked; unlock it first")
	wantRefusal(t, "power of one", second(c.PowerMachine(ctx, api.PowerRequest{CommandRequest: command, Body: api.PowerBody{Action: "on"}})), metal.Conflict, "locked")
	wantRefusal(t, "claim of one", second(c.PutAllocation(ctx, api.PutAllocationRequest{ByName: api.ByName{Name: "web"}})), metal.Exhausted, "none of 1 machines")
	wantRefusal(t, "forgetting one", c.DeleteMachine(ctx, api.DeleteMachineRequest{ByID: byID(m.ID)}), metal.Conflict, "locked")
	lock(false)

	s.Allocate(t, "web", metal.AllocationSpec{})
	wantRefusal(t, "forgetting a claimed machine", c.DeleteMachine(ctx, api.DeleteMachineRequest{ByID: byID(m.ID)}), metal.Conflict, "allocation web holds it")
	wantRefusal(t, "deploying no image", second(c.CreateDeployment(ctx, api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: m.ID, DeploymentBody: api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "none"}}}})), metal.Invalid, "there is no image none; import it first")
	wantRefusal(t, "an unknown machine", second(c.GetMachine(ctx, api.GetMachineRequest{ByID: byID("m-none")})), metal.NotFound, "there is no machine m-none")
	l, err := c.ListMachines(ctx, api.ListMachinesRequest{MAC: "52:54:00:00:00:01"})
	if err != nil || len(l.Items) != 0 {
		t.Errorf("an unknown MAC address: got %v, %v; want no machine", l.Items, err)
	}

	wantRefusal(t, "an overlapping subnet", second(c.PutSubnet(ctx, api.PutSubnetRequest{ByName: api.ByName{Name: "half"}, Body: servertest.Subnet("10.77.128.0/17")})), metal.Conflict, "shares addresses with")
	wantRefusal(t, "deleting a subnet that is used", c.DeleteSubnet(ctx, api.DeleteByNameRequest{ByName: api.ByName{Name: "fleet"}}), metal.Conflict, m.ID)
	wantRefusal(t, "moving it", second(c.PutSubnet(ctx, api.PutSubnetRequest{ByName: api.ByName{Name: "fleet"}, Body: servertest.Subnet("10.79.0.0/16")})), metal.Conflict, "10.77.0.1")
	must(t, second(c.PutSubnet(ctx, api.PutSubnetRequest{ByName: api.ByName{Name: "a-small"}, Body: metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("10.78.0.0/30"), Gateway: netip.MustParseAddr("10.78.0.1"), DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative}}})))
	s.Declare(t, "n53", s.NewMachine(t, 53))
	box := s.NewMachine(t, 54)
	_, err = c.CreateMachine(ctx, api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: "n54", MACs: []metal.MAC{box.MAC}}}})
	wantRefusal(t, "a machine for a full subnet", err, metal.Exhausted, "subnet a-small (10.78.0.0/30) has no free address left")
	if _, err := c.GetMachine(ctx, api.GetMachineRequest{ByID: byID("n54")}); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("the machine that was refused: got %v; want it not there", err)
	}
}

func TestTheSameKeyIsTheSameOperation(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	box := s.NewMachine(t, 55)
	m := s.Declare(t, "n55", box)
	box.Die()
	command := api.CommandRequest{ByID: byID(m.ID), Key: "once"}
	first, err := s.Client.CommissionMachine(t.Context(), command)
	must(t, err)
	again, err := s.Client.CommissionMachine(t.Context(), command)
	if err != nil || again.ID != first.ID {
		t.Errorf("the same key: got %s, %v; want %s", again.ID, err, first.ID)
	}
	command.Key = "twice"
	_, err = s.Client.CommissionMachine(t.Context(), command)
	var e *metal.Error
	if !errors.As(err, &e) || e.Code != metal.Conflict {
		t.Errorf("another key meanwhile: got %v; want a conflict", err)
	}
	must(t, second(s.Client.AbortMachine(t.Context(), byID(m.ID))))
	box.Mend()
	s.Commission(t, m.ID)

	s.Allocate(t, "web", metal.AllocationSpec{})
	release := api.ReleaseRequest{CommandRequest: api.CommandRequest{ByID: byID(m.ID), Key: "release"}}
	op, err := s.Client.ReleaseMachine(t.Context(), release)
	must(t, err)
	s.Await(t, op)
	s.Settled(t, m.ID)
	a := s.Allocate(t, "other", metal.AllocationSpec{})
	late, err := s.Client.ReleaseMachine(t.Context(), release)
	if err != nil || late.ID != op.ID {
		t.Errorf("a late repeat of the release: got %s, %v; want %s", late.ID, err, op.ID)
	}
	if _, err := s.Client.GetAllocation(t.Context(), byID(a.ID)); err != nil {
		t.Errorf("the claim that was made since: got %v; want it untouched", err)
	}
}

func TestOfTwoAtOnceOneIsRefusedWithTheOthersOperation(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	box := s.NewMachine(t, 56)
	m := s.Declare(t, "n56", box)
	box.Die()
	ops, errs := make([]metal.Operation, 8), make([]error, 8)
	var wg sync.WaitGroup
	for i := range ops {
		wg.Go(func() {
			ops[i], errs[i] = s.Client.CommissionMachine(t.Context(), api.CommandRequest{ByID: byID(m.ID)})
		})
	}
	wg.Wait()
	var winner string
	for i, op := range ops {
		if errs[i] == nil {
			if winner != "" {
				t.Errorf("two won: %s and %s", winner, op.ID)
			}
			winner = op.ID
		}
	}
	for _, err := range errs {
		var e *metal.Error
		if err != nil && (!errors.As(err, &e) || e.Code != metal.Conflict || e.Operation != winner) {
			t.Errorf("a loser: got %v; want a conflict with operation %s", err, winner)
		}
	}
	must(t, second(s.Client.AbortMachine(t.Context(), byID(m.ID))))
}

func TestBadImagesFailWithTheReason(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	must(t, second(z.Write(servertest.Disk("x"))))
	must(t, z.Close())
	for name, test := range map[string]struct {
		content []byte
		spec    metal.ImageSpec
		want    string
	}{
		"wrong-checksum": {servertest.Disk("x"), metal.ImageSpec{SHA256: strings.Repeat("0", 64)}, "SHA-256"},
		"truncated":      {packed.Bytes()[:packed.Len()/2], metal.ImageSpec{}, "truncated"},
		"no-qcow2":       {servertest.Disk("x"), metal.ImageSpec{Format: "qcow2"}, "qcow2"},
		"text":           {[]byte("<html>not found</html>"), metal.ImageSpec{}, "it is a web page"},
		"missing":        {nil, metal.ImageSpec{}, "no such file"},
	} {
		test.spec.Source = filepath.Join(s.Images, name)
		if test.content != nil {
			must(t, os.WriteFile(test.spec.Source, test.content, 0o600))
		}
		in := api.PutImageRequest{ByName: api.ByName{Name: name}, Body: test.spec}
		must(t, second(s.Client.PutImage(t.Context(), in)))
		i, err := s.Client.GetImage(t.Context(), api.GetImageRequest{ByName: in.ByName, Wait: "30s"})
		must(t, err)
		if i.State != metal.ImageFailed || i.Failure == nil || i.Failure.Step != "import" || !strings.Contains(i.Failure.Message, test.want) {
			t.Errorf("%s: got %s, %+v; want it failed with %q", name, i.State, i.Failure, test.want)
		}
		must(t, os.WriteFile(test.spec.Source, servertest.Disk(name), 0o600))
		in.Body.SHA256, in.Body.Format = "", ""
		must(t, second(s.Client.PutImage(t.Context(), in)))
		if i, err = s.Client.GetImage(t.Context(), api.GetImageRequest{ByName: in.ByName, Wait: "30s"}); err != nil || i.State != metal.ImageReady {
			t.Errorf("%s, once mended: got %s, %+v, %v; want ready", name, i.State, i.Failure, err)
		}
	}
}
