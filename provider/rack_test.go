package main

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// rack is the real server with machines that pretend.
type rack struct {
	endpoint
	server *servertest.Server
}

func startRack(t *testing.T, opts ...servertest.Option) *rack {
	t.Helper()
	needTerraform(t)
	s := servertest.Start(t, opts...)
	return &rack{endpoint{URL: s.URL, Token: s.Token, CA: s.CA}, s}
}

// image leaves a disk image on the server's side, and returns its path.
func (r *rack) image(t *testing.T, file, content string) string {
	t.Helper()
	path := filepath.Join(r.server.Images, file)
	write(t, path, string(servertest.Disk(content)))
	return path
}

// machines lists what the server knows.
func (r *rack) machines(t *testing.T) []metal.Machine {
	t.Helper()
	l, err := r.client(t).ListMachines(t.Context(), api.ListMachinesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return l.Items
}

// wantNone checks, after a destroy, that no machine is declared. One that is still on may have enlisted itself anew.
func (r *rack) wantNone(t *testing.T) {
	t.Helper()
	for _, m := range r.machines(t) {
		if m.Declared {
			t.Errorf("after the destroy: got machine %+v; want none", m)
		}
	}
}

// writes counts how often an agent wrote the disk of a machine.
func writes(box *servertest.Machine) (n int) {
	for _, step := range box.Steps() {
		if step == "write" {
			n++
		}
	}
	return n
}

// once checks, after a step, that a repeated create has made nothing twice.
func (r *rack) once(t *testing.T) resource.TestCheckFunc {
	return func(*terraform.State) error {
		deployments, err := r.client(t).ListDeployments(t.Context(), api.ListByIDsRequest{})
		if got := r.machines(t); err == nil && (len(got) != 1 || len(deployments.Items) > 1) {
			return fmt.Errorf("got machines %+v and deployments %+v; want one of each", got, deployments.Items)
		}
		return err
	}
}

// plug switches a machine on, and waits until it has enlisted itself.
func (r *rack) plug(t *testing.T, box *servertest.Machine) metal.Machine {
	t.Helper()
	box.Plug()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		for _, m := range r.machines(t) {
			if m.Hardware.CPUs > 0 {
				return m
			}
		}
	}
	t.Fatal("the machine did not enlist itself")
	return metal.Machine{}
}

// machine is a machine's resource; rest is put into its block.
func machine(name string, box *servertest.Machine, password, rest string) string {
	return fmt.Sprintf(`
	resource "metal_machine" %q {
		name = %[1]q
		macs = [%q]
		bmc = {
			type                = "ipmi"
			address             = %q
			username            = %q
			password_wo         = %q
			password_wo_version = %d
		}
		%s
	}
	`, name, box.MAC, box.BMC.Address, box.BMC.Username, password, len(password), rest)
}

func theirs(name, path string) string {
	return fmt.Sprintf("resource \"metal_image\" %q {\n  name = %[1]q\n  source = %q\n  reports = true\n}\n", name, path)
}

// system claims n1 and deploys what rest says.
func system(rest string) string {
	return `
	resource "metal_allocation" "web" {
		name       = "web"
		depends_on = [metal_machine.n1]
	}
	resource "metal_deployment" "web" {
		machine_id = metal_allocation.web.machine_id
		` + rest + "\n}\n"
}
