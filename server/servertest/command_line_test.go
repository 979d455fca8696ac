package servertest_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/server/servertest"
)

// TestTheCommandLineTellsTheSame runs the real metalctl against faults that the API tests have, too.
func TestTheCommandLineTellsTheSame(t *testing.T) {
	t.Parallel()
	metalctl := filepath.Join(t.TempDir(), "metalctl")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", metalctl, "../cmd/metalctl").CombinedOutput(); err != nil {
		t.Fatalf("build metalctl: %v\n%s", err, out)
	}
	s := servertest.Start(t, servertest.WithConfig(limits))
	box := s.NewMachine(t, 60)
	m := s.Declare(t, "n60", box)
	setPassword(t, s, m, "wrong-horse")
	for _, test := range []struct {
		args string
		want string
	}{
		{"machines commission n60", "refused the user name \"admin\" or its password: correct them in the machine's bmc block"},
		{"machines show nobody", "there is no machine nobody"},
		{"machines abort n60", "nothing works on machine n60: there is nothing to abort"},
	} {
		cmd := exec.CommandContext(t.Context(), metalctl, strings.Fields(test.args)...)
		cmd.Env = append(os.Environ(), "METAL_URL="+s.URL, "METAL_TOKEN="+s.Token, "METAL_CA_FILE="+s.CAFile)
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), test.want) {
			t.Errorf("metalctl %s: got %v\n%s\nwant exit code 1 and %q", test.args, err, out, test.want)
		}
		if strings.Contains(string(out), "wrong-horse") || strings.Contains(string(out), s.Token) {
			t.Errorf("metalctl %s shows a secret:\n%s", test.args, out)
		}
	}
}
