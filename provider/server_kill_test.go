package main

import (
	"strings"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// killedServer kills metald with kill -9 at every step of every operation that an apply, and then a destroy, wait for.
func killedServer(t *testing.T, p *program) {
	r := startRack(t, servertest.AsProcess())
	box := r.server.NewMachine(t, 30)
	w := newWorkspace(t, p, r.config(machine("n1", box, servertest.BMCPassword, "")+theirs("debian", r.image(t, "debian", "debian"))+
		system("image = metal_image.debian.name")))
	killed := r.killDuring(t, w, "apply", "-auto-approve", "-no-color")
	if !killed[metal.OpCommission] || !killed[metal.OpDeploy] {
		t.Errorf("got metald killed during %v; want at least a commissioning and a deployment", killed)
	}
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	w.wants(w.terraform("state", "show", "-no-color", "metal_deployment.web"), `state = "deployed"`)
	if err := r.once(t)(nil); err != nil {
		t.Error(err)
	}
	if killed = r.killDuring(t, w, "destroy", "-auto-approve", "-no-color"); len(killed) == 0 {
		t.Errorf("got metald not killed during the destroy")
	}
	r.wantNone(t)
}

// killDuring runs a command of Terraform that must succeed, and kills metald once at each step that it sees of an
// operation. It returns the kinds of operation that this hit.
func (r *rack) killDuring(t *testing.T, w *workspace, args ...string) map[metal.OperationKind]bool {
	t.Helper()
	cmd, out := w.command(args...)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	c, seen, kinds := r.client(t), map[string]bool{}, map[metal.OperationKind]bool{}
	for {
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("terraform %s, with metald killed at %v: %v\n%s", strings.Join(args, " "), seen, err, out)
			}
			return kinds
		case <-time.After(10 * time.Millisecond):
		}
		l, err := c.ListOperations(t.Context(), api.ListOperationsRequest{Status: "open"})
		for _, op := range l.Items {
			at := string(op.Kind) + " at " + op.Step
			if err == nil && op.Step != "" && !seen[at] {
				seen[at], kinds[op.Kind] = true, true
				r.server.Kill()
				break
			}
		}
	}
}
