package lifecycle

import (
	"errors"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestASystemOfMemoryNeverGoesToADisk(t *testing.T) {
	root := &metal.Image{Name: "i", Spec: metal.ImageSpec{Kind: metal.ImageRoot}}
	disk := &metal.Image{Name: "i", Spec: metal.ImageSpec{Kind: metal.ImageDisk}}
	fault := errors.New("the disk is full")
	for _, test := range []struct {
		name  string
		boot  string
		image *metal.Image
		err   error
		want  string
	}{
		{"a root archive runs from memory", metal.BootMemory, root, nil, ""},
		{"a disk does not", metal.BootMemory, disk, nil, "the system cannot be put into memory: there is no root archive i any more; import it again, or deploy another one"},
		{"nor does an image that is gone", metal.BootMemory, nil, metal.Errorf(metal.NotFound, "no image"), "the system cannot be put into memory: there is no root archive i any more; import it again, or deploy another one"},
		{"a fault of the store is no answer", metal.BootMemory, nil, fault, "the disk is full"},
		{"a disk is written where that is asked for", metal.BootReboot, disk, nil, ""},
		{"a root archive too", metal.BootReboot, root, nil, ""},
		{"elsewhere a lost image is somebody else's case", metal.BootReboot, nil, fault, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := ""
			if err := mayRun(&metal.DeploymentSpec{Image: "i", Boot: test.boot}, test.image, test.err); err != nil {
				got = err.Error()
			}
			if got != test.want {
				t.Errorf("got %q; want %q", got, test.want)
			}
		})
	}
}

func TestAMachineThatLostItsSystemInMemoryBootsTheRAMEnvironment(t *testing.T) {
	for i, s := range plans()[metal.OpDeploy] {
		if !wantsAgent(metal.OpDeploy, &work{Step: i, Spec: &metal.DeploymentSpec{Boot: metal.BootMemory}}) {
			t.Errorf("%s, from memory: got its disk; want the RAM environment", s.name)
		}
		if got := wantsAgent(metal.OpDeploy, &work{Step: i, Spec: &metal.DeploymentSpec{Boot: metal.BootReboot}}); got != s.agent {
			t.Errorf("%s, from a disk: got RAM environment %t; want %t", s.name, got, s.agent)
		}
	}
	if wantsAgent(metal.OpDeploy, &work{Step: len(plans()[metal.OpDeploy]), Spec: &metal.DeploymentSpec{Boot: metal.BootMemory}}) {
		t.Error("after the last step: got the RAM environment; want that nothing asks for it")
	}
}
