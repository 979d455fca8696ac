package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListDeployments lists deployments.
func (f *Fleet) ListDeployments(ctx context.Context, in api.ListByIDsRequest) (l api.List[metal.Deployment], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		list, err := tx.Deployments(in.After, limitOf(in.Page), in.IDs)
		if err != nil {
			return err
		}
		for i := range list {
			if err := decorate(tx, &list[i]); err != nil {
				return err
			}
		}
		l = page(list, limitOf(in.Page)-1, func(d metal.Deployment) string { return d.ID })
		return nil
	})
	return l, err
}

// GetDeployment reads a deployment.
func (f *Fleet) GetDeployment(ctx context.Context, in api.GetDeploymentRequest) (metal.Deployment, error) {
	var d *metal.Deployment
	err := f.poll(ctx, in.Wait, func(tx *store.Tx) (_ bool, err error) {
		if d, err = tx.Deployment(in.ID); err != nil {
			return false, err
		}
		err = decorate(tx, d)
		return d.Settled, err
	})
	if err != nil {
		return metal.Deployment{}, err
	}
	return *d, nil
}

// decorate fills in what the machine tells.
func decorate(tx *store.Tx, d *metal.Deployment) error {
	m, err := tx.Machine(d.MachineID)
	if err != nil {
		return err
	}
	d.State, d.Settled, d.Failure, d.OperationID, d.FQDN = m.State, m.Settled, m.Failure, m.OperationID, m.FQDN
	d.PendingChanges = []string{}
	if d.Applied != nil {
		d.PendingChanges = changes(*d.Applied, d.Spec)
	}
	d.Addresses, err = addresses(tx, m)
	return err
}

// CreateDeployment deploys to an allocated machine.
func (f *Fleet) CreateDeployment(ctx context.Context, in api.CreateDeploymentRequest) (metal.Deployment, error) {
	var d *metal.Deployment
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		m, err := tx.FindMachine(in.Body.MachineID)
		if err != nil {
			return err
		}
		if m.AllocationID == "" {
			return metal.Errorf(metal.Conflict, "cannot deploy to machine %s: it is %s and nobody's; claim it first (metal_allocation)", m.Spec.Name, m.State)
		}
		if m.DeploymentID != "" { // the repeat of a create whose answer was lost
			if d, err = tx.Deployment(m.DeploymentID); err != nil {
				return err
			}
			return f.put(tx, m, d, in.Body.DeploymentBody)
		}
		d = &metal.Deployment{ID: lifecycle.NewID("d"), MachineID: m.ID}
		return f.deployNew(tx, m, d, in.Body.DeploymentBody)
	})
	if err != nil {
		return metal.Deployment{}, err
	}
	return *d, nil
}

func (f *Fleet) deployNew(tx *store.Tx, m *metal.Machine, d *metal.Deployment, body api.DeploymentBody) error {
	spec, err := finish(body, "")
	if err != nil {
		return err
	}
	var keys map[string]string
	if spec.Storage, keys, err = withKeys(spec.Storage, nil, body.StorageKeys, nil); err != nil {
		return err
	}
	d.Spec = spec
	image, err := check(tx, m, spec)
	if err != nil {
		return err
	}
	pin(d, image)
	if err := f.addressNetwork(tx, m, spec.Network, true); err != nil {
		return err
	}
	if d.StoragePlan, err = describeLayout(tx, m, d, spec, image); err != nil {
		return err
	}
	if err := tx.InsertDeployment(d); err != nil {
		return err
	}
	if err := tx.SetStorageKeys(d.ID, keys); err != nil {
		return err
	}
	if body.UserData != nil {
		if err := tx.SetUserData(d.ID, []byte(*body.UserData)); err != nil {
			return err
		}
	}
	m.DeploymentID = d.ID
	return f.deploy(tx, m, d)
}

func (f *Fleet) deploy(tx *store.Tx, m *metal.Machine, d *metal.Deployment) error {
	if _, err := f.cfg.Engine.Start(tx, m, metal.Deploy, lifecycle.Order{Deployment: d.ID}); err != nil {
		return err
	}
	return decorate(tx, d)
}

// UpdateDeployment replaces the spec, and redeploys where redeploy_on says so.
func (f *Fleet) UpdateDeployment(ctx context.Context, in api.UpdateDeploymentRequest) (metal.Deployment, error) {
	var d *metal.Deployment
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) (err error) {
		if d, err = tx.Deployment(in.ID); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "deployment "+d.ID, d.Revision); err != nil {
			return err
		}
		m, err := tx.Machine(d.MachineID)
		if err != nil {
			return err
		}
		return f.put(tx, m, d, in.Body)
	})
	if err != nil {
		return metal.Deployment{}, err
	}
	return *d, nil
}

