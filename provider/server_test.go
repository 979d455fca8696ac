package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// quickstart goes through what the quickstart's README promises, on the real server.
func quickstart(t *testing.T, p *program) {
	r := startRack(t)
	n1, n2 := r.server.NewMachine(t, 1), r.server.NewMachine(t, 2)
	w := newWorkspace(t, p, "", "METAL_URL="+r.URL, "METAL_TOKEN="+r.Token, "METAL_CA_FILE="+r.server.CAFile,
		fmt.Sprintf(`TF_VAR_bmc_passwords={n1=%q,n2=%[1]q}`, servertest.BMCPassword))
	copyDir(t, filepath.Join(examplesDir, "quickstart"), w.dir)
	if err := os.Remove(filepath.Join(w.dir, "main.tf")); err != nil { // the quickstart says itself what it requires
		t.Fatal(err)
	}
	given, err := os.ReadFile(filepath.Join(examplesDir, "quickstart", "terraform.tfvars.example"))
	if err != nil {
		t.Fatal(err)
	}
	bmc := func(box *servertest.Machine) string {
		return fmt.Sprintf("bmc = { type = \"ipmi\", address = %q, username = %q }", box.BMC.Address, box.BMC.Username)
	}
	values := strings.NewReplacer("debian-13-generic-amd64.qcow2", "debian.img", "another.qcow2", "other.img",
		`mac = "52:54:00:00:00:01" }`, fmt.Sprintf("mac = %q, %s }", n1.MAC, bmc(n1)), "52:54:00:00:00:02", string(n2.MAC),
		`bmc = { type = "ipmi", address = "10.20.255.2", username = "metal" }`, bmc(n2)).Replace(string(given))
	write(t, filepath.Join(w.dir, "terraform.tfvars"), values)
	for _, name := range []string{"debian", "other"} {
		write(t, filepath.Join(w.dir, name+".img"), string(servertest.Disk(name)))
	}

	id := r.plug(t, n1).ID
	w.wants(w.terraform("apply", "-auto-approve", "-no-color"), `ssh = "ssh root@10.`)
	w.wants(w.terraform("state", "show", "-no-color", "metal_machine.n1"), id)
	w.wants(n1.Seed()["user-data"]+n1.Seed()["vendor-data"], "Installed by Metalform.")
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.wants(w.terraform("apply", "-auto-approve", "-no-color", "-var=image=other"), "n1 ("+id+") will be erased and reinstalled")
	l, err := r.client(t).ListOperations(t.Context(), api.ListOperationsRequest{Machine: id})
	if err != nil || slices.ContainsFunc(l.Items, func(op metal.Operation) bool { return op.Kind == metal.OpUndeploy }) {
		t.Errorf("got %+v, %v; want a redeployment: no system is taken off before another comes", l.Items, err)
	}
	w.wants(w.terraform("state", "show", "-no-color", "metal_deployment.web"), id)
	w.wants(w.terraform("plan", "-no-color", "-var=image=other"), "No changes")
	w.terraform("destroy", "-auto-approve", "-no-color", "-var=image=other")
	r.wantNone(t)
	if n1.Seed() != nil {
		t.Errorf("after the destroy: got seed %v on the disk; want it wiped", n1.Seed())
	}
}

