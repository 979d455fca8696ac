package store

import (
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Token is what is kept of a bearer token: its SHA-256 and never itself.
type Token struct {
	Name      string
	Hash      []byte
	CreatedAt time.Time
	UsedAt    time.Time
}

// InsertToken adds a token; a name in use is metal.Conflict.
func (tx *Tx) InsertToken(name string, hash []byte) error {
	_, err := tx.exec("token "+name, "INSERT INTO token (name, hash, created_at) VALUES ($1, $2, $3)", name, hash, tx.Now.UnixNano())
	return err
}

// DeleteToken revokes a token; metal.NotFound.
func (tx *Tx) DeleteToken(name string) error { return tx.remove("token", name) }

// TokenByHash reads the token with this hash; metal.NotFound.
func (tx *Tx) TokenByHash(hash []byte) (Token, error) {
	t := Token{Hash: hash}
	var created, used int64
	err := tx.one("such token", "SELECT name, created_at, used_at FROM token WHERE hash = $1", []any{hash}, &t.Name, &created, &used)
	t.CreatedAt = time.Unix(0, created).UTC()
	if used > 0 {
		t.UsedAt = time.Unix(0, used).UTC()
	}
	return t, err
}

// UseToken notes that a token was used.
func (tx *Tx) UseToken(name string) error {
	_, err := tx.exec("token "+name, "UPDATE token SET used_at = $2 WHERE name = $1", name, tx.Now.UnixNano())
	return err
}

// Tokens lists tokens by name.
func (tx *Tx) Tokens() ([]Token, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, "SELECT name, created_at, used_at FROM token ORDER BY name")
	if err != nil {
		return nil, translate("tokens", err)
	}
	defer rows.Close()
	var list []Token
	for rows.Next() {
		var t Token
		var created, used int64
		if err := rows.Scan(&t.Name, &created, &used); err != nil {
			return nil, translate("tokens", err)
		}
		t.CreatedAt = time.Unix(0, created).UTC()
		if used > 0 {
			t.UsedAt = time.Unix(0, used).UTC()
		}
		list = append(list, t)
	}
	return list, translate("tokens", rows.Err())
}

// Secret returns the server's secret of this name, sealed in the database; it is made by fresh on first use.
func (tx *Tx) Secret(name string, fresh func() []byte) ([]byte, error) {
	var sealed []byte
	err := tx.one("secret "+name, "SELECT value FROM setting WHERE name = $1", []any{name}, &sealed)
	if err == nil {
		return tx.db.opt.Sealer.Open(sealed, "setting/"+name)
	}
	if metal.CodeOf(err) != metal.NotFound {
		return nil, err
	}
	value := fresh()
	_, err = tx.exec("secret "+name, "INSERT INTO setting (name, value) VALUES ($1, $2)", name, tx.db.opt.Sealer.Seal(value, "setting/"+name))
	return value, err
}
