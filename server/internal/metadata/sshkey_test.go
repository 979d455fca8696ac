package metadata

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// tool finds one of Debian's programs. A missing one skips the test on a laptop and fails it in CI.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("%s is not installed", name)
	}
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	return path
}

func TestKeysThatSSHKeygenMadeAreReadAsItReadsThem(t *testing.T) {
	keygen := tool(t, "ssh-keygen")
	for _, args := range [][]string{{"-t", "ed25519"}, {"-t", "rsa", "-b", "2048"}, {"-t", "ecdsa", "-b", "384"}} {
		t.Run(args[1], func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key")
			if out, err := exec.Command(keygen, append(args, "-q", "-N", "", "-C", "ada@example.org", "-f", file)...).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			line, err := os.ReadFile(file + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			shown, err := exec.Command(keygen, "-lf", file+".pub").Output()
			if err != nil {
				t.Fatal(err)
			}
			got, fingerprint, err := ParseSSHKey(string(line))
			if err != nil || got != strings.TrimSpace(string(line)) {
				t.Errorf("got %q, %v; want %q", got, err, line)
			}
			if want := strings.Fields(string(shown))[1]; fingerprint != want {
				t.Errorf("got fingerprint %s; want %s", fingerprint, want)
			}
			private, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := ParseSSHKey(string(private)); metal.CodeOf(err) != metal.Invalid || strings.Contains(err.Error(), "b3Blbn") {
				t.Errorf("a private key: got %v; want a refusal that does not show it", err)
			}
		})
	}
}

func TestParseSSHKey(t *testing.T) {
	tests := []struct {
		name, line, want string // want is empty where the line is refused
	}{
		{"a key alone", ed25519Key, ed25519Key},
		{"blanks around and between", "  ssh-ed25519   " + strings.Fields(ed25519Key)[1] + "  \n", ed25519Key},
		{"a comment with blanks", ed25519Key + " Ada's laptop: home", ed25519Key + " Ada's laptop: home"},
		{"options", `from="192.0.2.0/24,*.example.org",no-pty ` + ed25519Key, `from="192.0.2.0/24,*.example.org",no-pty ` + ed25519Key},
		{"an option with a blank", `command="echo hi" ` + ed25519Key, `command="echo hi" ` + ed25519Key},
		{"nothing", "", ""},
		{"blanks", " \n ", ""},
		{"a comment line", "# " + ed25519Key, ""},
		{"a word", "hello", ""},
		{"a type without a key", "ssh-ed25519", ""},
		{"base64 that is none", "ssh-ed25519 ????", ""},
		{"a key cut short", ed25519Key[:50], ""},
		{"a type that is not the key's", "ssh-rsa " + strings.Fields(ed25519Key)[1], ""},
		{"two lines", ed25519Key + "\n" + secondKey, ""},
		{"a carriage return within", ed25519Key + " a\rb", ""},
		{"a control character", ed25519Key + " \x1b[2J", ""},
		{"what is not UTF-8", ed25519Key + " \xff", ""},
		{"a line separator of Unicode", ed25519Key + " a\u2028b", ""},
		{"a PEM private key", "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn\n", ""},
		{"a line that is too long", ed25519Key + " " + strings.Repeat("a", maxKey), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, fingerprint, err := ParseSSHKey(tt.line)
			if tt.want == "" {
				if metal.CodeOf(err) != metal.Invalid || got != "" || fingerprint != "" {
					t.Errorf("got %q, %v; want an invalid error", got, err)
				}
				return
			}
			if err != nil || got != tt.want || !strings.HasPrefix(fingerprint, "SHA256:") {
				t.Errorf("got %q, %q, %v; want %q", got, fingerprint, err, tt.want)
			}
		})
	}
}

func FuzzParseSSHKey(f *testing.F) {
	f.Add(ed25519Key)
	f.Add(`command="a \" b",no-pty ` + ed25519Key + " comment")
	f.Add("ssh-rsa AAAAB3NzaC1yc2E=")
	f.Add(ed25519Key + "\n" + secondKey)
	f.Fuzz(func(t *testing.T, line string) {
		got, fingerprint, err := ParseSSHKey(line)
		if err != nil {
			return
		}
		if strings.ContainsAny(got, "\r\n\x00") {
			t.Errorf("%q has several lines", got)
		}
		again, same, err := ParseSSHKey(got)
		if err != nil || again != got || same != fingerprint {
			t.Errorf("%q is read again as %q, %v", got, again, err)
		}
	})
}
