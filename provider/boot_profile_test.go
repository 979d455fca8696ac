package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/metalform/terraform-provider-metal/internal/api"
)

func TestABootProfileIsMadeChangedAndImportedOnTheRealServer(t *testing.T) {
	t.Parallel()
	r := startRack(t)
	file := func(name string) string {
		path := filepath.Join(r.server.Images, name)
		write(t, path, name)
		sum := sha256.Sum256([]byte(name))
		return fmt.Sprintf("{ source = %q, sha256 = %q }", path, hex.EncodeToString(sum[:]))
	}
	config := func(answer, more string) string {
		return fmt.Sprintf(`resource "metal_boot_profile" "debian" {
			name         = "debian"
			kernel       = %s
			initrds      = [%s]
			command_line = "auto url={{.Files}}preseed.cfg"
			answers      = [{ name = "preseed.cfg", content = %q }]
			secrets_wo   = { hash = "tiger" }
			%s
		}`, file("linux"), file("initrd.gz"), answer, more)
	}
	version := func(want int64) resource.TestCheckFunc {
		return func(*terraform.State) error {
			p, err := r.server.Client.GetBootProfile(t.Context(), api.GetBootProfileRequest{ByName: api.ByName{Name: "debian"}})
			if err != nil || p.Version != want {
				return fmt.Errorf("got version %d, %w; want %d", p.Version, err, want)
			}
			return nil
		}
	}
	r.run(t,
		resource.TestStep{Config: config("{{.Absent}}", ""), ExpectError: regexp.MustCompile(`preseed.cfg:1`)},
		resource.TestStep{
			Config:            config("{{.Name}} {{.Secret.hash}}", ""),
			ConfigStateChecks: []statecheck.StateCheck{check("metal_boot_profile.debian", "id", text("debian"))},
			Check:             version(1),
		},
		resource.TestStep{
			Config: config("{{.FQDN}} {{.Secret.hash}} {{.Var.disk}}", `
				variables = { disk = "/dev/sda" }
				unknown   = true
				tags      = ["a", "b"]`),
			Check: version(2),
		},
		resource.TestStep{ResourceName: "metal_boot_profile.debian", ImportState: true, ImportStateVerify: true},
	)
}
