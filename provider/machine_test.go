package main

import (
	"slices"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const machineN1 = `resource "metal_machine" "n1" {
	name = "n1"
	macs = ["52-54-00-00-00-01", "5254.0000.0002"]
}`

func TestMachineIsDeclaredCommissionedAndChangedInPlace(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{
			Config: machineN1,
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_machine.n1", "state", text("ready")),
				check("metal_machine.n1", "macs", knownvalue.ListExact([]knownvalue.Check{text("52-54-00-00-00-01"), text("5254.0000.0002")})),
				statecheck.ExpectKnownValue("metal_machine.n1", tfjsonpath.New("hardware").AtMapKey("cpus"), knownvalue.Int64Exact(8)),
			},
		},
		imported("metal_machine.n1", "name:n1", "macs.0", "macs.1"),
		imported("metal_machine.n1", "mac:52:54:00:00:00:01", "macs.0", "macs.1"),
		resource.TestStep{
			Config: `resource "metal_machine" "n1" {
				name = "n1"
				macs = ["52:54:00:00:00:01", "52:54:00:00:00:02"]
			}`,
			ConfigPlanChecks: action("metal_machine.n1", plancheck.ResourceActionNoop),
		},
		resource.TestStep{
			Config: `resource "metal_machine" "n1" {
				name = "n1"
				macs = ["52:54:00:00:00:01", "52:54:00:00:00:02"]
				tags = ["ssd", "rack-2"]
				notes = ""
			}
			data "metal_machine" "n1" { mac = metal_machine.n1.macs[0] }
			data "metal_machines" "ssd" {
				tag = "ssd"
				depends_on = [metal_machine.n1]
			}
			data "metal_machine_inventory" "n1" { machine_id = metal_machine.n1.id }`,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_machine.n1", plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue("metal_machine.n1", tfjsonpath.New("address"), text("10.0.0.10")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_machine.n1", "name", text("n1")),
				check("data.metal_machines.ssd", "machines", knownvalue.ListSizeExact(1)),
				statecheck.ExpectKnownValue("data.metal_machine_inventory.n1", tfjsonpath.New("inventory").AtMapKey("disks").AtSliceIndex(0).AtMapKey("bytes"), knownvalue.Int64Exact(1<<40)),
			},
		},
	)
	if got := l.started; !slices.Equal(got, []metal.OperationKind{metal.OpCommission}) {
		t.Errorf("got operations %v; want one commissioning", got)
	}
}

func TestMachineThatEnlistedItselfIsAdopted(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	var id string
	l.do(func(f *fake) { id = f.enlist("52:54:00:00:00:01", "52:54:00:00:00:02").ID })
	l.run(t,
		resource.TestStep{
			Config:            machineN1,
			ConfigStateChecks: []statecheck.StateCheck{check("metal_machine.n1", "id", text(id))},
		},
		resource.TestStep{ // somebody forgets it, and it is declared anew
			PreConfig:        func() { l.do(func(f *fake) { delete(f.machines, id) }) },
			Config:           machineN1,
			ConfigPlanChecks: action("metal_machine.n1", plancheck.ResourceActionCreate),
		},
	)
}

func TestFailedCommissioningIsToldAndTriedAgainUnderANewIdentity(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.do(func(f *fake) {
		f.failing[metal.OpCommission] = &metal.Failure{Step: "boot", Message: "the machine did not boot within 10m", Detail: "BMC: chassis power is off"}
	})
	protected := `resource "metal_machine" "n1" {
		name = "n1"
		macs = ["52:54:00:00:00:01"]
		deletion_protection = true
	}`
	l.run(t,
		resource.TestStep{
			Config:      protected,
			ExpectError: says(`Cannot commission machine n1: step "boot" failed.*did not boot.*chassis power is off.*block 42 is bad.*Operation: o-.*apply again`),
		},
		resource.TestStep{
			PreConfig:         func() { l.do(func(f *fake) { delete(f.failing, metal.OpCommission) }) },
			Config:            protected,
			ConfigStateChecks: []statecheck.StateCheck{check("metal_machine.n1", "deletion_protection", knownvalue.Bool(true))},
		},
		resource.TestStep{
			Config: protected, Destroy: true,
			ExpectError: says(`Cannot forget machine n1.*protection is on`),
		},
		resource.TestStep{
			Config: `resource "metal_machine" "n1" {
				name = "n1"
				macs = ["52:54:00:00:00:01"]
			}`,
			ConfigPlanChecks: inPlace("metal_machine.n1"),
		},
	)
}

func TestMachineInFailedCommissioningIsCommissionedAgainInPlace(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{Config: machineN1},
		resource.TestStep{
			PreConfig: func() {
				l.do(func(f *fake) {
					for _, m := range f.machines {
						m.State = metal.FailedCommissioning
					}
				})
			},
			Config:            machineN1,
			ConfigPlanChecks:  inPlace("metal_machine.n1"),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_machine.n1", "state", text("ready"))},
		},
	)
}

func TestMachineThatIsHeldNamesItsHolder(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{Config: machineN1},
		resource.TestStep{
			PreConfig: func() {
				_, err := l.client(t).PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "theirs"}, Body: metal.AllocationSpec{Pool: "default"}})
				if err != nil {
					t.Fatal(err)
				}
			},
			Config: machineN1, Destroy: true,
			ExpectError: says(`Cannot forget machine n1.*allocation theirs holds it`),
		},
		resource.TestStep{
			PreConfig: func() { l.do(func(f *fake) { f.release(f.allocation("theirs")) }) },
			Config:    machineN1,
		},
	)
}

func TestRegisteredMachineIsNotCommissioned(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t, resource.TestStep{
		Config: `resource "metal_machine" "n1" {
			name = "n1"
			macs = ["52:54:00:00:00:01"]
			wait_for = "registered"
			bmc = {
				type     = "redfish"
				address  = "10.1.0.1"
				username = "root"
				tls      = { fingerprint = "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89" }
			}
		}`,
		ConfigStateChecks: []statecheck.StateCheck{check("metal_machine.n1", "state", text("new"))},
	})
	if len(l.started) != 0 {
		t.Errorf("got operations %v; want none", l.started)
	}
}

func TestNonsenseInAMachineIsRefusedAtItsAttribute(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t, resource.TestStep{
		Config: `resource "metal_machine" "n1" {
			name = "n1"
			macs = ["01:00:5e:00:00:01"]
		}`,
		ExpectError: says(`Invalid MAC address.*group \(multicast\) address`),
	})
}
