package store

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// MachineFilter selects machines: every field that is not zero must match.
type MachineFilter struct {
	IDs                          []string // nil: any
	Name, Pool, State, UUID, MAC string
	Serial, After                string
	Limit                        int
}

// Machine reads one machine by id; metal.NotFound.
func (tx *Tx) Machine(id string) (*metal.Machine, error) {
	return document[metal.Machine](tx, "machine "+id, "SELECT doc FROM machine WHERE id = $1", id)
}

// FindMachine reads one machine by id or name; metal.NotFound.
func (tx *Tx) FindMachine(idOrName string) (*metal.Machine, error) {
	return document[metal.Machine](tx, "machine "+idOrName, "SELECT doc FROM machine WHERE id = $1 OR name = $1", idOrName)
}

// MachineByMAC reads the machine that has a NIC with this address; metal.NotFound.
func (tx *Tx) MachineByMAC(mac metal.MAC) (*metal.Machine, error) {
	return document[metal.Machine](tx, "machine with MAC address "+string(mac),
		"SELECT doc FROM machine WHERE id = (SELECT machine_id FROM machine_mac WHERE mac = $1)", string(mac))
}

// Machines lists machines in the order of ids.
func (tx *Tx) Machines(f MachineFilter) ([]metal.Machine, error) {
	where, args := []string{"id > $1"}, []any{f.After}
	add := func(condition, value string) {
		if value == "" {
			return
		}
		args = append(args, value)
		where = append(where, fmt.Sprintf(condition, len(args)))
	}
	add("name = $%d", f.Name)
	add("pool = $%d", f.Pool)
	add("state = $%d", f.State)
	add("uuid = $%d", strings.ToLower(f.UUID))
	add("serial = $%d", f.Serial)
	add("id IN (SELECT machine_id FROM machine_mac WHERE mac = $%d)", f.MAC)
	if f.IDs != nil {
		marks, ids := inList(len(args)+1, f.IDs)
		where, args = append(where, "id IN "+marks), append(args, ids...)
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 1 << 30
	}
	args = append(args, limit)
	return documents[metal.Machine](tx, "list of machines",
		"SELECT doc FROM machine WHERE "+strings.Join(where, " AND ")+fmt.Sprintf(" ORDER BY id LIMIT $%d", len(args)), args...)
}

// InsertMachine adds a machine and stamps it. A name or MAC address that another one has is metal.Conflict.
func (tx *Tx) InsertMachine(m *metal.Machine) error {
	m.Revision, m.Generation, m.CreatedAt, m.ChangedAt = 1, 1, tx.Now, tx.Now
	doc, err := encode(m)
	if err != nil {
		return err
	}
	_, err = tx.exec("machine "+m.Spec.Name,
		"INSERT INTO machine (id, name, state, pool, uuid, serial, revision, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		m.ID, m.Spec.Name, string(m.State), m.Spec.Pool, strings.ToLower(m.Hardware.UUID), m.Hardware.Serial, m.Revision, doc)
	if err != nil {
		return err
	}
	return tx.setMACs(m)
}

// SaveMachine writes a machine back and raises its revision. It fails with metal.Conflict when somebody else wrote
// it since it was read.
func (tx *Tx) SaveMachine(m *metal.Machine) error {
	was := m.Revision
	m.Revision, m.ChangedAt = was+1, tx.Now
	doc, err := encode(m)
	if err != nil {
		return err
	}
	n, err := tx.exec("machine "+m.Spec.Name,
		"UPDATE machine SET name = $2, state = $3, pool = $4, uuid = $5, serial = $6, revision = $7, doc = $8 WHERE id = $1 AND revision = $9",
		m.ID, m.Spec.Name, string(m.State), m.Spec.Pool, strings.ToLower(m.Hardware.UUID), m.Hardware.Serial, m.Revision, doc, was)
	if err != nil {
		return err
	}
	if n == 0 {
		return metal.Errorf(metal.Conflict, "machine %s was changed by somebody else: read it again", m.Spec.Name)
	}
	return tx.setMACs(m)
}

// setMACs keeps the MAC addresses of a machine that was written, and tells the observers of it.
func (tx *Tx) setMACs(m *metal.Machine) error {
	kept := *m
	tx.note(Change{Machine: &kept})
	if _, err := tx.exec("MAC addresses of "+m.Spec.Name, "DELETE FROM machine_mac WHERE machine_id = $1", m.ID); err != nil {
		return err
	}
	for _, mac := range m.Spec.MACs {
		if _, err := tx.exec("MAC address "+string(mac), "INSERT INTO machine_mac (mac, machine_id) VALUES ($1, $2)", string(mac), m.ID); err != nil {
			return err
		}
	}
	return nil
}

// DeleteMachine forgets a machine with its addresses, sessions and operations.
func (tx *Tx) DeleteMachine(id string) error {
	m, err := tx.Machine(id)
	if metal.CodeOf(err) == metal.NotFound {
		return nil
	}
	if err != nil {
		return err
	}
	if err := tx.noteGone("machine_id", id); err != nil {
		return err
	}
	tx.note(Change{Machine: m, Gone: true})
	if _, err := tx.exec("operations of "+id, "DELETE FROM operation WHERE machine_id = $1", id); err != nil {
		return err
	}
	_, err = tx.exec("machine "+id, "DELETE FROM machine WHERE id = $1", id)
	return err
}

// Inventory reads a machine's last inventory; metal.NotFound before the first.
func (tx *Tx) Inventory(id string) (*metal.Inventory, error) {
	return document[metal.Inventory](tx, "inventory of "+id+": commission the machine first",
		"SELECT inventory FROM machine WHERE id = $1 AND inventory IS NOT NULL", id)
}

// SetInventory keeps a machine's inventory.
func (tx *Tx) SetInventory(id string, inv *metal.Inventory) error {
	text, err := json.Marshal(inv)
	if err != nil {
		return err
	}
	_, err = tx.exec("inventory of "+id, "UPDATE machine SET inventory = $2 WHERE id = $1", id, string(text))
	return err
}

// SetBMCPassword seals and keeps the password of a machine's BMC.
func (tx *Tx) SetBMCPassword(id string, password metal.Secret) error {
	sealed := tx.db.opt.Sealer.Seal([]byte(password.Reveal()), "machine.bmc_password/"+id)
	_, err := tx.exec("BMC password of "+id, "UPDATE machine SET bmc_password = $2 WHERE id = $1", id, sealed)
	return err
}

// BMCPassword opens the password of a machine's BMC; empty when none was given.
func (tx *Tx) BMCPassword(id string) (metal.Secret, error) {
	var sealed []byte
	if err := tx.one("machine "+id, "SELECT bmc_password FROM machine WHERE id = $1", []any{id}, &sealed); err != nil || sealed == nil {
		return metal.Secret{}, err
	}
	plain, err := tx.db.opt.Sealer.Open(sealed, "machine.bmc_password/"+id)
	return metal.NewSecret(string(plain)), err
}
