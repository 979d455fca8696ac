package lifecycle

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestAStepGetsTheKeysOfItsPlanAlone(t *testing.T) {
	plan := metal.StoragePlan{Actions: []metal.StorageAction{
		{Kind: metal.ActionEncrypt, Name: "root", Encryption: &metal.PlannedEncryption{Key: "layout"}},
		{Kind: metal.ActionEncrypt, Name: "swap", Encryption: &metal.PlannedEncryption{Random: true}},
		{Kind: metal.ActionEncrypt, Name: "data", Encryption: &metal.PlannedEncryption{Key: "gone"}},
		{Kind: metal.ActionSwap, Name: "other"},
	}}
	got := keysOf(plan, map[string]string{"layout": "k1", "earlier": "k2", "": "k3"})
	// The agent refuses a plan whose key did not come, before it touches a disk.
	if diff := cmp.Diff(map[string]string{"layout": "k1"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
