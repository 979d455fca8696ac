package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lab"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/demo"
	"github.com/metalform/terraform-provider-metal/server/internal/lab/rack"
)

// patience bounds every wait. An emulated machine is up within 10 s on a quiet computer and may take many times that
// on a loaded one; no test passes or fails by how fast it was.
const patience = 5 * time.Minute

// A rig is a rack of one machine, and what a person who works on it has.
type rig struct {
	*rack.Rack
	node  lab.Machine
	key   string // private SSH key
	known string // known_hosts: what metald said the host keys are
}

// raise makes a rack. It is gone after the test, and a test that failed shows the ends of metald's log and of the
// machine's console.
func raise(t *testing.T, cfg lab.Config) *rig {
	t.Helper()
	assets, err := demo.Build(t.Context(), cache(t), programs(t), "tiny", testLog(t, slog.LevelWarn))
	if err != nil {
		t.Fatal(err)
	}
	return raiseWith(t, cfg, assets.Env, filepath.Dir(assets.ImageA), `boot = "75s"`, `report = "2m"`)
}

// raiseWith makes a rack with an environment of its own, that may import from a directory. Among the limits, boot has to
// end well before the test gives up: the machines' kernel hung once in a hundred boots.
func raiseWith(t *testing.T, cfg lab.Config, env, images string, limits ...string) *rig {
	t.Helper()
	dir := t.TempDir()
	cfg.Dir, cfg.Name = filepath.Join(dir, "lab"), fmt.Sprintf("e2e-%d", os.Getpid())
	r, err := rack.Start(t.Context(), rack.Options{
		Lab: cfg, Programs: programs(t), Env: env, Images: images,
		Config: "limits {\n" + strings.Join(limits, "\n") + "\n}\n",
		Log:    testLog(t, slog.LevelWarn),
	})
	if err != nil {
		t.Fatal(err)
	}
	g := &rig{Rack: r, key: filepath.Join(dir, "id_ed25519"), known: filepath.Join(dir, "known_hosts")}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the end of metald's log:\n%s\nthe end of the console:\n%s", r.LogTail(), tail(g.console(t)))
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	g.node = r.Lab.State().Machines[0]
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "e2e", "-f", g.key).CombinedOutput(); err != nil {
		t.Fatalf("make an SSH key: %v\n%s", err, out)
	}
	return g
}

func tail(text string) string { return text[max(0, len(text)-3000):] }

func testLog(t *testing.T, level slog.Level) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: level}))
}

// soon is a context that ends when patience does.
func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %s", what, patience)
		}
	}
}

// console is what the machine has written to its serial port.
func (g *rig) console(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(g.node.Console)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return string(text)
}

// run runs a program in the rack's network and returns what it printed.
func (g *rig) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := g.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// declare declares the rack's machine.
func (g *rig) declare(t *testing.T, name string) metal.Machine {
	t.Helper()
	password := g.node.BMC.Password.Reveal()
	m, err := g.Client.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{Password: &password, MachineSpec: metal.MachineSpec{
		Name: name, MACs: g.node.MACs, BMC: &metal.BMC{
			Type: g.node.BMC.Type, Address: g.node.BMC.Address, Username: g.node.BMC.Username,
			TLS: metal.BMCTLS{Fingerprint: g.node.BMC.Fingerprint},
		},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ended waits for the end of an operation, and fails unless it ended well.
func (g *rig) ended(t *testing.T, id string) {
	t.Helper()
	g.endedIn(t, id, patience)
}

// endedIn is ended for what may take longer.
func (g *rig) endedIn(t *testing.T, id string, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	op, err := g.Client.WaitOperation(ctx, id, nil)
	if err == nil {
		err = client.OperationError(op)
	}
	if err != nil {
		t.Fatalf("wait for operation %s: %v", id, err)
	}
}

func (g *rig) commission(t *testing.T, id string) metal.Machine {
	t.Helper()
	op, err := g.Client.CommissionMachine(t.Context(), api.CommandRequest{ByID: api.ByID{ID: id}})
	if err != nil {
		t.Fatal(err)
	}
	g.ended(t, op.ID)
	m, err := g.Client.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: id}})
	if err != nil {
		t.Fatal(err)
	}
	if m.State != metal.Ready {
		t.Fatalf("commissioned: got %s (%+v); want ready", m.State, m.Failure)
	}
	return m
}

