package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/servertest"
)

func TestMain(m *testing.M) { servertest.Main(shielded{m}) }

type shielded struct{ *testing.M }

// Run shields the tests from what the person who runs them has configured for Terraform and metalctl.
func (m shielded) Run() int {
	dir, err := os.MkdirTemp("", "provider")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	settings := filepath.Join(dir, "terraformrc")
	if err := os.WriteFile(settings, nil, 0o600); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for name, value := range map[string]string{
		"TF_CLI_CONFIG_FILE": settings, "CHECKPOINT_DISABLE": "1", "XDG_CONFIG_HOME": dir,
		"METAL_URL": "", "METAL_TOKEN": "", "METAL_CA_FILE": "", "METAL_INSECURE": "",
	} {
		if err := os.Setenv(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if path, err := exec.LookPath("terraform"); err == nil {
		os.Setenv("TF_ACC_TERRAFORM_PATH", path)
	}
	return m.M.Run()
}

// needTerraform skips a test where there is no Terraform, which only a laptop may do.
func needTerraform(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("terraform"); err == nil {
		return
	}
	if os.Getenv("CI") != "" {
		t.Fatal("terraform is not installed")
	}
	t.Skip("terraform is not installed")
}

// endpoint is a server under test.
type endpoint struct {
	URL, Token string
	CA         []byte
}

// lab is a server with its state in memory, and what a test may do to it behind Terraform's back.
type lab struct {
	endpoint
	*fake
}

func startLab(t *testing.T) *lab {
	t.Helper()
	needTerraform(t)
	f, server := newFake(t)
	return &lab{endpoint{URL: server.URL, Token: fakeToken}, f}
}

// do changes the server's state behind Terraform's back.
func (l *lab) do(change func(f *fake)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l.fake)
	l.touch()
}

// client calls the server as another person would.
func (e *endpoint) client(t *testing.T) *client.Client {
	t.Helper()
	c, err := client.New(client.Config{URL: e.URL, Token: metal.NewSecret(e.Token), CA: e.CA})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// config is a configuration with the provider block on top.
func (e *endpoint) config(body string) string {
	return fmt.Sprintf("provider \"metal\" {\n  url    = %q\n  token  = %q\n  ca_pem = %q\n}\n%s", e.URL, e.Token, e.CA, body)
}

// run applies the steps with the real Terraform and this provider inside the test's process.
func (e *endpoint) run(t *testing.T, steps ...resource.TestStep) {
	t.Helper()
	for i := range steps {
		if steps[i].Config != "" {
			steps[i].Config = e.config(steps[i].Config)
		}
	}
	resource.UnitTest(t, resource.TestCase{ProtoV6ProviderFactories: factories(), Steps: steps})
}

func factories() map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){"metal": providerserver.NewProtocol6WithError(newProvider("test")())}
}