func (f *Fleet) put(tx *store.Tx, m *metal.Machine, d *metal.Deployment, body api.DeploymentBody) error {
	impact, spec, keys, image, err := plan(tx, m, d, body)
	if err != nil {
		return err
	}
	if impact.Problem != "" {
		return metal.Errorf(metal.Conflict, "cannot redeploy machine %s: %s", m.Spec.Name, impact.Problem)
	}
	if len(changes(d.Spec, spec)) > 0 || !sameKnobs(d.Spec, spec) {
		d.Generation++
	}
	d.Spec = spec
	if image != nil {
		pin(d, image)
	}
	if impact.Action == "deploy" {
		d.StoragePlan = impact.Storage
	}
	if err := f.addressNetwork(tx, m, spec.Network, false); err != nil {
		return err
	}
	if err := tx.SaveDeployment(d); err != nil {
		return err
	}
	if err := tx.SetStorageKeys(d.ID, keys); err != nil {
		return err
	}
	if body.UserData != nil {
		if err := tx.SetUserData(d.ID, []byte(*body.UserData)); err != nil {
			return err
		}
	}
	if impact.Action == "deploy" {
		return f.deploy(tx, m, d)
	}
	return decorate(tx, d)
}

// PlanDeployment says what UpdateDeployment would do.
func (f *Fleet) PlanDeployment(ctx context.Context, in api.PlanDeploymentRequest) (impact metal.Impact, err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		d, err := tx.Deployment(in.ID)
		if err != nil {
			return err
		}
		m, err := tx.Machine(d.MachineID)
		if err != nil {
			return err
		}
		impact, _, _, _, err = plan(tx, m, d, in.Body)
		return err
	})
	return impact, err
}

// plan decides what a new spec does to a machine. The image is resolved again, and returned, only when another one is
// named or the trigger asks for a new installation: what the name points to later changes nothing by itself.
// The keys are those to be stored with the spec.
func plan(tx *store.Tx, m *metal.Machine, d *metal.Deployment, body api.DeploymentBody) (impact metal.Impact, spec metal.DeploymentSpec, keys map[string]string, image *metal.Image, err error) {
	if spec, err = finish(body, d.Spec.UserDataSHA256); err != nil {
		return impact, spec, nil, nil, err
	}
	stored, err := tx.StorageKeys(d.ID)
	if err != nil {
		return impact, spec, nil, nil, err
	}
	if spec.Storage, keys, err = withKeys(spec.Storage, d.Spec.Storage, body.StorageKeys, stored); err != nil {
		return impact, spec, nil, nil, err
	}
	impact = decide(m, d, spec)
	asked := impact.Action == "deploy" && slices.Contains(impact.Changes, "trigger")
	if asked || spec.Image != d.Spec.Image || d.Applied == nil {
		if image, err = check(tx, m, spec); err != nil {
			return metal.Impact{}, spec, nil, nil, err
		}
	} else if err := checkKeys(tx, spec); err != nil {
		return metal.Impact{}, spec, nil, nil, err
	}
	if impact.Action == "deploy" || networkField(spec.Network) != networkField(d.Spec.Network) {
		if err := checkNetwork(tx, m, spec.Network); err != nil {
			return metal.Impact{}, spec, nil, nil, err
		}
	}
	if impact.Storage, err = planned(tx, m, d, spec, image, impact); err != nil {
		return metal.Impact{}, spec, nil, nil, err
	}
	if impact.Action == "deploy" {
		impact.Erases = erases(m, spec)
	}
	if impact.Action != "none" && spec.Boot == metal.BootMemory && spec.Boot != d.Spec.Boot { // not only when it is taken up
		if _, err := check(tx, m, spec); err != nil {
			return metal.Impact{}, spec, nil, nil, err
		}
	}
	return impact, spec, keys, image, nil
}

// pin ties a deployment to the content that an image has now.
func pin(d *metal.Deployment, image *metal.Image) {
	d.Digest, d.RawBytes, d.StoredBytes = image.Digest, image.RawBytes, image.StoredBytes
}