// images imports the two tiny images as a and b.
func (g *rig) images(t *testing.T) {
	t.Helper()
	for name, file := range map[string]string{"a": "tiny-A.raw.zst", "b": "tiny-B.raw.zst"} {
		image, err := g.Client.PutImage(t.Context(), api.PutImageRequest{
			ByName: api.ByName{Name: name}, Body: metal.ImageSpec{Source: filepath.Join(cache(t), file), Reports: true},
		})
		if err != nil {
			t.Fatal(err)
		}
		g.ended(t, image.OperationID)
	}
}

// spec deploys an image for the rig's SSH key.
func (g *rig) spec(t *testing.T, image, boot, trigger string) api.DeploymentBody {
	t.Helper()
	public, err := os.ReadFile(g.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{
		Image: image, SSHKeys: []string{string(bytes.TrimSpace(public))}, Boot: boot, Trigger: trigger,
	}}
}

// deploy claims the machine and puts image a on it.
func (g *rig) deploy(t *testing.T) metal.Deployment {
	t.Helper()
	claim, err := g.Client.PutAllocation(t.Context(), api.PutAllocationRequest{ByName: api.ByName{Name: "web"}})
	if err != nil {
		t.Fatal(err)
	}
	d, err := g.Client.CreateDeployment(t.Context(), api.CreateDeploymentRequest{Body: api.CreateDeploymentBody{
		MachineID: claim.MachineID, DeploymentBody: g.spec(t, "a", "", ""),
	}})
	if err != nil {
		t.Fatal(err)
	}
	return g.deployed(t, d)
}

// update changes what is deployed.
func (g *rig) update(t *testing.T, d metal.Deployment, body api.DeploymentBody) metal.Deployment {
	t.Helper()
	d, err := g.Client.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// deployed waits until the deployment is done and the system has called back with its host keys.
func (g *rig) deployed(t *testing.T, d metal.Deployment) metal.Deployment {
	t.Helper()
	g.ended(t, d.OperationID)
	d, err := g.Client.GetDeployment(t.Context(), api.GetDeploymentRequest{ByID: api.ByID{ID: d.ID}})
	if err != nil {
		t.Fatal(err)
	}
	if d.State != metal.Deployed || len(d.SSHHostKeys) == 0 || len(d.Addresses) == 0 {
		t.Fatalf("deployed: got %+v; want it deployed, with an address and the host keys that the system reported", d)
	}
	var lines strings.Builder
	for _, key := range d.SSHHostKeys {
		fmt.Fprintf(&lines, "%s %s\n", d.Addresses[0], key)
	}
	if err := os.WriteFile(g.known, []byte(lines.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return d
}

// ssh runs a command on the deployed machine, trusting only the host keys that metald told.
func (g *rig) ssh(ctx context.Context, d metal.Deployment, command string) (string, error) {
	inner := g.Command("ssh", "-i", g.key, "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+g.known,
		"-o", "LogLevel=ERROR", "-o", "ConnectTimeout=20", "debian@"+d.Addresses[0], command)
	out, err := exec.CommandContext(ctx, inner.Args[0], inner.Args[1:]...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// login logs in, waiting until that is possible, and returns what the command printed.
func (g *rig) login(t *testing.T, d metal.Deployment, command string) string {
	t.Helper()
	ctx := soon(t)
	for {
		out, err := g.ssh(ctx, d, command)
		if err == nil {
			return out
		}
		if ctx.Err() != nil || strings.Contains(out, "Permission denied") || strings.Contains(out, "verification failed") {
			t.Fatalf("log in to %s: %v: %s", d.Addresses[0], err, out)
		}
		time.Sleep(200 * time.Millisecond)
	}
}
