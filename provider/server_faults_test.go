package main

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// shortLimits let faults be seen in seconds, and leave a busy test machine enough for what works.
var shortLimits = servertest.WithConfig("limits {\n boot = \"3s\"\n boots = 1\n report = \"3s\"\n}\n")

// actions are what a plan does to each of some resources.
func actions(want map[string]plancheck.ResourceActionType) resource.ConfigPlanChecks {
	var checks resource.ConfigPlanChecks
	for address, act := range want {
		checks.PreApply = append(checks.PreApply, plancheck.ExpectResourceAction(address, act))
	}
	return checks
}

func TestACommissioningThatFailsIsToldAndRepeated(t *testing.T) {
	t.Parallel()
	for n, test := range []struct {
		name, password string
		sabotage       func(box *servertest.Machine)
		want           string
	}{
		{"the BMC's password is wrong", "wrong", func(*servertest.Machine) {}, `step "boot" failed.*refused the user name "admin" or its password: correct them`},
		{"the BMC is silent", servertest.BMCPassword, (*servertest.Machine).SilenceBMC, `step "boot" failed.*does not answer`},
		{"the machine never calls", servertest.BMCPassword, (*servertest.Machine).Die, `step "boot" failed.*no agent spoke within 3s.*power-cycle into the network`},
		{"the inventory cannot be taken", servertest.BMCPassword, func(box *servertest.Machine) {
			box.Refuse("inventory", &metal.Failure{Message: "read /sys: it is gone", Detail: "no such directory"})
		}, `step "inspect" failed.*Read /sys: it is gone.*no such directory`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := startRack(t, shortLimits)
			box := r.server.NewMachine(t, 10+n)
			test.sabotage(box)
			r.run(t,
				resource.TestStep{
					Config:      machine("n1", box, test.password, ""),
					ExpectError: says(`Cannot commission machine n1: ` + test.want + `.*Last lines of the log.*Operation: o-.*Mend the cause and apply again`),
				},
				resource.TestStep{ // the record is in the state, and so nothing is declared twice
					PreConfig:         box.Mend,
					Config:            machine("n1", box, servertest.BMCPassword, ""),
					ConfigPlanChecks:  action("metal_machine.n1", plancheck.ResourceActionDestroyBeforeCreate),
					ConfigStateChecks: []statecheck.StateCheck{check("metal_machine.n1", "state", text("ready"))},
					Check:             r.once(t),
				},
			)
		})
	}
}

func TestADeploymentThatFailsKeepsTheClaimAndIsRepeated(t *testing.T) {
	t.Parallel()
	r := startRack(t, shortLimits)
	box := r.server.NewMachine(t, 20)
	config := func(image string) string {
		return machine("n1", box, servertest.BMCPassword, "") + theirs("debian", filepath.Join(r.server.Images, "debian")) +
			theirs("rocky", filepath.Join(r.server.Images, "rocky")) + system("image = metal_image."+image+".name")
	}
	r.image(t, "debian", "debian")
	r.image(t, "rocky", "rocky")
	box.Refuse("write", &metal.Failure{Message: "write /dev/vda: input/output error", Detail: "sector 4096"})
	deployed := []statecheck.StateCheck{check("metal_deployment.web", "state", text("deployed"))}
	r.run(t,
		resource.TestStep{
			Config: config("debian"),
			ExpectError: says(`Cannot deploy debian to n1.fleet.test: step "write" failed.*Write /dev/vda: input/output error.*sector 4096.*` +
				`Last lines of the log.*Operation: o-.*The machine keeps its claim. Mend the cause and apply again`),
		},
		resource.TestStep{
			PreConfig: box.Mend,
			Config:    config("debian"),
			ConfigPlanChecks: actions(map[string]plancheck.ResourceActionType{
				"metal_machine.n1": plancheck.ResourceActionNoop, "metal_allocation.web": plancheck.ResourceActionNoop,
				"metal_deployment.web": plancheck.ResourceActionDestroyBeforeCreate,
			}),
			ConfigStateChecks: deployed,
			Check:             r.once(t),
		},
		resource.TestStep{
			PreConfig:   box.Mute,
			Config:      config("rocky"),
			ExpectError: says(`Cannot deploy rocky to n1.fleet.test: step "report" failed.*did not call back within 3s`),
		},
		resource.TestStep{ // what ran once is not tainted
			PreConfig: box.Mend,
			Config:    config("rocky"),
			ConfigPlanChecks: actions(map[string]plancheck.ResourceActionType{
				"metal_allocation.web": plancheck.ResourceActionNoop, "metal_deployment.web": plancheck.ResourceActionUpdate,
			}),
			ConfigStateChecks: deployed,
			Check:             r.once(t),
		},
	)
}

func TestAnEraseThatFailsIsToldAndTheClaimIsOver(t *testing.T) {
	t.Parallel()
	r := startRack(t, shortLimits)
	box := r.server.NewMachine(t, 23)
	bare := machine("n1", box, servertest.BMCPassword, "")
	claim := `resource "metal_allocation" "web" {
		name           = "web"
		wait_for_erase = true
		depends_on     = [metal_machine.n1]
	}`
	r.run(t,
		resource.TestStep{Config: bare + claim},
		resource.TestStep{
			PreConfig: func() {
				box.Refuse("erase", &metal.Failure{Message: "wipe vda: input/output error", Detail: "sector 0"})
			},
			Config: bare,
			ExpectError: says(`Cannot release machine n1: step "erase" failed.*Wipe vda: input/output error.*sector 0.*Operation: o-.*` +
				`The claim has ended, but the machine is not free: .metalctl machines show n1`),
		},
		resource.TestStep{ // what is not wiped is given to nobody
			PreConfig:   box.Mend,
			Config:      bare + claim,
			ExpectError: says(`Cannot claim a machine as web.*n1 \(m-\w+\): it is failed_erasing`),
		},
		resource.TestStep{ // somebody releases it again
			PreConfig: func() {
				m := r.machines(t)[0]
				op, err := r.client(t).ReleaseMachine(t.Context(), api.ReleaseRequest{CommandRequest: api.CommandRequest{ByID: api.ByID{ID: m.ID}}})
				if err != nil {
					t.Fatal(err)
				}
				r.server.Await(t, op)
			},
			Config: bare + claim,
			ConfigPlanChecks: actions(map[string]plancheck.ResourceActionType{
				"metal_machine.n1": plancheck.ResourceActionNoop, "metal_allocation.web": plancheck.ResourceActionCreate,
			}),
			Check: r.once(t),
		},
	)
}
