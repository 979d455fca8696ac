// Package demo shows the whole product on a virtual rack: from machines that are powered off to a login by
// terraform apply, and back by terraform destroy. The end-to-end test runs the same demonstration, so every line that
// it prints was checked.
package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/rack"
)

// Options of a demonstration.
type Options struct {
	Firmware metal.BootMode
	BMC      string
	// Programs is the directory with metald, metal-agent and terraform-provider-metal.
	Programs string
	// Example is the directory of the Terraform configuration to apply: examples/quickstart.
	Example string
	// Cache keeps what is built once: images and RAM environments.
	Cache string
	// Image is tiny or debian.
	Image string
	// Terraform is the command to run: terraform or tofu.
	Terraform string
	// Login ends the demonstration with a shell on the machine before it is destroyed.
	Login bool
	Out   io.Writer
	Log   *slog.Logger
}

// demo is one demonstration under way.
type demo struct {
	Options
	dir   string
	rack  *rack.Rack
	begun time.Time
	total []string
}

// Run demonstrates. Whatever happens, nothing is left behind but the cache.
func Run(ctx context.Context, o Options) (err error) {
	d := &demo{Options: o, begun: time.Now()}
	if d.dir, err = os.MkdirTemp("", "metal-demo-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(d.dir)) }()
	fmt.Fprintf(d.Out, "Metalform on a virtual rack: %s firmware, %s BMCs\n", o.Firmware, o.BMC)
	assets, err := d.prepare(ctx)
	if err != nil {
		return err
	}
	if err := d.raise(ctx, assets); err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nthe end of metald's log:\n%s", err, d.rack.LogTail())
		}
		err = errors.Join(err, d.rack.Close())
	}()
	return d.show(ctx, assets)
}

// phase runs one part, and prints how long it took.
func (d *demo) phase(name string, f func() error) error {
	fmt.Fprintf(d.Out, "\n== %s\n", name)
	begun := time.Now()
	err := f()
	took := time.Since(begun).Round(100 * time.Millisecond)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintf(d.Out, "   %s\n", took)
	d.total = append(d.total, fmt.Sprintf("%10s  %s", took, name))
	return nil
}

func (d *demo) prepare(ctx context.Context) (assets Assets, err error) {
	err = d.phase("Build the RAM environment and two images (cached)", func() error {
		assets, err = Build(ctx, d.Cache, d.Programs, d.Image, d.Log)
		return err
	})
	return assets, err
}

func (d *demo) raise(ctx context.Context, a Assets) error {
	return d.phase("Raise a rack of two machines, powered off, and start metald", func() (err error) {
		memory := 512
		if d.Image == "debian" {
			memory = 1024
		}
		d.rack, err = rack.Start(ctx, rack.Options{
			Lab: lab.Config{
				Dir: filepath.Join(d.dir, "lab"), Name: "demo-" + strings.ToLower(rand.Text()[:6]), Machines: 2,
				Firmware: d.Firmware, BMC: d.BMC, MemoryMiB: memory, CPUs: cpusFor(d.Image),
			},
			Programs: d.Programs, Env: a.Env, Images: d.Cache, Log: d.Log,
			Config: "limits {\n  boot = \"3m\"\n}\n",
		})
		return err
	})
}

// cpusFor gives systemd the second processor that it makes use of; the tiny image has nothing to run on one.
func cpusFor(image string) int {
	if image == "debian" {
		return 2
	}
	return 1
}

