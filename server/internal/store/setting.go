package store

import "github.com/metalform/terraform-provider-metal/internal/metal"

// Setting reads a value that is kept by name; nil where none is. It is not sealed: see Secret.
func (tx *Tx) Setting(name string) ([]byte, error) {
	var value []byte
	err := tx.one("setting "+name, "SELECT value FROM setting WHERE name = $1", []any{name}, &value)
	if metal.CodeOf(err) == metal.NotFound {
		return nil, nil
	}
	return value, err
}

// PutSetting keeps a value by name, in place of the one before.
func (tx *Tx) PutSetting(name string, value []byte) error {
	_, err := tx.exec("setting "+name, `INSERT INTO setting (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}
