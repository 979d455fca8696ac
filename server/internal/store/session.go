package store

import (
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A BootSession is one boot of a machine into the RAM environment. A machine has one at most: a new boot ends it.
type BootSession struct {
	MachineID string
	Nonce     string // of the boot token that began it
	BootID    string // made by the agent
	Hash      []byte // SHA-256 of the session token
	BegunAt   time.Time
	SeenAt    time.Time
}

// PutBootSession begins a session in place of the machine's last one. A nonce that began a session of another machine
// is metal.Conflict. That the boot token was used is remembered for longer than the session: see BootTokenUse.
func (tx *Tx) PutBootSession(s BootSession) error {
	_, err := tx.exec("boot token", "INSERT INTO boot_token (nonce, boot_id, machine_id, used_at) VALUES ($1, $2, $3, $4) ON CONFLICT (nonce) DO NOTHING",
		s.Nonce, s.BootID, s.MachineID, tx.Now.UnixNano())
	if err != nil {
		return err
	}
	_, err = tx.exec("boot session of "+s.MachineID, `INSERT INTO boot_session (machine_id, nonce, boot_id, hash, begun_at, seen_at) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (machine_id) DO UPDATE SET nonce = excluded.nonce, boot_id = excluded.boot_id, hash = excluded.hash, begun_at = excluded.begun_at, seen_at = excluded.seen_at`,
		s.MachineID, s.Nonce, s.BootID, s.Hash, s.BegunAt.UnixNano(), s.SeenAt.UnixNano())
	return err
}

// BootSessionOf reads a machine's session; nil for none.
func (tx *Tx) BootSessionOf(machineID string) (*BootSession, error) {
	return tx.bootSession("WHERE machine_id = $1", machineID)
}

// BootSessionByHash reads the session that a token opens; nil for none.
func (tx *Tx) BootSessionByHash(hash []byte) (*BootSession, error) {
	return tx.bootSession("WHERE hash = $1", hash)
}

// BootTokenUse tells which boot of which machine a boot token was used for; empty where it was not used yet.
func (tx *Tx) BootTokenUse(nonce string) (bootID, machineID string, err error) {
	err = tx.one("boot token", "SELECT boot_id, machine_id FROM boot_token WHERE nonce = $1", []any{nonce}, &bootID, &machineID)
	if metal.CodeOf(err) == metal.NotFound {
		err = nil
	}
	return bootID, machineID, err
}

func (tx *Tx) bootSession(where string, arg any) (*BootSession, error) {
	s := new(BootSession)
	var begun, seen int64
	err := tx.one("boot session", "SELECT machine_id, nonce, boot_id, hash, begun_at, seen_at FROM boot_session "+where, []any{arg},
		&s.MachineID, &s.Nonce, &s.BootID, &s.Hash, &begun, &seen)
	s.BegunAt, s.SeenAt = time.Unix(0, begun).UTC(), time.Unix(0, seen).UTC()
	return optional(s, err)
}

// SeeBootSession notes that the agent spoke.
func (tx *Tx) SeeBootSession(machineID string) error {
	_, err := tx.exec("boot session of "+machineID, "UPDATE boot_session SET seen_at = $2 WHERE machine_id = $1", machineID, tx.Now.UnixNano())
	return err
}

// EndBootSession forgets a machine's session.
func (tx *Tx) EndBootSession(machineID string) error {
	_, err := tx.exec("boot session of "+machineID, "DELETE FROM boot_session WHERE machine_id = $1", machineID)
	return err
}

// AddEvent tells everybody who follows the events what happened.
func (tx *Tx) AddEvent(kind, subject, text string) error {
	_, err := tx.exec("event", "INSERT INTO event (at, kind, subject, text) VALUES ($1, $2, $3, $4)", tx.Now.UnixNano(), kind, subject, text)
	return err
}

// Events lists events behind a number.
func (tx *Tx) Events(after int64, limit int) ([]metal.Event, error) {
	rows, err := tx.tx.QueryContext(tx.ctx, placeholders("SELECT seq, at, kind, subject, text FROM event WHERE seq > $1 ORDER BY seq LIMIT $2"), after, limit)
	if err != nil {
		return nil, translate("events", err)
	}
	defer rows.Close()
	list := []metal.Event{}
	for rows.Next() {
		var e metal.Event
		var at int64
		if err := rows.Scan(&e.Seq, &at, &e.Kind, &e.Subject, &e.Text); err != nil {
			return nil, translate("events", err)
		}
		e.At = time.Unix(0, at).UTC()
		list = append(list, e)
	}
	return list, translate("events", rows.Err())
}
