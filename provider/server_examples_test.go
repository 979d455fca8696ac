package main

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// appliedExamples applies, around one machine, the module instance, all data sources, and the resources that need
// neither the internet nor hardware of their own.
func appliedExamples(t *testing.T, p *program) {
	r := startRack(t)
	box := r.server.NewMachine(t, 31)
	box.MAC = "52:54:00:12:34:56" // what the examples call db1
	w := newWorkspace(t, p, r.config(machine("db1", box, servertest.BMCPassword, `tags = ["nvme"]`)+
		strings.Replace(theirs("debian", r.image(t, "debian", "debian")), `"debian"`+"\n", `"debian-13"`+"\n", 1)+`
		module "instance" {
			source      = "./modules_instance"
			name        = "shop-db"
			image       = "debian-13"
			constraints = { min_cpus = 4, tags = ["nvme"] }
			ssh_keys    = ["ops"]
			depends_on  = [metal_image.debian, metal_machine.db1, module.resources_metal_ssh_key]
		}
		output "fqdn" { value = module.instance.fqdn }
		output "free" { value = module.data_sources_metal_subnet.free_addresses }
		output "why_not" { value = module.data_sources_metal_allocation_preview.why_not }
	`))
	var root strings.Builder
	for _, dir := range exampleDirs(t) {
		name := strings.NewReplacer("/", "_", "-", "_").Replace(dir)
		kind, after := filepath.Base(dir), ""
		switch {
		case strings.HasPrefix(dir, "data-sources/"):
			after = "  depends_on = [module.instance, module.resources_metal_subnet]\n"
		case kind == "instance" || kind == "metal_pool" || kind == "metal_ssh_key" || kind == "metal_subnet":
		default:
			continue // needs the internet, or a machine of its own
		}
		copyDir(t, filepath.Join(examplesDir, dir), filepath.Join(w.dir, name))
		if kind == "instance" {
			continue
		}
		write(t, filepath.Join(w.dir, name, "required.tf"), requirement)
		fmt.Fprintf(&root, "module %q {\n  source = \"./%s\"\n%s}\n", name, name, after)
	}
	write(t, filepath.Join(w.dir, "modules.tf"), root.String())
	w.terraform("get", "-no-color")
	w.wants(w.terraform("apply", "-auto-approve", "-no-color"), `fqdn = "db1.fleet.test"`, "free = 25", `"it is deployed", "it has no tag gpu"`)
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.wants(box.Seed()["user-data"]+box.Seed()["vendor-data"]+box.Seed()["meta-data"], "ops@example.net")
	w.terraform("destroy", "-auto-approve", "-no-color")
	r.wantNone(t)
}
