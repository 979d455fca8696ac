package main

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const twoMachines = `
resource "metal_machine" "n1" {
	name = "n1"
	macs = ["52:54:00:00:00:01"]
	tags = ["ssd"]
}
resource "metal_machine" "n2" {
	name = "n2"
	macs = ["52:54:00:00:00:02"]
	depends_on = [metal_machine.n1]
}
`

const images = `
resource "metal_image" "debian" {
	name = "debian"
	source = "https://example.net/debian"
}
resource "metal_image" "rocky" {
	name = "rocky"
	source = "https://example.net/rocky"
}
`

func TestAllocationIsReplacedOnlyWhenItsMachineDoesNotFit(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	claim := func(rest string) string {
		return twoMachines + `resource "metal_allocation" "web" {
			name = "web"
			depends_on = [metal_machine.n1, metal_machine.n2]
		` + rest + "\n}\n"
	}
	l.run(t,
		resource.TestStep{
			Config:            claim(`constraints = { tags = ["ssd"] }`),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_allocation.web", "machine", text("n1"))},
		},
		imported("metal_allocation.web", "name:web"),
		resource.TestStep{
			Config: claim(`constraints = { min_cpus = 8 }
				release = { erase = "none" }`),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_allocation.web", plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue("metal_allocation.web", tfjsonpath.New("machine_id"), knownvalue.NotNull()),
			}},
			ConfigStateChecks: []statecheck.StateCheck{check("metal_allocation.web", "machine", text("n1"))},
		},
		resource.TestStep{
			Config: claim(`constraints = { machine = metal_machine.n2.name }`) + `
			data "metal_allocation" "web" { name = metal_allocation.web.name }
			data "metal_allocation_preview" "more" {
				constraints = { min_cpus = 1000 }
				depends_on = [metal_allocation.web]
			}`,
			ConfigPlanChecks: action("metal_allocation.web", plancheck.ResourceActionDestroyBeforeCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_allocation.web", "machine", text("n2")),
				check("data.metal_allocation_preview.more", "machine", knownvalue.Null()),
				check("data.metal_allocation_preview.more", "others", knownvalue.ListSizeExact(2)),
			},
		},
	)
}

func TestAllocationWithoutCapacitySaysWhyEachMachineDoesNotMatch(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t, resource.TestStep{
		Config: twoMachines + `resource "metal_allocation" "big" {
			name              = "big"
			constraints       = { min_cpus = 128 }
			wait_for_capacity = "600ms"
			depends_on        = [metal_machine.n1, metal_machine.n2]
		}`,
		ExpectError: says(`Cannot claim a machine as big.*waited for 600ms.*n1 \(m-\d+\): it has too few CPUs.*n2 \(m-\d+\): it has too few CPUs.*wait_for_capacity`),
	})
}

func deployment(rest string) string {
	return twoMachines + images + `
	resource "metal_allocation" "web" {
		name = "web"
		constraints = { tags = ["ssd"] }
		depends_on = [metal_machine.n1]
	}
	resource "metal_deployment" "web" {
		machine_id = metal_allocation.web.machine_id
	` + rest + "\n}\n"
}

