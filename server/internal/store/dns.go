package store

import "github.com/metalform/terraform-provider-metal/internal/metal"

// Zone reads one declared zone; metal.NotFound. Its serial is not set: DNS knows it.
func (tx *Tx) Zone(name string) (*metal.Zone, error) {
	return document[metal.Zone](tx, "zone "+name, "SELECT doc FROM zone WHERE name = $1", name)
}

// DeclaredZones lists declared zones by name; only: nil for all.
func (tx *Tx) DeclaredZones(after string, limit int, only []string) ([]metal.Zone, error) {
	return pageOf[metal.Zone](tx, "zone", "name", after, limit, only)
}

// PutZone inserts or replaces a zone, and raises its revision.
func (tx *Tx) PutZone(z *metal.Zone) error {
	z.Revision++
	if z.CreatedAt.IsZero() {
		z.CreatedAt = tx.Now
	}
	kept := *z
	tx.note(Change{Zone: &kept})
	return tx.put("zone", z.Name, z.Revision, z)
}

// DeleteZone removes a zone; metal.Conflict while it has record sets.
func (tx *Tx) DeleteZone(name string) error {
	z, err := tx.Zone(name)
	if err != nil {
		return err
	}
	tx.note(Change{Zone: z, Gone: true})
	return tx.remove("zone", name)
}

// RecordSet reads one record set; metal.NotFound.
func (tx *Tx) RecordSet(zone, name, kind string) (*metal.RecordSet, error) {
	return document[metal.RecordSet](tx, kind+" record set "+name+" in zone "+zone,
		"SELECT doc FROM record_set WHERE zone = $1 AND name = $2 AND type = $3", zone, name, kind)
}

// RecordSets lists the record sets of a zone, of all when empty, by zone, name and type. The position behind which it
// goes on is the last one of the page before.
func (tx *Tx) RecordSets(zone string, after metal.RecordSet, limit int) ([]metal.RecordSet, error) {
	return documents[metal.RecordSet](tx, "list of record sets", `SELECT doc FROM record_set
		WHERE ($1 = '' OR zone = $1) AND (zone, name, type) > ($2, $3, $4) ORDER BY zone, name, type LIMIT $5`,
		zone, after.Zone, after.Name, after.Type, limit)
}

// CountRecordSets returns how many record sets a zone has.
func (tx *Tx) CountRecordSets(zone string) (n int64, err error) {
	err = tx.one("zone "+zone, "SELECT count(*) FROM record_set WHERE zone = $1", []any{zone}, &n)
	return n, err
}

// RecordSetsAt lists the record sets of one name.
func (tx *Tx) RecordSetsAt(zone, name string) ([]metal.RecordSet, error) {
	return documents[metal.RecordSet](tx, "record sets of "+name, "SELECT doc FROM record_set WHERE zone = $1 AND name = $2 ORDER BY type", zone, name)
}

// PutRecordSet inserts or replaces one record set, and raises its revision. A zone that was not declared is
// metal.Conflict.
func (tx *Tx) PutRecordSet(r *metal.RecordSet) error {
	r.Revision++
	if r.CreatedAt.IsZero() {
		r.CreatedAt = tx.Now
	}
	doc, err := encode(r)
	if err != nil {
		return err
	}
	kept := *r
	tx.note(Change{RecordSet: &kept})
	_, err = tx.exec(r.Type+" record set "+r.Name+" in zone "+r.Zone, `INSERT INTO record_set (zone, name, type, revision, doc) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (zone, name, type) DO UPDATE SET revision = excluded.revision, doc = excluded.doc`, r.Zone, r.Name, r.Type, r.Revision, doc)
	return err
}

// DeleteRecordSet removes one record set; metal.NotFound.
func (tx *Tx) DeleteRecordSet(zone, name, kind string) error {
	r, err := tx.RecordSet(zone, name, kind)
	if err != nil {
		return err
	}
	tx.note(Change{RecordSet: r, Gone: true})
	_, err = tx.exec(kind+" record set "+name, "DELETE FROM record_set WHERE zone = $1 AND name = $2 AND type = $3", zone, name, kind)
	return err
}

// DNSKey reads one TSIG key without its secret; metal.NotFound.
func (tx *Tx) DNSKey(name string) (*metal.DNSKey, error) {
	return document[metal.DNSKey](tx, "TSIG key "+name, "SELECT doc FROM dns_key WHERE name = $1", name)
}

// DNSKeys lists TSIG keys by name; only: nil for all.
func (tx *Tx) DNSKeys(after string, limit int, only []string) ([]metal.DNSKey, error) {
	return pageOf[metal.DNSKey](tx, "dns_key", "name", after, limit, only)
}

// PutDNSKey inserts or replaces a key with its secret, which is the decoded one, and raises its revision.
func (tx *Tx) PutDNSKey(k *metal.DNSKey, secret metal.Secret) error {
	k.Revision++
	if k.CreatedAt.IsZero() {
		k.CreatedAt = tx.Now
	}
	doc, err := encode(k)
	if err != nil {
		return err
	}
	sealed := tx.db.opt.Sealer.Seal([]byte(secret.Reveal()), "dns_key.secret/"+k.Name)
	kept := *k
	tx.note(Change{DNSKey: &kept})
	_, err = tx.exec("TSIG key "+k.Name, `INSERT INTO dns_key (name, revision, doc, secret) VALUES ($1, $2, $3, $4)
		ON CONFLICT (name) DO UPDATE SET revision = excluded.revision, doc = excluded.doc, secret = excluded.secret`, k.Name, k.Revision, doc, sealed)
	return err
}

// DNSSecret opens the secret of a key; metal.NotFound.
func (tx *Tx) DNSSecret(name string) (metal.Secret, error) {
	var sealed []byte
	if err := tx.one("TSIG key "+name, "SELECT secret FROM dns_key WHERE name = $1", []any{name}, &sealed); err != nil {
		return metal.Secret{}, err
	}
	plain, err := tx.db.opt.Sealer.Open(sealed, "dns_key.secret/"+name)
	return metal.NewSecret(string(plain)), err
}

// DeleteDNSKey removes a key. The zones that name it are the caller's to look for.
func (tx *Tx) DeleteDNSKey(name string) error {
	k, err := tx.DNSKey(name)
	if err != nil {
		return err
	}
	tx.note(Change{DNSKey: k, Gone: true})
	return tx.remove("dns_key", name)
}
