package client_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/client"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// clean gives the test a home of its own and no environment.
func clean(t *testing.T) {
	t.Helper()
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("AppData", home)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
	for _, name := range []string{"METAL_URL", "METAL_TOKEN", "METAL_CA_FILE", "METAL_INSECURE"} {
		t.Setenv(name, "")
	}
}

func TestWhatIsSaidWinsOverEnvironmentAndLogin(t *testing.T) {
	login := client.Config{URL: "https://login", Token: metal.NewSecret("login-token"), CA: []byte("login-ca"), Insecure: true}
	cases := []struct {
		name        string
		environment map[string]string
		explicit    client.Config
		url, token  string
		ca          string
		insecure    bool
	}{
		{"only a login", nil, client.Config{}, "https://login", "login-token", "login-ca", true},
		{"a token by environment, for the login's server", map[string]string{"METAL_TOKEN": "env"}, client.Config{}, "https://login", "env", "login-ca", true},
		{"the login's server, written otherwise", map[string]string{"METAL_URL": "https://login/"}, client.Config{}, "https://login", "login-token", "login-ca", true},
		{"another server gets nothing of the login", map[string]string{"METAL_URL": "https://env"}, client.Config{}, "https://env", "", "", false},
		{"environment", map[string]string{"METAL_URL": "https://env", "METAL_TOKEN": "env", "METAL_INSECURE": "true"}, client.Config{}, "https://env", "env", "", true},
		{
			"explicit", map[string]string{"METAL_URL": "https://env", "METAL_TOKEN": "env"},
			client.Config{URL: "https://said", Token: metal.NewSecret("said"), CA: []byte("said-ca")}, "https://said", "said", "said-ca", false,
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			clean(t)
			if _, err := client.SaveLogin(login); err != nil {
				t.Fatal(err)
			}
			for name, value := range tc.environment {
				t.Setenv(name, value)
			}
			got, err := client.Resolve(tc.explicit)
			if err != nil {
				t.Fatal(err)
			}
			if got.URL != tc.url || got.Token.Reveal() != tc.token || string(got.CA) != tc.ca || got.Insecure != tc.insecure {
				t.Errorf("got %s, %q, %q, %v; want %s, %q, %q, %v", got.URL, got.Token.Reveal(), got.CA, got.Insecure, tc.url, tc.token, tc.ca, tc.insecure)
			}
		})
	}
}

func TestTheAuthorityIsReadFromTheFileThatTheEnvironmentNames(t *testing.T) {
	clean(t)
	path := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, []byte("pem"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("METAL_CA_FILE", path)
	cfg, err := client.Load()
	if err != nil || string(cfg.CA) != "pem" {
		t.Errorf("got %q, %v; want the file's content", cfg.CA, err)
	}
	t.Setenv("METAL_CA_FILE", path+".gone")
	if _, err := client.Load(); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("a file that is not there: got %v; want an Invalid error", err)
	}
}

func TestDamagedSettingsAreTold(t *testing.T) {
	clean(t)
	t.Setenv("METAL_INSECURE", "perhaps")
	if _, err := client.Load(); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("METAL_INSECURE: got %v; want an Invalid error", err)
	}
	t.Setenv("METAL_INSECURE", "")
	path, err := client.SaveLogin(client.Config{URL: "https://login"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := client.Load(); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("a damaged login: got %v; want an Invalid error", err)
	}
}
