package store

import "github.com/metalform/terraform-provider-metal/internal/metal"

// EraseCertificate reads one certificate; metal.NotFound.
func (tx *Tx) EraseCertificate(id string) (*metal.EraseCertificate, error) {
	return document[metal.EraseCertificate](tx, "erase certificate "+id, "SELECT doc FROM erase_certificate WHERE id = $1", id)
}

// EraseCertificates lists certificates by id, which grows with time: those of one machine, which may be gone, or of
// all when machine is empty.
func (tx *Tx) EraseCertificates(machine, after string, limit int) ([]metal.EraseCertificate, error) {
	return documents[metal.EraseCertificate](tx, "list of erase certificates",
		"SELECT doc FROM erase_certificate WHERE ($1 = '' OR machine_id = $1) AND id > $2 ORDER BY id LIMIT $3", machine, after, limit)
}

// InsertEraseCertificate keeps a certificate for good.
func (tx *Tx) InsertEraseCertificate(c *metal.EraseCertificate) error {
	text, err := encode(c)
	if err != nil {
		return err
	}
	_, err = tx.exec("erase certificate "+c.ID, "INSERT INTO erase_certificate (id, machine_id, doc) VALUES ($1, $2, $3)", c.ID, c.MachineID, text)
	return err
}
