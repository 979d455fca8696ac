package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// shortLimits let faults be seen in seconds.
var shortLimits = servertest.WithConfig("limits {\n boot = \"700ms\"\n boots = 1\n report = \"700ms\"\n commission = \"10s\"\n}\n")

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
		{"the machine never calls", servertest.BMCPassword, (*servertest.Machine).Die, `step "boot" failed.*no agent spoke within 700ms.*power-cycle into the network`},
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
			ExpectError: says(`Cannot deploy rocky to n1.fleet.test: step "report" failed.*did not call back within 700ms`),
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
	tooLarge := `cannot deploy image large to machine n1: the image is 2.*and the machine's largest disk is 1.*choose a smaller image or a larger machine`
	r.run(t,
		refused("none", `Cannot create.*cannot deploy to machine n1: there is no image none; import it first \(metal_image\)`),
		refused("large", tooLarge),
		resource.TestStep{
			Config:           config("small"),
			ConfigPlanChecks: action("metal_deployment.web", plancheck.ResourceActionCreate),
			Check:            r.once(t),
		},
		refused("large", `Cannot ask what the change does.*`+tooLarge),
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
			dhcp = { enabled = true }
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
			ExpectError: says(`Cannot declare machine n\d.*subnet a-small \(10.78.0.0/30\) has no address left for machine n\d`),
		},
		resource.TestStep{
			Config:           config("10.78.0.0/29", "3"),
			ConfigPlanChecks: inPlace("metal_subnet.small"),
		},
	)
	if got := r.machines(t); len(got) != 0 {
		t.Errorf("after the destroy: got machines %+v; want none", got)
	}
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
				`n1 \(m-\w+\): 4 CPUs, asked for 128.*n2 \(m-\w+\):.*Change the constraints`),
		},
		resource.TestStep{
			Config:            config("min_cpus = 4"),
			ConfigPlanChecks:  action("metal_machine.n1", plancheck.ResourceActionNoop),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_allocation.web", "machine", text("n1")), check("metal_machine.n1", "tags", knownvalue.Null())},
		},
	)
}
