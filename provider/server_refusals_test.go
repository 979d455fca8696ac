package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/metalform/terraform-provider-metal/server/servertest"
)

func TestADeploymentThatCannotBeIsRefusedBeforeAnythingIsTouched(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 21)
	box.SetDisk(1<<20 + 512)
	large := filepath.Join(r.server.Images, "large")
	write(t, large, string(servertest.Disk("large"))+strings.Repeat("x", 1<<20))
	config := func(image string) string {
		return machine("n1", box, servertest.BMCPassword, "") + theirs("large", large) + theirs("small", filepath.Join(r.server.Images, "small")) +
			system(`image = "`+image+`"`+"\n depends_on = [metal_image.large, metal_image.small]")
	}
	r.image(t, "small", "small")
	refused := func(image, want string) resource.TestStep {
		return resource.TestStep{Config: config(image), ExpectError: says(want)}
	}
	tooLarge := `Cannot deploy image large to machine n1: the image is 2.*and the machine's largest disk is 1.*choose a smaller image or a larger machine`
	r.run(t,
		refused("none", `Cannot deploy none to .*Cannot deploy to machine n1: there is no image none; import it first \(metal_image\)`),
		refused("large", tooLarge),
		resource.TestStep{
			Config:           config("small"),
			ConfigPlanChecks: action("metal_deployment.web", plancheck.ResourceActionCreate),
			Check:            r.once(t),
		},
		refused("large", `Cannot ask what the change does to machine m-.*`+tooLarge),
	)
	if got := writes(box); got != 1 {
		t.Errorf("got the disk written %d times; want once", got)
	}
}

func TestBadImagesAreToldAndImportedOnceMended(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	path := r.image(t, "debian.raw", "debian")
	config := func(rest string) string {
		return `resource "metal_image" "debian" {
			name   = "debian"
			source = "` + path + "\"\n" + rest + "\n}\n"
	}
	ready := resource.TestStep{
		Config:            config(""),
		ConfigStateChecks: []statecheck.StateCheck{check("metal_image.debian", "state", text("ready"))},
	}
	truncated := ready
	truncated.PreConfig = func() { write(t, path, string(servertest.Disk("debian"))) }
	r.run(t,
		resource.TestStep{
			Config:      config(`sha256 = "` + strings.Repeat("0", 64) + `"`),
			ExpectError: says(`Cannot import image debian: step "import" failed.*SHA-256.*` + digestOf(string(servertest.Disk("debian"))) + `.*Mend the source or its checksum and apply again`),
		},
		ready,
		resource.TestStep{Config: config(""), Destroy: true},
		resource.TestStep{
			PreConfig: func() {
				if err := os.Truncate(path, 1000); err != nil {
					t.Fatal(err)
				}
			},
			Config:      config(`format = "raw"`),
			ExpectError: says(`Cannot import image debian: step "import" failed.*Operation: o-.*Mend the source or its checksum and apply again`),
		},
		truncated,
	)
}

func TestSubnetsThatClashOrAreFullAreToldAndMended(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	config := func(cidr string, machines string) string {
		return `resource "metal_subnet" "small" {
			name = "a-small"
			cidr = "` + cidr + `"
			dhcp = { mode = "authoritative" }
		}
		resource "metal_machine" "n" {
			count      = ` + machines + `
			name       = "n${count.index}"
			macs       = ["52:54:00:88:00:0${count.index}"]
			wait_for   = "registered"
			depends_on = [metal_subnet.small]
		}`
	}
	r.run(t,
		resource.TestStep{
			Config:      config("10.77.128.0/30", "0"),
			ExpectError: says(`Cannot .* subnet a-small.*10.77.128.0/30 shares addresses with.*fleet`),
		},
		resource.TestStep{
			Config:      config("10.78.0.0/30", "3"),
			ExpectError: says(`Cannot declare machine n\d.*Subnet a-small \(10.78.0.0/30\) has no free address left`),
		},
		resource.TestStep{
			Config:           config("10.78.0.0/29", "3"),
			ConfigPlanChecks: inPlace("metal_subnet.small"),
		},
	)
	r.wantNone(t)
}

func TestAClaimThatNothingMeetsSaysWhyOfEachMachine(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 22)
	config := func(constraints string) string {
		return machine("n1", box, servertest.BMCPassword, "") + `
		resource "metal_machine" "n2" {
			name     = "n2"
			macs     = ["52:54:00:88:00:01"]
			wait_for = "registered"
		}
		resource "metal_allocation" "web" {
			name        = "web"
			constraints = { ` + constraints + ` }
			depends_on  = [metal_machine.n1, metal_machine.n2]
		}`
	}
	r.run(t,
		resource.TestStep{
			Config: config("min_cpus = 128"),
			ExpectError: says(`Cannot claim a machine as web.*none of 2 machines.*Why each machine does not match:.*` +
				`(n1 \(m-\w+\): 4 CPUs, asked for 128\s*|n2 \(m-\w+\): it is new, 0 CPUs, asked for 128\s*){2}Change the constraints`),
		},
		resource.TestStep{
			Config:            config("min_cpus = 4"),
			ConfigPlanChecks:  action("metal_machine.n1", plancheck.ResourceActionNoop),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_allocation.web", "machine", text("n1"))},
		},
	)
}
