package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/tfjsonpath"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// check is a state check of one attribute.
func check(address, attribute string, want knownvalue.Check) statecheck.StateCheck {
	return statecheck.ExpectKnownValue(address, tfjsonpath.New(attribute), want)
}

// says matches a diagnostic, which Terraform breaks into lines where it likes.
func says(pattern string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)` + strings.ReplaceAll(pattern, " ", `\s+`))
}

func text(s string) knownvalue.Check { return knownvalue.StringExact(s) }

// imported is a step that imports the resource and compares all but some attributes.
func imported(address, id string, ignore ...string) resource.TestStep {
	return resource.TestStep{ResourceName: address, ImportState: true, ImportStateId: id, ImportStateVerify: true, ImportStateVerifyIgnore: ignore}
}

func inPlace(address string) resource.ConfigPlanChecks {
	return action(address, plancheck.ResourceActionUpdate)
}

func action(address string, want plancheck.ResourceActionType) resource.ConfigPlanChecks {
	return resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectResourceAction(address, want)}}
}

func TestPoolIsMadeImportedChangedAndMadeAgain(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{
			Config:            `resource "metal_pool" "web" { name = "web" }`,
			ConfigStateChecks: []statecheck.StateCheck{check("metal_pool.web", "id", text("web"))},
		},
		imported("metal_pool.web", "web"),
		resource.TestStep{
			Config: `resource "metal_pool" "web" {
				name = "web"
				description = "for the web team"
			}`,
			ConfigPlanChecks: inPlace("metal_pool.web"),
		},
		resource.TestStep{
			PreConfig: func() { l.do(func(f *fake) { delete(f.pools, "web") }) },
			Config: `resource "metal_pool" "web" {
				name = "web"
				description = "for the web team"
			}
			data "metal_pools" "all" { depends_on = [metal_pool.web] }
			data "metal_pool" "web" { name = metal_pool.web.name }`,
			ConfigPlanChecks: action("metal_pool.web", plancheck.ResourceActionCreate),
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_pools.all", "pools", knownvalue.ListSizeExact(2)),
				check("data.metal_pool.web", "description", text("for the web team")),
			},
		},
	)
}

func TestSSHKeyIgnoresTheLineBreakOfItsFile(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{
			Config: `resource "metal_ssh_key" "me" {
				name = "me"
				public_key = "nonsense"
			}`,
			ExpectError: says(`Invalid public SSH key`),
		},
		resource.TestStep{
			Config: `resource "metal_ssh_key" "me" {
				name = "me"
				public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@example\n"
			}
			data "metal_ssh_key" "me" { name = metal_ssh_key.me.name }`,
			ConfigStateChecks: []statecheck.StateCheck{check("data.metal_ssh_key.me", "public_key", text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@example"))},
		},
		imported("metal_ssh_key.me", "me", "public_key"),
		resource.TestStep{
			Config: `resource "metal_ssh_key" "me" {
				name = "me"
				public_key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE me@example"
			}`,
			ConfigPlanChecks: action("metal_ssh_key.me", plancheck.ResourceActionNoop),
		},
	)
}

func TestSubnetIsMadeImportedAndChangedInPlace(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{
			Config: `resource "metal_subnet" "rack" {
				name = "rack"
				cidr = "10.20.0.7/24"
			}`,
			ExpectError: says(`the network is 10.20.0.0/24`),
		},
		resource.TestStep{
			Config: `resource "metal_subnet" "rack" {
				name = "rack"
				cidr = "10.20.0.0/24"
			}`,
			ConfigStateChecks: []statecheck.StateCheck{check("metal_subnet.rack", "fabric", text("default"))},
		},
		resource.TestStep{
			Config:           rackSubnet,
			ConfigPlanChecks: inPlace("metal_subnet.rack"),
		},
		imported("metal_subnet.rack", "rack", "dns.1"),
		resource.TestStep{
			Config: rackSubnet + `
			data "metal_subnet" "rack" { name = metal_subnet.rack.name }
			data "metal_subnets" "tagged" {
				vlan = 20
				depends_on = [metal_subnet.rack]
			}`,
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_subnet.rack", "free", knownvalue.Int64Exact(254)),
				check("data.metal_subnets.tagged", "subnets", knownvalue.ListSizeExact(1)),
			},
		},
	)
}

const rackSubnet = `resource "metal_vlan" "rack" {
	name = "rack"
	vid  = 20
}
resource "metal_subnet" "rack" {
	name    = "rack"
	cidr    = "10.20.0.0/24"
	vlan    = metal_vlan.rack.vid
	gateway = "10.20.0.1"
	dns     = ["10.20.0.2", "FD00::0:2"]
	domain  = "rack.test"
	dhcp = {
		mode = "authoritative"
		ranges  = [{ first = "10.20.0.100", last = "10.20.0.199" }]
	}
}`

func TestImageFromASourceIsImportedAgainInPlace(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.run(t,
		resource.TestStep{
			Config: `resource "metal_image" "debian" {
				name = "debian"
				source = "https://example.net/debian-13.qcow2"
				boot = ["uefi", "bios"]
			}`,
			ConfigStateChecks: []statecheck.StateCheck{check("metal_image.debian", "state", text("ready"))},
		},
		imported("metal_image.debian", "debian", "file"),
		resource.TestStep{
			Config: `resource "metal_image" "debian" {
				name = "debian"
				source = "https://example.net/debian-13.1.qcow2"
				boot = ["bios", "uefi"]
			}
			data "metal_image" "debian" { name = metal_image.debian.name }
			data "metal_images" "ready" {
				state = "ready"
				depends_on = [metal_image.debian]
			}`,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction("metal_image.debian", plancheck.ResourceActionUpdate),
				plancheck.ExpectUnknownValue("metal_image.debian", tfjsonpath.New("digest")),
			}},
			ConfigStateChecks: []statecheck.StateCheck{check("data.metal_images.ready", "images", knownvalue.ListSizeExact(1))},
		},
	)
}

func TestImageFromAFileIsSentAgainWhenItsContentChanges(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	file := filepath.Join(t.TempDir(), "disk.img")
	write(t, file, "one")
	config := `resource "metal_image" "local" {
		name = "local"
		file = "` + file + `"
	}`
	l.run(t,
		resource.TestStep{
			Config: config,
			ConfigStateChecks: []statecheck.StateCheck{
				check("metal_image.local", "sha256", text(digestOf("one"))), check("metal_image.local", "digest", text(digestOf("one"))),
			},
		},
		resource.TestStep{
			PreConfig:         func() { write(t, file, "another") },
			Config:            config,
			ConfigPlanChecks:  inPlace("metal_image.local"),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_image.local", "digest", text(digestOf("another")))},
		},
	)
}

func TestImportFailureTellsStepLogAndOperation(t *testing.T) {
	t.Parallel()
	l := startLab(t)
	l.do(func(f *fake) {
		f.failing[metal.OpImport] = &metal.Failure{Step: "verify", Message: "the file's SHA-256 differs", Detail: "got abc"}
	})
	l.run(t, resource.TestStep{
		Config: `resource "metal_image" "debian" {
			name = "debian"
			source = "https://example.net/debian.qcow2"
		}`,
		ExpectError: says(`Cannot import image debian: step "verify" failed.*The file's SHA-256 differs.*got abc.*block 42 is bad.*Operation: o-`),
	})
}

func write(t *testing.T, file, content string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}
