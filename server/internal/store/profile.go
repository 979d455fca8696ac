package store

import (
	"encoding/json"
	"fmt"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// keptVersions is how many versions of a boot profile can be read, beside those that installations use.
const keptVersions = 20

// BootProfile reads a boot profile as it is now; metal.NotFound.
func (tx *Tx) BootProfile(name string) (*metal.BootProfile, error) {
	return document[metal.BootProfile](tx, "boot profile "+name, "SELECT doc FROM boot_profile WHERE name = $1", name)
}

// BootProfiles lists boot profiles by name; only: nil for all.
func (tx *Tx) BootProfiles(after string, limit int, only []string) ([]metal.BootProfile, error) {
	return pageOf[metal.BootProfile](tx, "boot_profile", "name", after, limit, only)
}

// BootProfileVersion reads a boot profile as it was, and what its secret variables were; metal.NotFound.
func (tx *Tx) BootProfileVersion(name string, version int64) (*metal.BootProfile, map[string]string, error) {
	var text string
	var sealed []byte
	what := fmt.Sprintf("version %d of boot profile %s", version, name)
	err := tx.one(what, "SELECT doc, secrets FROM boot_profile_version WHERE name = $1 AND version = $2", []any{name, version}, &text, &sealed)
	if err != nil {
		return nil, nil, err
	}
	p, secrets := &metal.BootProfile{}, map[string]string{}
	if err := json.Unmarshal([]byte(text), p); err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", what, err)
	}
	plain, err := tx.db.opt.Sealer.Open(sealed, secretsOf(name, version))
	if err != nil {
		return nil, nil, err
	}
	if json.Unmarshal(plain, &secrets) != nil { // its error would quote them
		return nil, nil, fmt.Errorf("read the secrets of %s: they are damaged", what)
	}
	return p, secrets, nil
}

func secretsOf(name string, version int64) string {
	return fmt.Sprintf("boot_profile_version.secrets/%s/%d", name, version)
}

// PutBootProfile inserts a boot profile or replaces it by its next version, whose number it sets. Versions that are
// too old go, unless an installation uses them.
func (tx *Tx) PutBootProfile(p *metal.BootProfile, secrets map[string]string) error {
	p.Revision++
	p.Version++
	p.ChangedAt = tx.Now
	if p.CreatedAt.IsZero() {
		p.CreatedAt = tx.Now
	}
	if err := tx.put("boot_profile", p.Name, p.Revision, p); err != nil {
		return err
	}
	doc, err := encode(p)
	if err != nil {
		return err
	}
	plain, err := json.Marshal(secrets)
	if err != nil {
		return err
	}
	sealed := tx.db.opt.Sealer.Seal(plain, secretsOf(p.Name, p.Version))
	_, err = tx.exec("boot profile "+p.Name, "INSERT INTO boot_profile_version (name, version, doc, secrets) VALUES ($1, $2, $3, $4)",
		p.Name, p.Version, doc, sealed)
	if err != nil {
		return err
	}
	_, err = tx.exec("boot profile "+p.Name, `DELETE FROM boot_profile_version WHERE name = $1 AND version <= $2
		AND version NOT IN (SELECT version FROM installation WHERE profile = $1 AND state = 'installing')`, p.Name, p.Version-keptVersions)
	return err
}

// DeleteBootProfile removes a boot profile and its versions. The installations under way are the caller's to look for.
func (tx *Tx) DeleteBootProfile(name string) error { return tx.remove("boot_profile", name) }

// BootFiles returns the checksums of the files that boot profiles name, at every version that is kept.
func (tx *Tx) BootFiles() (map[string]bool, error) {
	versions, err := documents[metal.BootProfile](tx, "boot files", "SELECT doc FROM boot_profile_version")
	if err != nil {
		return nil, err
	}
	keep := map[string]bool{}
	for _, p := range versions {
		for _, f := range p.Spec.Initrds {
			keep[f.SHA256] = true
		}
		for _, f := range []*metal.BootFile{p.Spec.Kernel, p.Spec.ISO} {
			if f != nil {
				keep[f.SHA256] = true
			}
		}
	}
	return keep, nil
}

// Installation reads the installation of the machine with a MAC address, and the token of its URLs; metal.NotFound.
func (tx *Tx) Installation(mac metal.MAC) (*metal.Installation, metal.Secret, error) {
	var text string
	var sealed []byte
	what := "installation of " + string(mac)
	if err := tx.one(what, "SELECT doc, token FROM installation WHERE mac = $1", []any{string(mac)}, &text, &sealed); err != nil {
		return nil, metal.Secret{}, err
	}
	i := &metal.Installation{}
	if err := json.Unmarshal([]byte(text), i); err != nil {
		return nil, metal.Secret{}, fmt.Errorf("read %s: %w", what, err)
	}
	plain, err := tx.db.opt.Sealer.Open(sealed, "installation.token/"+string(mac))
	return i, metal.NewSecret(string(plain)), err
}

// Installations lists installations by MAC address; only: nil for all.
func (tx *Tx) Installations(after string, limit int, only []string) ([]metal.Installation, error) {
	return pageOf[metal.Installation](tx, "installation", "mac", after, limit, only)
}

// InstallationsBy counts the installations by a boot profile that are under way.
func (tx *Tx) InstallationsBy(profile string) (n int, err error) {
	return n, tx.one("installations", "SELECT count(*) FROM installation WHERE profile = $1 AND state = 'installing'", []any{profile}, &n)
}

// CountInstallations counts all installations.
func (tx *Tx) CountInstallations() (n int, err error) {
	return n, tx.one("installations", "SELECT count(*) FROM installation", nil, &n)
}

// PutInstallation inserts or replaces an installation.
func (tx *Tx) PutInstallation(i *metal.Installation, token metal.Secret) error {
	doc, err := encode(i)
	if err != nil {
		return err
	}
	sealed := tx.db.opt.Sealer.Seal([]byte(token.Reveal()), "installation.token/"+string(i.MAC))
	_, err = tx.exec("installation of "+string(i.MAC), `INSERT INTO installation (mac, profile, version, state, doc, token) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (mac) DO UPDATE SET profile = excluded.profile, version = excluded.version, state = excluded.state, doc = excluded.doc, token = excluded.token`,
		string(i.MAC), i.Profile, i.Version, string(i.State), doc, sealed)
	return err
}

// DeleteInstallation forgets an installation; metal.NotFound.
func (tx *Tx) DeleteInstallation(mac metal.MAC) error {
	n, err := tx.exec("installation of "+string(mac), "DELETE FROM installation WHERE mac = $1", string(mac))
	if err == nil && n == 0 {
		return metal.Errorf(metal.NotFound, "there is no installation of %s", mac)
	}
	return err
}
