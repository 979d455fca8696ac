package store

import (
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Pool reads one pool; metal.NotFound. Its counts are of this moment.
func (tx *Tx) Pool(name string) (*metal.Pool, error) {
	p, err := document[metal.Pool](tx, "pool "+name, "SELECT doc FROM pool WHERE name = $1", name)
	if err != nil {
		return nil, err
	}
	return p, tx.countPool(p)
}

// Pools lists pools by name; only: nil for all.
func (tx *Tx) Pools(after string, limit int, only []string) ([]metal.Pool, error) {
	list, err := pageOf[metal.Pool](tx, "pool", "name", after, limit, only)
	if err != nil {
		return nil, err
	}
	for i := range list {
		if err := tx.countPool(&list[i]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (tx *Tx) countPool(p *metal.Pool) error {
	return tx.one("pool "+p.Name, "SELECT count(*), coalesce(sum(CASE WHEN state = 'ready' THEN 1 ELSE 0 END), 0) FROM machine WHERE pool = $1",
		[]any{p.Name}, &p.Machines, &p.Ready)
}

// PutPool inserts or replaces a pool, and raises its revision.
func (tx *Tx) PutPool(p *metal.Pool) error {
	p.Revision++
	if p.CreatedAt.IsZero() {
		p.CreatedAt = tx.Now
	}
	return tx.put("pool", p.Name, p.Revision, p)
}

// DeletePool removes a pool; metal.Conflict while machines are in it.
func (tx *Tx) DeletePool(name string) error { return tx.remove("pool", name) }

// SSHKey reads one key; metal.NotFound.
func (tx *Tx) SSHKey(name string) (*metal.SSHKey, error) {
	return document[metal.SSHKey](tx, "SSH key "+name, "SELECT doc FROM ssh_key WHERE name = $1", name)
}

// SSHKeys lists keys by name; only: nil for all.
func (tx *Tx) SSHKeys(after string, limit int, only []string) ([]metal.SSHKey, error) {
	return pageOf[metal.SSHKey](tx, "ssh_key", "name", after, limit, only)
}

// PutSSHKey inserts or replaces a key, and raises its revision.
func (tx *Tx) PutSSHKey(k *metal.SSHKey) error {
	k.Revision++
	if k.CreatedAt.IsZero() {
		k.CreatedAt = tx.Now
	}
	return tx.put("ssh_key", k.Name, k.Revision, k)
}

// DeleteSSHKey removes a key.
func (tx *Tx) DeleteSSHKey(name string) error { return tx.remove("ssh_key", name) }

// Image reads one image; metal.NotFound.
func (tx *Tx) Image(name string) (*metal.Image, error) {
	return document[metal.Image](tx, "image "+name, "SELECT doc FROM image WHERE name = $1", name)
}

// Images lists images by name; only: nil for all.
func (tx *Tx) Images(after string, limit int, only []string) ([]metal.Image, error) {
	return pageOf[metal.Image](tx, "image", "name", after, limit, only)
}

// PutImage inserts or replaces an image, and raises its revision.
func (tx *Tx) PutImage(i *metal.Image) error {
	i.Revision++
	if i.CreatedAt.IsZero() {
		i.CreatedAt = tx.Now
	}
	doc, err := encode(i)
	if err != nil {
		return err
	}
	_, err = tx.exec("image "+i.Name, `INSERT INTO image (name, digest, revision, doc) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET digest = excluded.digest, revision = excluded.revision, doc = excluded.doc`,
		i.Name, i.Digest, i.Revision, doc)
	return err
}

// DeleteImage removes an image's record.
func (tx *Tx) DeleteImage(name string) error { return tx.remove("image", name) }

// Digests returns the contents that an image or a deployment needs.
func (tx *Tx) Digests() (map[string]bool, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT digest FROM image UNION SELECT digest FROM deployment")
	if err != nil {
		return nil, translate("digests in use", err)
	}
	defer rows.Close()
	keep := map[string]bool{}
	for rows.Next() {
		var digest string
		if err := rows.Scan(&digest); err != nil {
			return nil, translate("digests in use", err)
		}
		keep[digest] = true
	}
	return keep, translate("digests in use", rows.Err())
}

// put writes one of the plain named documents.
func (tx *Tx) put(table, name string, revision int64, v any) error {
	doc, err := encode(v)
	if err != nil {
		return err
	}
	_, err = tx.exec(table+" "+name, "INSERT INTO "+table+` (name, revision, doc) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, doc = excluded.doc`, name, revision, doc)
	return err
}

func (tx *Tx) remove(table, name string) error {
	n, err := tx.exec(table+" "+name, "DELETE FROM "+table+" WHERE name = $1", name)
	if err == nil && n == 0 {
		return metal.Errorf(metal.NotFound, "there is no %s %s", table, name)
	}
	return err
}
