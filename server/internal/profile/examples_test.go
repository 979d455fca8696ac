package profile_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/profile"
)

// Each example is rendered, and read by what the installer reads it with, or the nearest to that there is.
func TestTheExamplesAreReadByTheProgramsTheyAreFor(t *testing.T) {
	key := "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB+x it's & <me>"
	for file, check := range map[string][]string{
		"debian-preseed.cfg":    {"debconf-set-selections", "--checkonly"},
		"sles-autoyast.xml":     {"xmllint", "--noout", "--nonet"},
		"flatcar-ignition.json": {"ignition-validate"},
		"ubuntu-user-data.yaml": {"cloud-init", "schema", "--config-file"},
		"rocky-kickstart.cfg":   {"ksvalidator"},
	} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("../../../examples/installers", file))
			if err != nil {
				t.Fatal(err)
			}
			s := metal.BootProfileSpec{
				Kernel: &metal.BootFile{}, Answers: []metal.AnswerFile{{Name: file, Content: string(text)}},
				Variables: map[string]string{"disk": "/dev/sda", "mirror": "http://mirror.example.com/os", "iso": "http://mirror.example.com/a.iso", "limit": "7200"},
			}
			secrets := map[string]string{"password_hash": "$6$salt$hash"}
			if err := profile.Check(s, secrets, []string{key}); err != nil {
				t.Fatal(err)
			}
			out, err := profile.Answer(s, file, profile.Sample(s.Variables, secrets, []string{key}))
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out, "http://192.0.2.1:7080/done") {
				t.Errorf("the rendered file does not call home:\n%s", out)
			}
			path := filepath.Join(t.TempDir(), file)
			if err := os.WriteFile(path, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
			if _, err := exec.LookPath(check[0]); err != nil {
				t.Skipf("missing: %s", check[0])
			}
			if said, err := exec.Command(check[0], append(check[1:], path)...).CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", check[0], err, said, out)
			}
		})
	}
}
