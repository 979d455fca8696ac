package servertest_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

func TestWhatGoesWrongAtTheFirstBootIsTold(t *testing.T) {
	t.Parallel()
	s := servertest.Start(t, servertest.WithConfig(limits))
	s.Image(t, "a", true)
	const broken = `{"over": true, "errors": ["('scripts_user', RuntimeError('1 failed'))"], "log": "+ install\nE: no such package\n"}`
	for i, tt := range []struct {
		name     string
		reports  []string
		mute     bool
		state    metal.State
		warnings []string
		failure  string // part of its evidence
	}{
		{"all went well", []string{`{}`, `{"over": true, "errors": []}`}, false, metal.Deployed, nil, ""},
		{"a script failed", []string{`{}`, broken, broken}, false, metal.Deployed,
			[]string{"cloud-init ended with errors on the installed system: ('scripts_user', RuntimeError('1 failed'))\n+ install\nE: no such package"}, ""},
		{"nonsense is refused and stops nothing", []string{`hello`, `{"over": `}, false, metal.Deployed, nil, ""},
		{"it never says that it is up", []string{broken}, true, metal.FailedDeployment, nil, "E: no such package"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			box := s.NewMachine(t, 60+i)
			m := s.Commission(t, s.Declare(t, "f"+string(rune('a'+i)), box).ID)
			a := s.Allocate(t, "claim-"+m.Spec.Name, metal.AllocationSpec{Constraints: metal.Constraints{Machine: m.ID}})
			box.FirstBoot(tt.reports...)
			if tt.mute {
				box.Mute()
			}
			d := s.Deploy(t, a.MachineID, "a")
			if m = s.Settled(t, m.ID); m.State != tt.state {
				t.Fatalf("got %s, %+v; want %s", m.State, m.Failure, tt.state)
			}
			op, err := s.Client.GetOperation(t.Context(), api.GetOperationRequest{ByID: api.ByID{ID: d.OperationID}})
			must(t, err)
			if tt.failure != "" {
				if op.Failure == nil || !strings.Contains(op.Failure.Detail, tt.failure) {
					t.Errorf("failure: got %+v; want evidence with %q", op.Failure, tt.failure)
				}
				return
			}
			if !slices.Equal(op.Warnings, tt.warnings) {
				t.Errorf("warnings: got %q; want %q", op.Warnings, tt.warnings)
			}
		})
	}
}