// check refuses what could not be deployed, before anything is touched, and returns the image.
func check(tx *store.Tx, m *metal.Machine, spec metal.DeploymentSpec) (*metal.Image, error) {
	image, err := tx.Image(spec.Image)
	if metal.CodeOf(err) == metal.NotFound {
		return nil, metal.Errorf(metal.Invalid, "cannot deploy to machine %s: there is no image %s; import it first (metal_image)", m.Spec.Name, spec.Image)
	}
	if err != nil {
		return nil, err
	}
	if image.State == metal.ImageFailed && image.Failure != nil {
		return nil, metal.Errorf(metal.Conflict, "cannot deploy image %s: its import failed: %s", image.Name, image.Failure.Message)
	}
	if image.State != metal.ImageReady {
		return nil, metal.Errorf(metal.Conflict, "cannot deploy image %s: it is %s; wait until it is ready", image.Name, image.State)
	}
	if image.Spec.Arch != "" && image.Spec.Arch != m.Arch() {
		return nil, metal.Errorf(metal.Invalid, "cannot deploy image %s to machine %s: the image is for %s, the machine is %s", image.Name, m.Spec.Name, image.Spec.Arch, m.Arch())
	}
	if !boots(image, m.Hardware.BootMode) {
		return nil, metal.Errorf(metal.Invalid, "cannot deploy image %s to machine %s: the image boots on %v, the machine boots by %s", image.Name, m.Spec.Name, image.Spec.Boot, m.Hardware.BootMode)
	}
	if spec.Boot == metal.BootMemory {
		if err := checkMemory(m, image); err != nil {
			return nil, err
		}
		return image, checkKeys(tx, spec)
	}
	largest, err := largestDisk(tx, m.ID)
	if err != nil {
		return nil, err
	}
	if largest > 0 && largest < image.RawBytes {
		return nil, metal.Errorf(metal.Invalid, "cannot deploy image %s to machine %s: the image is %s and the machine's largest disk is %s; choose a smaller image or a larger machine", image.Name, m.Spec.Name, size(image.RawBytes), size(largest))
	}
	return image, checkKeys(tx, spec)
}

func boots(image *metal.Image, mode metal.BootMode) bool {
	if len(image.Spec.Boot) == 0 || mode == "" {
		return true
	}
	for _, b := range image.Spec.Boot {
		if b == mode {
			return true
		}
	}
	return false
}

func checkKeys(tx *store.Tx, spec metal.DeploymentSpec) error {
	_, err := Keys(tx, spec.SSHKeys)
	return err
}

// finish completes a spec; the digest of user data that is not given anew is that of the stored one.
func finish(body api.DeploymentBody, storedSHA string) (metal.DeploymentSpec, error) {
	spec := body.DeploymentSpec
	if spec.Boot == "" {
		spec.Boot = metal.BootReboot
	}
	if spec.Network.Mode == "" {
		spec.Network.Mode = "static"
	}
	if len(spec.RedeployOn) == 0 {
		spec.RedeployOn = []string{"image", "disk", "trigger"}
	}
	for _, name := range spec.RedeployOn {
		if _, ok := fields(metal.DeploymentSpec{})[name]; !ok {
			return spec, metal.Errorf(metal.Invalid, "redeploy_on has %q, which is no field that can be redeployed on", name)
		}
	}
	if err := checkDiskless(spec); err != nil {
		return spec, err
	}
	if strings.Contains(spec.KernelParameters, "\n") {
		return spec, metal.Errorf(metal.Invalid, "kernel_parameters may not hold a line break")
	}
	spec.UserDataSHA256 = storedSHA
	if body.UserData != nil {
		spec.UserDataSHA256 = ""
		if *body.UserData != "" {
			sum := sha256.Sum256([]byte(*body.UserData))
			spec.UserDataSHA256 = hex.EncodeToString(sum[:])
		}
	}
	return spec, nil
}

// DeleteDeployment takes the system off the machine, which stays allocated.
func (f *Fleet) DeleteDeployment(ctx context.Context, in api.ByID) (metal.Operation, error) {
	var op *metal.Operation
	err := f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		d, err := tx.Deployment(in.ID)
		if err != nil {
			return err
		}
		m, err := tx.Machine(d.MachineID)
		if err != nil {
			return err
		}
		m.DeploymentID = ""
		if op, err = f.cfg.Engine.Start(tx, m, metal.Undeploy, lifecycle.Order{Erase: metal.EraseQuick}); err != nil {
			return err
		}
		return tx.DeleteDeployment(d.ID)
	})
	if err != nil {
		return metal.Operation{}, err
	}
	return *op, nil
}