func TestDeploymentRedeploysTheSameMachine(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{
			Config: deployment(`
				image     = metal_image.debian.name
				user_data = "#cloud-config\n"
				ssh_keys  = ["me", "you"]`),
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_deployment.web", "state", text("deployed")),
				check("metal_deployment.web", "fqdn", text("n1.test")),
				check("metal_deployment.web", "digest", text(digestOf("https://example.net/debian"))),
			},
		},
		imported("metal_deployment.web", "name:n1", "user_data"),
		resource.TestStep{ // a change that waits
			Config: deployment(`
				image     = metal_image.debian.name
				user_data = "#cloud-config\npackages: [nginx]\n"
				ssh_keys  = ["you", "me"]`),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_deployment.web", plancheck.ResourceActionUpdate),
				plancheck.ExpectKnownValue("metal_deployment.web", tfjsonpath.New("state"), text("deployed")),
				plancheck.ExpectUnknownValue("metal_deployment.web", tfjsonpath.New("pending_changes")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_deployment.web", "pending_changes", knownvalue.SetExact([]knownvalue.Check{text("user_data")})),
			},
		},
		resource.TestStep{ // another image on the same machine
			Config: deployment(`
				image = metal_image.rocky.name
				redeploy_protection = true`) + `
			data "metal_deployment" "web" { machine_id = metal_deployment.web.machine_id }`,
			ConfigPlanChecks: inPlace("metal_deployment.web"),
			ExpectError:      says(`n1 \(m-\d+\) is protected from being redeployed.*image`),
		},
		resource.TestStep{
			Config: deployment(`image = metal_image.rocky.name`) + `
			data "metal_deployment" "web" { machine_id = metal_deployment.web.machine_id }`,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_deployment.web", plancheck.ResourceActionUpdate),
				plancheck.ExpectUnknownValue("metal_deployment.web", tfjsonpath.New("digest")),
				plancheck.ExpectKnownValue("metal_deployment.web", tfjsonpath.New("addresses"), knownvalue.ListSizeExact(1)),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_deployment.web", "image", text("rocky")),
				check("metal_deployment.web", "pending_changes", knownvalue.SetSizeExact(0)),
			},
		},
		resource.TestStep{ // released by hand
			PreConfig: func() { l.do(func(f *fake) { f.release(f.allocation("web")) }) },
			Config:    deployment(`image = metal_image.rocky.name`),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_allocation.web", plancheck.ResourceActionCreate),
				plancheck.ExpectResourceAction("metal_deployment.web", plancheck.ResourceActionCreate),
			}},
			ExpectError: says(`it is erasing`),
		},
	)
}

func TestFailedRedeploymentIsToldAndTriedAgainOnTheSameMachine(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{Config: deployment(`image = metal_image.debian.name`)},
		resource.TestStep{
			PreConfig: func() {
				l.do(func(f *fake) {
					f.failing[metal.OpDeploy] = &metal.Failure{Step: "write", Message: "write image rocky to sda: input/output error"}
				})
			},
			Config:      deployment(`image = metal_image.rocky.name`),
			ExpectError: says(`Cannot deploy rocky to n1.test: step "write" failed.*input/output error.*block 42 is bad.*Operation: o-.*keeps its claim`),
		},
		resource.TestStep{
			PreConfig:         func() { l.do(func(f *fake) { delete(f.failing, metal.OpDeploy) }) },
			Config:            deployment(`image = metal_image.rocky.name`),
			ConfigPlanChecks:  inPlace("metal_deployment.web"),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_deployment.web", "state", text("deployed"))},
		},
	)
}

func TestDeploymentThatNobodyWaitsForAndThatOthersDelete(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.do(func(f *fake) { f.held[metal.OpDeploy] = true })
	config := deployment(`
		image = metal_image.debian.name
		wait  = false`)
	l.run(t,
		resource.TestStep{
			Config:            config,
			ConfigStateChecks: []statecheck.StateCheck{check("metal_deployment.web", "state", text("deploying"))},
		},
		resource.TestStep{ // deleted behind Terraform's back
			PreConfig: func() {
				l.do(func(f *fake) {
					for id, d := range f.deployments {
						m := f.machines[d.MachineID]
						m.State, m.DeploymentID, m.Settled = metal.Allocated, "", true
						delete(f.deployments, id)
					}
					f.held[metal.OpDeploy] = false
				})
			},
			Config:           config,
			ConfigPlanChecks: action("metal_deployment.web", plancheck.ResourceActionCreate),
		},
	)
}

func TestEverythingIsDestroyedInOneGo(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t, resource.TestStep{Config: deployment(`
		image                = metal_image.debian.name
		user_data_wo         = "#cloud-config"
		user_data_wo_version = 1
		network              = { mode = "dhcp" }`)})
	if len(l.machines)+len(l.allocations)+len(l.deployments)+len(l.images) > 0 {
		t.Errorf("got %d machines, %d allocations, %d deployments, %d images; want none", len(l.machines), len(l.allocations), len(l.deployments), len(l.images))
	}
}
