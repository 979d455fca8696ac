package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// appliedExamples applies, around one machine, the module instance, all data sources, and the resources that need
// neither the internet nor hardware of their own.
func appliedExamples(t *testing.T, p *program) {
	r := startRack(t)
	box := r.server.NewMachine(t, 31)
	box.SetMAC("52:54:00:12:34:56") // what the examples call db1
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
	// These need the internet, a machine of their own, or one that was wiped.
	more := []string{"resources/metal_machine", "resources/metal_allocation", "resources/metal_deployment", "resources/metal_image", "resources/metal_boot_profile", "network", "provider", "data-sources/metal_erase_certificate"}
	var root strings.Builder
	module := func(dir string) string { return strings.NewReplacer("/", "_", "-", "_").Replace(dir) }
	applied := []string{"module.instance"}
	dirs := slices.DeleteFunc(exampleDirs(t), func(dir string) bool {
		return slices.Contains(more, dir) || strings.HasPrefix(dir, "storage/") || strings.HasPrefix(dir, "network-config/") || // disks and NICs that one machine has not
			strings.HasPrefix(dir, "os/") // a machine each
	})
	for _, dir := range dirs {
		if strings.HasPrefix(dir, "resources/") {
			applied = append(applied, "module."+module(dir))
		}
	}
	for _, dir := range dirs {
		name, arguments := module(dir), arguments(dir)
		if strings.HasPrefix(dir, "data-sources/") {
			arguments = "  depends_on = [" + strings.Join(applied, ", ") + "]\n"
		}
		copyDir(t, filepath.Join(examplesDir, dir), filepath.Join(w.dir, name))
		if filepath.Base(dir) == "instance" {
			continue // it is called above
		}
		write(t, filepath.Join(w.dir, name, "required.tf"), requirement)
		fmt.Fprintf(&root, "module %q {\n  source = \"./%s\"\n%s}\n", name, name, arguments)
	}
	write(t, filepath.Join(w.dir, "modules.tf"), root.String())
	w.terraform("get", "-no-color")
	w.wants(w.terraform("apply", "-auto-approve", "-no-color"), `fqdn = "db1.fleet.test"`, "free = 203", `"it is deployed", "it has no tag gpu"`)
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.wants(box.Seed()["user-data"]+box.Seed()["vendor-data"]+box.Seed()["meta-data"], "ops@example.net")
	w.terraform("destroy", "-auto-approve", "-no-color")
	r.wantNone(t)
}