// show is the demonstration itself.
func (d *demo) show(ctx context.Context, a Assets) error {
	w, err := d.workspace(a)
	if err != nil {
		return err
	}
	var machine, address string
	parts := []struct {
		name string
		run  func() error
	}{
		{"Plug node1 in: nobody knows it, and it enlists itself", func() error { return d.enlist(ctx) }},
		{"terraform init", func() error { return w.run(ctx, "init", "-input=false", "-no-color") }},
		{"terraform apply: adopt n1, declare n2, commission both, claim one and deploy to it", func() error {
			return w.run(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
		}},
		{"Log in by SSH", func() (err error) {
			if machine, address, err = d.deployed(ctx); err != nil {
				return err
			}
			return d.login(ctx, w, address, "A")
		}},
		{"terraform plan: a second plan is empty", func() error { return w.wantEmptyPlan(ctx) }},
		{"terraform apply with the other image: redeploy the same machine in place", func() error {
			w.image = "b"
			return w.run(ctx, "apply", "-auto-approve", "-input=false", "-no-color")
		}},
		{"Log in to what runs now", func() error {
			again, address, err := d.deployed(ctx)
			if err != nil {
				return err
			}
			if again != machine {
				return fmt.Errorf("the redeployment is on machine %s, and was on %s", again, machine)
			}
			return d.login(ctx, w, address, "B")
		}},
		{"terraform destroy of the claim: the machine is wiped and back in its pool", func() error {
			if err := w.run(ctx, "destroy", "-auto-approve", "-input=false", "-no-color", "-target=metal_allocation.web"); err != nil {
				return err
			}
			return d.wiped(ctx, machine)
		}},
		{"terraform destroy of all the rest", func() error {
			return w.run(ctx, "destroy", "-auto-approve", "-input=false", "-no-color")
		}},
	}
	for i, p := range parts {
		if err := d.phase(p.name, p.run); err != nil {
			return err
		}
		if i == 6 && d.Login {
			fmt.Fprintln(d.Out, "\nYou are in. Leave with \"exit\", and the demonstration goes on to destroy it.")
			if err := w.shell(ctx, address); err != nil {
				return err
			}
		}
	}
	fmt.Fprintf(d.Out, "\nAll of it:\n%s\n%10s  in all\n\n%s\n%s\n", strings.Join(d.total, "\n"), time.Since(d.begun).Round(100*time.Millisecond), w.said, w.empty)
	return nil
}

// enlist powers the first machine on, as a person would who has plugged it in.
func (d *demo) enlist(ctx context.Context) error {
	m, err := d.rack.Machine("node1")
	if err != nil {
		return err
	}
	if err := d.rack.Lab.Act(ctx, m.Name, lab.PowerOn); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	seen, err := d.rack.AwaitMachine(ctx, m.MACs[0], func(m metal.Machine) bool { return m.Hardware.CPUs > 0 })
	if err != nil {
		return err
	}
	fmt.Fprintf(d.Out, "   %s is %s: %s %s, %d CPU, %d MiB, %d disk\n", seen.Spec.Name, seen.State, seen.Hardware.Vendor, seen.Hardware.Product,
		seen.Hardware.CPUs, seen.Hardware.MemoryBytes>>20, seen.Hardware.Disks)
	return nil
}

// deployed returns the machine that has the deployment, and its address.
func (d *demo) deployed(ctx context.Context) (machine, address string, err error) {
	l, err := d.rack.Client.ListDeployments(ctx, api.ListByIDsRequest{})
	if err != nil {
		return "", "", err
	}
	if len(l.Items) != 1 || len(l.Items[0].Addresses) == 0 {
		return "", "", fmt.Errorf("there are %d deployments; want one with an address", len(l.Items))
	}
	return l.Items[0].MachineID, l.Items[0].Addresses[0], nil
}

// wiped shows the machine back in its pool, the proof of the wipe, and the disk itself.
func (d *demo) wiped(ctx context.Context, machine string) error {
	for end := time.Now().Add(3 * time.Minute); ; {
		m, err := d.rack.Client.GetMachine(ctx, api.GetMachineRequest{ByID: api.ByID{ID: machine}, Wait: "30s"})
		if err != nil {
			return err
		}
		if m.Settled && m.State == metal.Ready && m.Erased != nil {
			disk := m.Erased.Disk[0]
			fmt.Fprintf(d.Out, "   %s is %s in pool %s; %s was wiped (%s): %d blocks read back, %d not zero\n",
				m.Spec.Name, m.State, m.Spec.Pool, disk.Name, disk.Method, disk.Sampled, disk.NonZero)
			return d.lookAtDisk(ctx)
		}
		if m.Settled || time.Now().After(end) {
			return fmt.Errorf("the machine is %s (%+v); want ready and wiped", m.State, m.Failure)
		}
	}
}

// lookAtDisk reads the virtual disk from outside: it holds no partition table any more.
func (d *demo) lookAtDisk(ctx context.Context) error {
	m, err := d.rack.Machine("node1")
	if err != nil {
		return err
	}
	raw := filepath.Join(d.dir, "head.raw")
	// -U: the machine has the disk open.
	out, err := exec.CommandContext(ctx, "qemu-img", "dd", "-U", "-f", "qcow2", "-O", "raw", "bs=512", "count=64", "if="+m.Disks[0], "of="+raw).CombinedOutput()
	if err != nil {
		return fmt.Errorf("read the disk: %w: %s", err, out)
	}
	head, err := os.ReadFile(raw)
	if err != nil {
		return err
	}
	for i, b := range head {
		if b != 0 {
			return fmt.Errorf("byte %d of the disk is %#x; want a wiped disk", i, b)
		}
	}
	fmt.Fprintf(d.Out, "   the first %d bytes of the disk, read from outside, are zero: no partition table\n", len(head))
	return nil
}

// count is what a plan would do.
type count struct{ add, change, destroy int }

func (c count) String() string {
	return fmt.Sprintf("Second plan: %d to add, %d to change, %d to destroy.", c.add, c.change, c.destroy)
}

// countPlan reads Terraform's JSON form of a plan.
func countPlan(text []byte) (c count, err error) {
	var plan struct {
		Changes []struct {
			Address string
			Change  struct{ Actions []string }
		} `json:"resource_changes"`
	}
	if err := json.Unmarshal(text, &plan); err != nil {
		return c, fmt.Errorf("read the plan: %w", err)
	}
	for _, change := range plan.Changes {
		for _, action := range change.Change.Actions {
			switch action {
			case "create":
				c.add++
			case "update":
				c.change++
			case "delete":
				c.destroy++
			}
		}
	}
	return c, nil
}
