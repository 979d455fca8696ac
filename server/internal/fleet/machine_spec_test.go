package fleet

import (
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestKernelParametersThatTheLoaderWouldTakeAreRefused(t *testing.T) {
	for _, tt := range []struct {
		parameters, want string // want is part of the refusal; empty: accepted
	}{
		{"console=ttyS1,115200 mitigations=off", ""},
		{"a=b ${net0/mac}", "${"},
		{"quiet ; reboot", ";"},
		{"quiet || shell", "||"},
		{"quiet && shell", "&&"},
		{"quiet\nshell", `"\n"`},
		{"name=Zürich", "ü"},
		{"my.initrd=http://x", "initrd="},
	} {
		spec := metal.MachineSpec{Name: "n1", MACs: []metal.MAC{"52:54:00:00:00:01"}, KernelParameters: tt.parameters}
		err := complete(&spec)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q: got %v; want a refusal with %q", tt.parameters, err, tt.want)
		}
	}
}