// appliedNetwork applies the example of a whole network at once, plans nothing after it, and destroys it at once.
func appliedNetwork(t *testing.T, p *program) {
	r := startRack(t)
	w := newWorkspace(t, p, r.config(`
		module "network" { source = "./network" }
		output "printer" { value = module.network.printer }
		output "switch" { value = module.network.switch }
		output "free" { value = module.network.free }
	`))
	copyDir(t, filepath.Join(examplesDir, "network"), filepath.Join(w.dir, "network"))
	w.terraform("get", "-no-color")
	out := w.terraform("apply", "-auto-approve", "-no-color")
	w.wants(out, `printer = "printer.site.example.net is 10.40.10.2"`, `"10.40.20.11"`, `"10.40.10.3 to 10.40.10.99"`, `"10.40.10.220 to 10.40.10.254"`)
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.terraform("destroy", "-auto-approve", "-no-color")
	subnets, err := r.client(t).ListSubnets(t.Context(), api.ListByNamesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range subnets.Items {
		if strings.HasPrefix(s.Name, "site-") {
			t.Errorf("after the destroy: got subnet %s; want none of the example's", s.Name)
		}
	}
}

// appliedSystems applies the example of each operating system, with a stand-in for its image, plans nothing after it,
// and destroys it.
func appliedSystems(t *testing.T, p *program) {
	r := startRack(t)
	var root, machines strings.Builder
	var systems, all []string // a claim takes any machine, so that each example has to wait for all
	for i, dir := range exampleDirs(t) {
		name, ok := strings.CutPrefix(dir, "os/")
		if !ok {
			continue
		}
		systems, all = append(systems, name), append(all, "metal_machine.for-"+name)
		machines.WriteString(machine("for-"+name, r.server.NewMachine(t, 100+i), servertest.BMCPassword, ""))
	}
	if len(systems) < 7 {
		t.Fatalf("got the systems %v; want all that the guide tells of", systems)
	}
	for _, name := range systems {
		argument := fmt.Sprintf("image_source = %q", r.image(t, name, name))
		if name == "esxi" {
			sum := sha256.Sum256(servertest.Disk(name))
			argument = fmt.Sprintf("mboot = { source = %q, sha256 = %q }", r.image(t, name, name), hex.EncodeToString(sum[:]))
		}
		fmt.Fprintf(&root, "module %q {\n  source = \"./%s\"\n  %s\n  depends_on = [%s]\n}\n", name, name, argument, strings.Join(all, ", "))
	}
	w := newWorkspace(t, p, r.config(machines.String()+root.String()))
	for _, name := range systems {
		copyDir(t, filepath.Join(examplesDir, "os", name), filepath.Join(w.dir, name))
		write(t, filepath.Join(w.dir, name, "required.tf"), requirement)
	}
	w.terraform("get", "-no-color")
	w.terraform("apply", "-auto-approve", "-no-color")
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.terraform("destroy", "-auto-approve", "-no-color")
	r.wantNone(t)
}

// manyDisks is a machine on which every example of disks can be: solid state and rotating ones, and a TPM.
func manyDisks(inv *metal.Inventory) {
	disk := func(name, bus, model, serial string, gigabytes int64, rotational bool) metal.Disk {
		return metal.Disk{Name: name, Bus: bus, Model: model, Serial: serial, Bytes: gigabytes * 1e9, BlockSize: 512, Rotational: rotational}
	}
	inv.BootMode, inv.TPM, inv.Memory.Bytes = metal.UEFI, "2.0", 64<<30
	inv.Disks = []metal.Disk{
		disk("nvme0n1", "nvme", "Micron 7450", "N1", 960, false),
		disk("sda", "sata", "SAMSUNG PM883", "S4XANX0N123456", 480, false), disk("sdb", "sata", "SAMSUNG PM883", "S2", 480, false),
		disk("sdc", "sata", "TOSHIBA MG07", "H1", 2000, true), disk("sdd", "sata", "TOSHIBA MG07", "H2", 2000, true),
		disk("sde", "sata", "TOSHIBA MG07", "H3", 2000, true), disk("sdf", "sata", "TOSHIBA MG07", "H4", 2000, true),
	}
}

// appliedLayouts applies the example of each layout of disks.
func appliedLayouts(t *testing.T, p *program) {
	r := startRack(t)
	write(t, filepath.Join(r.server.Images, "root.tar"), string(servertest.Root()))
	appliedKind(t, p, r, "storage/", fmt.Sprintf(`
		resource "metal_image" "needed" {
			name    = "debian-13-root"
			source  = %q
			kind    = "root"
			reports = true
		}
	`, filepath.Join(r.server.Images, "root.tar")), func(box *servertest.Machine, _ string) { box.Shape(manyDisks) })
}

// appliedNetworkConfigs applies the example of each network of a deployment.
func appliedNetworkConfigs(t *testing.T, p *program) {
	r := startRack(t)
	appliedKind(t, p, r, "network-config/", fmt.Sprintf(`
		resource "metal_image" "needed" {
			name       = "debian-13"
			source     = %q
			reports    = true
			depends_on = [metal_subnet.storage]
		}
		resource "metal_subnet" "storage" {
			name = "storage"
			cidr = "10.99.0.0/24"
		}
	`, r.image(t, "disk", "disk")), func(box *servertest.Machine, dir string) {
		if filepath.Base(dir) == "dual-stack" {
			box.SetMAC("52:54:00:12:34:56") // as the example has it
			return
		}
		box.Shape(func(inv *metal.Inventory) {
			inv.NICs = append(inv.NICs, metal.NIC{Name: "eno2", MAC: "52:54:00:78:00:01", Carrier: true})
		})
	})
}

// appliedKind applies the examples below a folder, one after the other around a machine each, plans nothing after it, and
// destroys all. needed declares metal_image.needed, and what else they refer to; shape makes the machine of an example.
func appliedKind(t *testing.T, p *program, r *rack, kind, needed string, shape func(box *servertest.Machine, dir string)) {
	t.Helper()
	var config strings.Builder
	config.WriteString(needed)
	var dirs []string
	before := "metal_image.needed"
	for i, dir := range exampleDirs(t) {
		if !strings.HasPrefix(dir, kind) {
			continue
		}
		dirs = append(dirs, dir)
		name := filepath.Base(dir)
		box := r.server.NewMachine(t, 150+i)
		shape(box, dir)
		config.WriteString(machine("for-"+name, box, servertest.BMCPassword, "depends_on = ["+before+"]"))
		// The claim takes any machine: there is but this one that is free.
		fmt.Fprintf(&config, "module %q {\n  source = \"./%s\"\n  depends_on = [metal_machine.for-%s]\n%s}\n", name, name, name, arguments(dir))
		before = "module." + name
	}
	w := newWorkspace(t, p, r.config(config.String()))
	for _, dir := range dirs {
		copyDir(t, filepath.Join(examplesDir, dir), filepath.Join(w.dir, filepath.Base(dir)))
		write(t, filepath.Join(w.dir, filepath.Base(dir), "required.tf"), requirement)
	}
	w.terraform("get", "-no-color")
	w.terraform("apply", "-auto-approve", "-no-color")
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.terraform("destroy", "-auto-approve", "-no-color")
	r.wantNone(t)
}
