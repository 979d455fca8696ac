package daemon

import (
	"context"
	"maps"
	"sync/atomic"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dns"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// dnsKeys are the TSIG keys with their secrets, in memory: DNS messages are verified by them. They are what the
// database has, always.
type dnsKeys struct {
	db  *store.DB
	now atomic.Pointer[map[string]dnsKey] // replaced as a whole; changes come one at a time
}

type dnsKey struct {
	algorithm string
	secret    metal.Secret
}

// openDNSKeys loads the keys, and follows every change of them from then on.
func openDNSKeys(ctx context.Context, db *store.DB) (*dnsKeys, error) {
	k := &dnsKeys{db: db}
	return k, db.Observe(ctx, k)
}

// Key is for dns.Keys.
func (k *dnsKeys) Key(name string) (algorithm string, secret []byte, ok bool) {
	found, ok := (*k.now.Load())[name]
	return found.algorithm, []byte(found.secret.Reveal()), ok
}

// Load reads all keys.
func (k *dnsKeys) Load(tx *store.Tx) error {
	const every = 1 << 30
	list, err := tx.DNSKeys("", every, nil)
	if err != nil {
		return err
	}
	keys := make(map[string]dnsKey, len(list))
	for _, key := range list {
		secret, err := tx.DNSSecret(key.Name)
		if err != nil {
			return err
		}
		keys[key.Name] = dnsKey{key.Algorithm, secret}
	}
	k.now.Store(&keys)
	return nil
}

// Apply takes over the keys that a transaction changed. Their secrets are not among what it tells: they are read from
// the database. A key whose secret cannot be read is none: it must not go on as it was.
func (k *dnsKeys) Apply(changes []store.Change) {
	var fresh map[string]dnsKey
	for _, c := range changes {
		if c.DNSKey == nil {
			continue
		}
		if fresh == nil {
			fresh = maps.Clone(*k.now.Load())
		}
		delete(fresh, c.DNSKey.Name)
		if c.Gone {
			continue
		}
		if secret, err := k.secret(c.DNSKey.Name); err == nil {
			fresh[c.DNSKey.Name] = dnsKey{c.DNSKey.Algorithm, secret}
		}
	}
	if fresh != nil {
		k.now.Store(&fresh)
	}
}

// secret reads a secret that is committed.
func (k *dnsKeys) secret(name string) (secret metal.Secret, err error) {
	err = k.db.Read(context.Background(), func(tx *store.Tx) error {
		secret, err = tx.DNSSecret(name)
		return err
	})
	return secret, err
}

// dnsUpdater makes the changes of DNS UPDATE (RFC 2136), each in one transaction. The zones have what it made when that
// is committed, since they follow the database.
type dnsUpdater struct {
	db    *store.DB
	zones dns.Zones
}

// Update is for dns.Updater.
func (u dnsUpdater) Update(ctx context.Context, decide func(dns.Content) ([]dns.RecordChange, int, error)) (rcode int, err error) {
	err = u.db.Update(ctx, func(tx *store.Tx) error {
		var changes []dns.RecordChange
		// No other change can be committed meanwhile: the zones are those of this transaction.
		changes, rcode, err = decide(dnsContent{tx, u.zones.Now()})
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := applyRecordChange(tx, c); err != nil {
				return err
			}
		}
		return nil
	})
	return rcode, err
}

// applyRecordChange makes one change.
func applyRecordChange(tx *store.Tx, c dns.RecordChange) error {
	if c.Gone {
		return tx.DeleteRecordSet(c.Zone, c.Name, c.Type)
	}
	r, err := tx.RecordSet(c.Zone, c.Name, c.Type)
	switch {
	case metal.CodeOf(err) == metal.NotFound:
		r = &c.RecordSet
	case err != nil:
		return err
	default:
		r.Spec = c.Spec
	}
	return tx.PutRecordSet(r)
}

// dnsContent is what an update is decided by.
type dnsContent struct {
	tx   *store.Tx
	view *zone.View
}

func (c dnsContent) View() *zone.View { return c.view }

func (c dnsContent) Declared(zone, name string) ([]metal.RecordSet, error) {
	return c.tx.RecordSetsAt(zone, name)
}
