package fleet

import (
	"context"
	"encoding/base64"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// ListDNSKeys lists TSIG keys, without their secrets.
func (f *Fleet) ListDNSKeys(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.DNSKey], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.DNSKey, error) { return tx.DNSKeys(in.After, limitOf(in.Page), in.Names) },
		func(k metal.DNSKey) string { return k.Name })
}

// GetDNSKey reads a TSIG key, without its secret.
func (f *Fleet) GetDNSKey(ctx context.Context, in api.ByName) (metal.DNSKey, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.DNSKey, error) { return tx.DNSKey(in.Name) })
}

// leastSecret is the length of a secret in bytes below which guessing it is easier than it should be (RFC 8945, 8).
const leastSecret = 16

// algorithms are those that TSIG keys may have.
var algorithms = [...]string{"hmac-sha256", "hmac-sha384", "hmac-sha512"}

// PutDNSKey makes or changes a TSIG key. Errors never tell the secret.
func (f *Fleet) PutDNSKey(ctx context.Context, in api.PutDNSKeyRequest) (out metal.DNSKey, err error) {
	if err := zone.CheckName(in.Name); err != nil {
		return out, err
	}
	algorithm := in.Body.Algorithm
	if algorithm == "" {
		algorithm = algorithms[0]
	}
	if !slices.Contains(algorithms[:], algorithm) {
		return out, metal.Errorf(metal.Invalid, "there is no TSIG algorithm %q: %v", algorithm, algorithms)
	}
	var given metal.Secret
	if in.Body.Secret != nil {
		raw, err := base64.StdEncoding.DecodeString(*in.Body.Secret)
		if err != nil || len(raw) < leastSecret {
			return out, metal.Errorf(metal.Invalid, "the secret of TSIG key %s is not base64 of %d bytes or more: make one with metalctl dns keys add", in.Name, leastSecret)
		}
		given = metal.NewSecret(string(raw))
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		k, err := tx.DNSKey(in.Name)
		if k, err = orNew(k, err, metal.DNSKey{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "TSIG key "+in.Name, k.Revision); err != nil {
			return err
		}
		var stored metal.Secret
		if k.Revision > 0 {
			if stored, err = tx.DNSSecret(in.Name); err != nil {
				return err
			}
		}
		secret := given
		if secret.Empty() {
			secret = stored
		}
		switch {
		case secret.Empty():
			return metal.Errorf(metal.Invalid, "TSIG key %s has no secret: give one, in base64", in.Name)
		case k.Algorithm != algorithm, secret.Reveal() != stored.Reveal():
			k.Algorithm = algorithm
			if err := tx.PutDNSKey(k, secret); err != nil {
				return err
			}
		}
		out = *k
		return nil
	})
	return out, err
}

// DeleteDNSKey deletes a TSIG key that no zone names.
func (f *Fleet) DeleteDNSKey(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		k, err := tx.DNSKey(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "TSIG key "+in.Name, k.Revision); err != nil {
			return err
		}
		zones, err := tx.DeclaredZones("", 1<<30, nil)
		if err != nil {
			return err
		}
		zones = slices.DeleteFunc(zones, func(z metal.Zone) bool {
			return !slices.Contains(z.Spec.Transfer.Keys, in.Name) && !slices.Contains(z.Spec.Update.Keys, in.Name)
		})
		if err := unused("TSIG key "+in.Name, users("zone", zones, func(z metal.Zone) string { return z.Name })); err != nil {
			return err
		}
		return tx.DeleteDNSKey(in.Name)
	})
}
