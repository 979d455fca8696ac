package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// TestCommandLine holds the tests that run the provider as a program of its own, which is built once for them.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	needTerraform(t)
	p := &program{}
	for name, run := range map[string]func(*testing.T, *program){
		"an interrupted deployment is not tainted and goes on":      interruptedDeployment,
		"an interrupted commissioning goes on":                      interruptedCommissioning,
		"secrets are in no state, plan or log":                      secretsStaySecret,
		"a plan says what a change does to a machine":               planSaysWhatHappens,
		"a refresh of a thousand machines takes a dozen calls":      refreshOfAThousand,
		"a missing server is told with the way to name it":          missingServer,
		"every example is valid":                                    examples,
		"the quickstart does what its README promises":              quickstart,
		"an apply outlives the server that is killed in the middle": killedServer,
		"examples that need no real hardware are applied":           appliedExamples,
		"a whole network is applied and destroyed at once":          appliedNetwork,
		"every operating system is applied and planned again":       appliedSystems,
		"every layout of disks and network is applied":              appliedLayouts,
		"every network of a deployment is applied":                  appliedNetworkConfigs,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, p)
		})
	}
}

func interruptedDeployment(t *testing.T, p *program) {
	l := startLab(t)
	w := newWorkspace(t, p, l.config(deployment(`image = metal_image.debian.name`)))
	l.do(func(f *fake) { f.held[metal.OpDeploy] = true })
	out := w.interrupt(l.works(metal.OpDeploy), "apply", "-auto-approve", "-no-color")
	w.wants(out, "it continues on the server as operation o-")
	state := w.terraform("show", "-no-color")
	w.wants(state, `state = "deploying"`)
	if strings.Contains(state, "tainted") {
		t.Errorf("got a tainted resource:\n%s", state)
	}
	w.wants(w.terraform("plan", "-no-color"), "Plan: 0 to add, 1 to change, 0 to destroy")
	l.do(func(f *fake) { f.held[metal.OpDeploy] = false })
	w.terraform("apply", "-auto-approve", "-no-color")
	w.wants(w.terraform("show", "-no-color"), `state = "deployed"`)
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	if got := l.count(metal.OpDeploy); got != 1 {
		t.Errorf("got %d deployments; want 1", got)
	}
	w.terraform("destroy", "-auto-approve", "-no-color")
}

func interruptedCommissioning(t *testing.T, p *program) {
	l := startLab(t)
	w := newWorkspace(t, p, l.config(machineN1))
	l.do(func(f *fake) { f.held[metal.OpCommission] = true })
	out := w.interrupt(l.works(metal.OpCommission), "apply", "-auto-approve", "-no-color")
	w.wants(out, "it continues on the server as operation o-")
	l.do(func(f *fake) { f.held[metal.OpCommission] = false })
	w.terraform("apply", "-auto-approve", "-no-color")
	w.wants(w.terraform("show", "-no-color"), `state = "ready"`)
	if got := l.count(metal.OpCommission); got != 1 {
		t.Errorf("got %d commissionings; want 1", got)
	}
}

// works says whether an operation of the kind is under way.
func (l *lab) works(kind metal.OperationKind) func() bool {
	return func() bool { return l.count(kind) > 0 }
}

func (l *lab) count(kind metal.OperationKind) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, started := range l.started {
		if started == kind {
			n++
		}
	}
	return n
}

func secretsStaySecret(t *testing.T, p *program) {
	l := startLab(t)
	const password, cloudConfig, token = "canary-of-the-bmc", "canary-of-user-data", "canary-of-the-token"
	l.do(func(f *fake) { f.token = token })
	l.Token = token
	config := `
	variable "password" {
		type      = string
		ephemeral = true
	}
	variable "user_data" {
		type      = string
		ephemeral = true
	}
	provider "metal" { url = "` + l.URL + `" }
	resource "metal_machine" "n1" {
		name = "n1"
		macs = ["52:54:00:00:00:01"]
		bmc  = {
			type     = "ipmi"
			address  = "10.1.0.1"
			username = "admin"
			password_wo         = var.password
			password_wo_version = 1
		}
	}
	resource "metal_image" "debian" {
		name   = "debian"
		source = "https://example.net/debian"
	}
	resource "metal_allocation" "web" {
		name        = "web"
		constraints = { machine = metal_machine.n1.id }
	}
	resource "metal_deployment" "web" {
		machine_id           = metal_allocation.web.machine_id
		image                = metal_image.debian.name
		user_data_wo         = var.user_data
		user_data_wo_version = 1
	}`
	w := newWorkspace(t, p, config, "METAL_TOKEN="+token, "TF_VAR_password="+password, "TF_VAR_user_data="+cloudConfig, "TF_LOG=trace")
	w.env = append(w.env, "TF_LOG_PATH="+filepath.Join(w.dir, "trace.log"))
	w.terraform("plan", "-no-color", "-out=plan")
	write(t, filepath.Join(w.dir, "plan.json"), w.terraform("show", "-json", "plan"))
	w.terraform("apply", "-no-color", "plan")
	if l.passwords["n1"] != password {
		t.Errorf("got BMC password %q at the server; want the one given", l.passwords["n1"])
	}
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	for _, d := range l.userData {
		if d != cloudConfig {
			t.Errorf("got user data %q at the server; want what was given", d)
		}
	}
	files, err := filepath.Glob(filepath.Join(w.dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			continue // a directory
		}
		for _, canary := range []string{password, cloudConfig, token} {
			if bytes.Contains(content, []byte(canary)) {
				t.Errorf("got %q in %s; want it nowhere", canary, filepath.Base(file))
			}
		}
	}
}

