package main

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/metalform/terraform-provider-metal/server/servertest"
)

func TestTheCertificateOfAWipeIsRead(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	box := r.server.NewMachine(t, 31)
	bare := machine("n1", box, servertest.BMCPassword, "")
	claim := `resource "metal_allocation" "web" {
		name           = "web"
		release        = { erase = "zero", power_off = true }
		wait_for_erase = true
		depends_on     = [metal_machine.n1]
	}`
	const read = `data "metal_erase_certificates" "n1" {
		machine = metal_machine.n1.name
	}
	data "metal_erase_certificate" "n1" {
		id = reverse(data.metal_erase_certificates.n1.erase_certificates)[0].id
	}
	output "disk" {
		value = data.metal_erase_certificate.n1.disks[0].result
	}
	output "signed" {
		value = jsondecode(data.metal_erase_certificate.n1.jws).signature != "" && jsondecode(data.metal_erase_certificate.n1.key).kty == "OKP"
	}`
	r.run(t,
		resource.TestStep{Config: bare + claim},
		resource.TestStep{Config: bare},
		resource.TestStep{
			Config: bare + read,
			ConfigStateChecks: []statecheck.StateCheck{
				check("data.metal_erase_certificate.n1", "allocation", text("web")),
				check("data.metal_erase_certificate.n1", "mode", text("zero")),
				statecheck.ExpectKnownOutputValue("disk", text("verified")),
				statecheck.ExpectKnownOutputValue("signed", knownvalue.Bool(true)),
			},
		},
		resource.TestStep{
			Config:      bare + "data \"metal_erase_certificate\" \"none\" {\n\tid = \"w-none\"\n}\n",
			ExpectError: says(`There is no erase certificate w-none`),
		},
	)
}
