package store

import (
	"encoding/json"
	"fmt"
)

// SetStorageKeys seals and keeps the keys of a deployment's encrypted volumes, by the names of its plan.
func (tx *Tx) SetStorageKeys(id string, keys map[string]string) error {
	plain, err := json.Marshal(keys)
	if err != nil {
		return fmt.Errorf("write the keys of deployment %s: %w", id, err)
	}
	sealed := tx.db.opt.Sealer.Seal(plain, "deployment.storage_keys/"+id)
	_, err = tx.exec("storage keys of "+id, "UPDATE deployment SET storage_keys = $2 WHERE id = $1", id, sealed)
	return err
}

// StorageKeys opens the keys of a deployment's encrypted volumes; nil for none.
func (tx *Tx) StorageKeys(id string) (map[string]string, error) {
	var sealed []byte
	if err := tx.one("deployment "+id, "SELECT storage_keys FROM deployment WHERE id = $1", []any{id}, &sealed); err != nil || sealed == nil {
		return nil, err
	}
	plain, err := tx.db.opt.Sealer.Open(sealed, "deployment.storage_keys/"+id)
	if err != nil {
		return nil, fmt.Errorf("open the storage keys of deployment %s: %w", id, err)
	}
	keys := map[string]string{}
	if err := json.Unmarshal(plain, &keys); err != nil {
		return nil, fmt.Errorf("read the storage keys of deployment %s: %w", id, err)
	}
	return keys, nil
}
