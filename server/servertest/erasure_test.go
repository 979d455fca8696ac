package servertest_test

import (
	"slices"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/agentapi"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// certificates lists those of a machine.
func certificates(t *testing.T, s *servertest.Server, machine string) []metal.EraseCertificate {
	t.Helper()
	l, err := s.Client.ListEraseCertificates(t.Context(), api.ListEraseCertificatesRequest{Machine: machine})
	if err != nil {
		t.Fatal(err)
	}
	return l.Items
}

func TestAWipeIsCertifiedAndTheCertificateOutlivesTheMachine(t *testing.T) {
	s := servertest.Start(t)
	box := s.NewMachine(t, 1)
	m := s.Commission(t, s.Declare(t, "n1", box).ID)
	if got := certificates(t, s, "n1"); len(got) != 0 {
		t.Fatalf("before any wipe: got %+v; want no certificate", got)
	}
	for _, claim := range []string{"one", "two"} {
		a := s.Allocate(t, claim, metal.AllocationSpec{Release: metal.ReleasePolicy{Erase: metal.EraseZero, PowerOff: true}})
		op, err := s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
		if err != nil {
			t.Fatal(err)
		}
		s.Await(t, op)
		if m = s.Settled(t, m.ID); m.State != metal.Ready || m.Power != metal.PowerOff {
			t.Fatalf("released: got %s, power %s; want ready and off", m.State, m.Power)
		}
	}
	list := certificates(t, s, "n1")
	if len(list) != 2 || list[0].Allocation != "one" || list[1].Allocation != "two" || m.Erased.Certificate != list[1].ID {
		t.Fatalf("got %+v, and the machine says %q; want those of both claims, the later one named", list, m.Erased.Certificate)
	}
	if first, err := s.Client.ListEraseCertificates(t.Context(), api.ListEraseCertificatesRequest{Page: api.Page{Limit: 1}}); err != nil || first.Next != list[0].ID {
		t.Errorf("a page of one: got next %q, %v; want %s", first.Next, err, list[0].ID)
	}
	if err := s.Client.DeleteMachine(t.Context(), api.DeleteMachineRequest{ByID: byID(m.ID)}); err != nil {
		t.Fatal(err)
	}
	if got := certificates(t, s, m.ID); len(got) != 2 {
		t.Errorf("when the machine is gone: got %d certificates; want 2", len(got))
	}
	c, err := s.Client.GetEraseCertificate(t.Context(), list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	key, err := s.Client.GetEraseKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	record, err := metal.VerifyErase(c.Signed, key)
	if err != nil {
		t.Fatal(err)
	}
	if record.MachineID != m.ID || record.Mode != metal.EraseZero || len(record.Disks) != 1 || record.Disks[0].Result != metal.WipeVerified {
		t.Errorf("signed: got %+v; want the wipe of the machine", record)
	}
	if _, err := s.Client.GetEraseCertificate(t.Context(), "w-none"); metal.CodeOf(err) != metal.NotFound {
		t.Errorf("no such certificate: got %v; want not_found", err)
	}
}

func TestAWipeThatFailsGetsNoCertificate(t *testing.T) {
	s := servertest.Start(t)
	box := s.NewMachine(t, 1)
	m := s.Commission(t, s.Declare(t, "n1", box).ID)
	a := s.Allocate(t, "one", metal.AllocationSpec{})
	box.Refuse(agentapi.StepErase, &metal.Failure{Message: "wipe vda: input/output error"})
	op, err := s.Client.DeleteAllocation(t.Context(), api.DeleteAllocationRequest{ByID: byID(a.ID)})
	if err != nil {
		t.Fatal(err)
	}
	if m = s.Settled(t, m.ID); m.State != metal.FailedErasing || op.MachineID != m.ID {
		t.Fatalf("got %s; want failed_erasing", m.State)
	}
	if got := certificates(t, s, "n1"); len(got) != 0 {
		t.Errorf("got %+v; want none", got)
	}
}

func TestTheKeyOfCertificatesOutlivesAKill(t *testing.T) {
	s := servertest.Start(t)
	before, err := s.Client.GetEraseKey(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Kill()
	after, err := s.Client.GetEraseKey(t.Context())
	if err != nil || !slices.Equal([]metal.JWK{after}, []metal.JWK{before}) {
		t.Errorf("got %+v, %v; want %+v", after, err, before)
	}
}