func TestEveryResourceOnTheRealServer(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 3)
	all := rackSubnet + `
	resource "metal_pool" "web" { name = "web" }
	resource "metal_ssh_key" "me" {
		name       = "me"
		public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFmBm3lZSi6R4gkhYxw7sTOrzXXSfxS8HZ4QDxSFfBQ9 me@example.net\n"
	}
	` + theirs("debian", r.image(t, "debian.raw", "debian")) + machine("n1", box, servertest.BMCPassword, `
		pool       = metal_pool.web.name
		tags       = ["ssd", "rack-2"]
		zone       = "rack2"
		depends_on = [metal_subnet.rack]`) + `
	resource "metal_allocation" "web" {
		name        = "web"
		pool        = metal_pool.web.name
		constraints = { machine = metal_machine.n1.name, min_cpus = 4, tags = ["ssd"] }
		release     = { erase = "zero" }
	}
	resource "metal_deployment" "web" {
		machine_id = metal_allocation.web.machine_id
		image      = metal_image.debian.name
		ssh_keys   = [metal_ssh_key.me.name]
		user_data  = "#cloud-config\n"
	}
	`
	r.run(t,
		resource.TestStep{
			Config: all,
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_machine.n1", "fqdn", text("n1.fleet.test")), check("metal_deployment.web", "state", text("deployed")),
				check("metal_deployment.web", "ssh_host_keys", knownvalue.ListExact([]knownvalue.Check{text(servertest.HostKey)})),
			},
		},
		imported("metal_subnet.rack", "rack", "dns.1"),
		imported("metal_pool.web", "web"),
		imported("metal_ssh_key.me", "me", "public_key"),
		imported("metal_image.debian", "debian"),
		imported("metal_machine.n1", "uuid:00000000-0000-4000-8000-000000000003", "state", "bmc.password_wo_version"),
		imported("metal_allocation.web", "name:web"),
		imported("metal_deployment.web", "mac:"+string(box.MAC), "user_data"),
		resource.TestStep{
			Config: all + everyDataSource,
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_machines.all", "machines", knownvalue.ListSizeExact(1)),
				check("data.metal_pools.all", "pools", knownvalue.ListSizeExact(2)),
				check("data.metal_subnets.all", "subnets", knownvalue.ListSizeExact(2)),
				check("data.metal_images.all", "images", knownvalue.ListSizeExact(1)),
				check("data.metal_deployment.web", "image", text("debian")),
				check("data.metal_allocation_preview.more", "others", knownvalue.ListSizeExact(1)),
				statecheck.ExpectKnownOutputValue("disk", text("vda")),
			},
		},
		resource.TestStep{Config: all, ConfigPlanChecks: action("metal_deployment.web", plancheck.ResourceActionNoop)},
	)
	r.wantNone(t)
}

const everyDataSource = `
data "metal_pool" "web" { name = metal_pool.web.name }
data "metal_pools" "all" { depends_on = [metal_pool.web] }
data "metal_subnet" "rack" { name = metal_subnet.rack.name }
data "metal_subnets" "all" { depends_on = [metal_subnet.rack] }
data "metal_ssh_key" "me" { name = metal_ssh_key.me.name }
data "metal_image" "debian" { name = metal_image.debian.name }
data "metal_images" "all" { depends_on = [metal_image.debian] }
data "metal_machine" "n1" { mac = metal_machine.n1.macs[0] }
data "metal_machines" "all" { depends_on = [metal_machine.n1] }
data "metal_machine_inventory" "n1" { machine_id = metal_machine.n1.id }
data "metal_allocation" "web" { name = metal_allocation.web.name }
data "metal_allocation_preview" "more" {
	constraints = { min_cpus = 1000 }
	depends_on  = [metal_allocation.web]
}
data "metal_deployment" "web" { machine_id = metal_deployment.web.machine_id }
output "disk" { value = data.metal_machine_inventory.n1.inventory.disks[0].name }
`

func TestATriggerDeploysTheContentThatTheImageHasNow(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 4)
	file := filepath.Join(t.TempDir(), "debian.img")
	step := func(content, origin string) resource.TestStep {
		disk := string(servertest.Disk(content))
		digest := text(digestOf(disk))
		return resource.TestStep{
			PreConfig: func() {
				write(t, file, disk)
				r.image(t, content, content)
			},
			Config: machine("n1", box, servertest.BMCPassword, "") + "resource \"metal_image\" \"debian\" {\n name = \"debian\"\n reports = true\n" + origin + "\n}\n" +
				system("image = metal_image.debian.name\nredeploy_trigger = metal_image.debian.digest"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectUnknownValue("metal_image.debian", tfjsonpath.New("digest"))}},
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_image.debian", "digest", digest), check("metal_deployment.web", "digest", digest),
				check("metal_deployment.web", "pending_changes", knownvalue.SetSizeExact(0)),
			},
			Check: r.once(t),
		}
	}
	source := func(content string) string {
		return fmt.Sprintf("source = %q", filepath.Join(r.server.Images, content))
	}
	sent := fmt.Sprintf("file = %q", file)
	steps := []resource.TestStep{step("one", source("one")), step("two", source("two")), step("three", sent), step("four", sent)}
	for i := range steps[1:] {
		steps[i+1].ConfigPlanChecks.PreApply = append(steps[i+1].ConfigPlanChecks.PreApply, inPlace("metal_deployment.web").PreApply...)
	}
	r.run(t, steps...)
	if got := writes(box); got != len(steps) {
		t.Errorf("got the disk written %d times; want %d", got, len(steps))
	}
}
