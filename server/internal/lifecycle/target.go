package lifecycle

import (
	"cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// A Layouter decides what a deployment makes of its machine's disks.
type Layouter func(tx *store.Tx, m *metal.Machine, d *metal.Deployment) (metal.StoragePlan, error)

// target is the disk that an image of a whole disk goes to, as the agent is told it; empty leaves the choice to the
// agent. The disks were inventoried a moment ago, so that a declared rule means those that are there now.
func (e *Engine) target(tx *store.Tx, m *metal.Machine, d *metal.Deployment) (string, error) {
	image, err := tx.Image(d.Spec.Image)
	if err == nil && image.Spec.Kind == metal.ImageRoot {
		return "", metal.Errorf(metal.Invalid, "image %s is an archive of a root file system, and cannot be written to a disk as it is", image.Name)
	}
	if d.Spec.Storage == nil {
		return d.Spec.Disk, nil
	}
	plan, err := e.cfg.Layout(tx, m, d)
	if err != nil {
		return "", err
	}
	for _, disk := range plan.Disks {
		if plan.Image != nil && disk.Name == plan.Image.Disk {
			return cmp.Or(disk.WWN, disk.Serial, disk.Kernel), nil
		}
	}
	return "", metal.Errorf(metal.Internal, "the plan of deployment %s has no disk for its image", d.ID)
}
