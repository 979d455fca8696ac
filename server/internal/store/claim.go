package store

import (
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Allocation reads a claim by id or name; metal.NotFound.
func (tx *Tx) Allocation(idOrName string) (*metal.Allocation, error) {
	return document[metal.Allocation](tx, "allocation "+idOrName, "SELECT doc FROM allocation WHERE id = $1 OR name = $1", idOrName)
}

// Allocations lists claims by id; only: nil for all.
func (tx *Tx) Allocations(after string, limit int, only []string) ([]metal.Allocation, error) {
	return pageOf[metal.Allocation](tx, "allocation", "id", after, limit, only)
}

// InsertAllocation adds a claim. A machine that is claimed, or a name in use, is metal.Conflict.
func (tx *Tx) InsertAllocation(a *metal.Allocation) error {
	a.Revision, a.CreatedAt = 1, tx.Now
	doc, err := encode(a)
	if err != nil {
		return err
	}
	_, err = tx.exec("allocation "+a.Name, "INSERT INTO allocation (id, name, machine_id, revision, doc) VALUES ($1, $2, $3, $4, $5)",
		a.ID, a.Name, a.MachineID, a.Revision, doc)
	return err
}

// SaveAllocation writes a claim back and raises its revision.
func (tx *Tx) SaveAllocation(a *metal.Allocation) error {
	a.Revision++
	doc, err := encode(a)
	if err != nil {
		return err
	}
	_, err = tx.exec("allocation "+a.Name, "UPDATE allocation SET revision = $2, doc = $3 WHERE id = $1", a.ID, a.Revision, doc)
	return err
}

// DeleteAllocation ends a claim.
func (tx *Tx) DeleteAllocation(id string) error {
	_, err := tx.exec("allocation "+id, "DELETE FROM allocation WHERE id = $1", id)
	return err
}

// Deployment reads one deployment by its id; metal.NotFound.
func (tx *Tx) Deployment(id string) (*metal.Deployment, error) {
	return document[metal.Deployment](tx, "deployment "+id, "SELECT doc FROM deployment WHERE id = $1", id)
}

// Deployments lists deployments by id; only: nil for all.
func (tx *Tx) Deployments(after string, limit int, only []string) ([]metal.Deployment, error) {
	return pageOf[metal.Deployment](tx, "deployment", "id", after, limit, only)
}

// DeploymentsOf lists the deployments that name an image.
func (tx *Tx) DeploymentsOf(image string) ([]metal.Deployment, error) {
	return documents[metal.Deployment](tx, "deployments of image "+image, "SELECT doc FROM deployment WHERE image = $1 ORDER BY id", image)
}

// InsertDeployment adds a deployment with its sealed user data. A machine that has one is metal.Conflict.
func (tx *Tx) InsertDeployment(d *metal.Deployment) error {
	d.Revision, d.Generation, d.CreatedAt = 1, 1, tx.Now
	doc, err := encode(d)
	if err != nil {
		return err
	}
	_, err = tx.exec("deployment on "+d.MachineID, "INSERT INTO deployment (id, machine_id, image, digest, revision, doc) VALUES ($1, $2, $3, $4, $5, $6)",
		d.ID, d.MachineID, d.Spec.Image, d.Digest, d.Revision, doc)
	return err
}

// SaveDeployment writes a deployment back and raises its revision.
func (tx *Tx) SaveDeployment(d *metal.Deployment) error {
	d.Revision++
	doc, err := encode(d)
	if err != nil {
		return err
	}
	_, err = tx.exec("deployment "+d.ID, "UPDATE deployment SET image = $2, digest = $3, revision = $4, doc = $5 WHERE id = $1",
		d.ID, d.Spec.Image, d.Digest, d.Revision, doc)
	return err
}

// DeleteDeployment forgets a deployment.
func (tx *Tx) DeleteDeployment(id string) error {
	_, err := tx.exec("deployment "+id, "DELETE FROM deployment WHERE id = $1", id)
	return err
}

// SetUserData seals and keeps a deployment's user data.
func (tx *Tx) SetUserData(id string, data []byte) error {
	sealed := tx.db.opt.Sealer.Seal(data, "deployment.user_data/"+id)
	_, err := tx.exec("user data of "+id, "UPDATE deployment SET user_data = $2 WHERE id = $1", id, sealed)
	return err
}

// UserData opens a deployment's user data; nil for none.
func (tx *Tx) UserData(id string) ([]byte, error) {
	var sealed []byte
	if err := tx.one("deployment "+id, "SELECT user_data FROM deployment WHERE id = $1", []any{id}, &sealed); err != nil || sealed == nil {
		return nil, err
	}
	return tx.db.opt.Sealer.Open(sealed, "deployment.user_data/"+id)
}
