package main

import (
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestAPlanWarnsOfWhatIsLost(t *testing.T) {
	for boot, want := range map[string]string{
		metal.BootReboot: "n1 will be erased and reinstalled",
		metal.BootMemory: "n1 will be given a new system in memory",
	} {
		impact := metal.Impact{Action: impactDeploy, Changes: []string{"trigger"}}
		var plan deploymentResourceModel
		plan.Boot = types.StringValue(boot)
		diags := warn(impact, "n1", &plan)
		if len(diags) != 1 || diags[0].Summary() != want {
			t.Errorf("%s: got %v; want %q", boot, diags, want)
			continue
		}
		if says := strings.Contains(diags[0].Detail(), "It overwrites its disk"); says != (boot != metal.BootMemory) {
			t.Errorf("%s: got %q; want the truth about the disk", boot, diags[0].Detail())
		}
	}
}