func planSaysWhatHappens(t *testing.T, p *program) {
	l := startLab(t)
	w := newWorkspace(t, p, "")
	set := func(body string) {
		write(t, filepath.Join(w.dir, "body.tf"), l.config(deployment(body)))
	}
	set(`image = metal_image.debian.name`)
	w.terraform("apply", "-auto-approve", "-no-color")
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	set("image = metal_image.debian.name\nhostname = \"www\"")
	out := w.terraform("plan", "-no-color")
	w.wants(out, "Warning: Changes of n1 (m-", ") will wait for its next deployment")
	set("image = metal_image.rocky.name")
	out = w.terraform("plan", "-no-color")
	w.wants(out, "Warning: n1 (m-", ") will be erased and reinstalled")
	w.wants(out, "because of: image. It overwrites the system disk of machine n1")
	write(t, filepath.Join(w.dir, "body.tf"), l.config(strings.ReplaceAll(deployment("image = metal_image.debian.name"), `tags = ["ssd"] }`, `tags = ["gpu"] }`)))
	out = w.terraform("plan", "-no-color")
	w.wants(out, "Warning: n1 will be released, and another machine claimed")
	w.wants(out, "it has no tag gpu")
}

// refreshOfAThousand counts calls through a proxy, so that it holds of every server.
func refreshOfAThousand(t *testing.T, p *program) {
	l := startLab(t)
	target, err := url.Parse(l.URL)
	if err != nil {
		t.Fatal(err)
	}
	var calls atomic.Int64
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		proxy.ServeHTTP(w, r)
	}))
	defer front.Close()
	l.URL = front.URL
	const fleet = 1000
	instances := make([]map[string]any, fleet)
	l.do(func(f *fake) {
		for i := range instances {
			m := f.enlist(metal.MAC(fmt.Sprintf("52:54:00:00:%02x:%02x", i/256, i%256)))
			m.State, m.Declared, m.Spec.Name = metal.Ready, true, fmt.Sprintf("n%d", i)
			instances[i] = map[string]any{"index_key": i, "schema_version": 0, "attributes": map[string]any{"id": m.ID}}
		}
	})
	w := newWorkspace(t, p, l.config(`resource "metal_machine" "fleet" {
		count = 1000
		name  = "n${count.index}"
		macs  = [format("52:54:00:00:%02x:%02x", floor(count.index / 256), count.index % 256)]
	}`))
	state, err := json.Marshal(map[string]any{
		"version": 4, "terraform_version": "1.11.0", "serial": 1, "lineage": "a-thousand-machines",
		"resources": []any{map[string]any{
			"mode": "managed", "type": "metal_machine", "name": "fleet",
			"provider": `provider["registry.terraform.io/metalform/metal"]`, "instances": instances,
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.dir, "terraform.tfstate"), string(state))
	calls.Store(0)
	w.wants(w.terraform("plan", "-no-color"), "No changes")
	const most = 15
	if got := calls.Load(); got > most {
		t.Errorf("got %d calls to refresh %d machines; want %d at most", got, fleet, most)
	}
	t.Logf("%d calls to refresh %d machines", calls.Load(), fleet)
}

func missingServer(t *testing.T, p *program) {
	w := newWorkspace(t, p, `resource "metal_pool" "web" { name = "web" }`)
	cmd, out := w.command("plan", "-no-color")
	if err := cmd.Run(); err == nil {
		t.Fatalf("got a plan without a server; want an error:\n%s", out)
	}
	for _, part := range []string{"No server", "METAL_URL", "No token", "METAL_TOKEN"} {
		w.wants(out.String(), part)
	}
}
