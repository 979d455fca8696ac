package fleet

import (
	"context"
	"net/mail"
	"net/netip"
	"reflect"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListZones lists declared zones.
func (f *Fleet) ListZones(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Zone], error) {
	l, err := list(ctx, f, in, func(tx *store.Tx) ([]metal.Zone, error) {
		return tx.DeclaredZones(in.After, limitOf(in.Page), in.Names)
	},
		func(z metal.Zone) string { return z.Name })
	for i := range l.Items {
		f.serial(&l.Items[i])
	}
	return l, err
}

// serial fills in the serial number of a zone as DNS answers it.
func (f *Fleet) serial(z *metal.Zone) {
	if f.cfg.Serial != nil {
		z.Serial = f.cfg.Serial(z.Name)
	}
}

// GetZone reads a zone.
func (f *Fleet) GetZone(ctx context.Context, in api.ByZone) (metal.Zone, error) {
	z, err := get(ctx, f, func(tx *store.Tx) (*metal.Zone, error) {
		name, err := zoneName(in.Zone)
		if err != nil {
			return nil, err
		}
		return tx.Zone(name)
	})
	if err == nil {
		f.serial(&z)
	}
	return z, err
}

// PutZone makes or changes a zone. One that is a subnet's domain, the server's zone or the reverse zone of a subnet is
// there already, and gets its settings by this.
func (f *Fleet) PutZone(ctx context.Context, in api.PutZoneRequest) (out metal.Zone, err error) {
	name, err := zoneName(in.Zone)
	if err != nil {
		return out, err
	}
	spec := in.Body
	if err := completeZone(&spec); err != nil {
		return out, err
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		z, err := tx.Zone(name)
		if z, err = orNew(z, err, metal.Zone{Name: name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "zone "+name, z.Revision); err != nil {
			return err
		}
		if z.Revision > 0 && reflect.DeepEqual(z.Spec, spec) {
			out = *z
			return nil
		}
		for _, key := range slices.Concat(spec.Transfer.Keys, spec.Update.Keys) {
			if _, err := tx.DNSKey(key); metal.CodeOf(err) == metal.NotFound {
				return metal.Errorf(metal.Invalid, "zone %s names TSIG key %s, which does not exist: make it first", name, key)
			} else if err != nil {
				return err
			}
		}
		z.Spec = spec
		if err := tx.PutZone(z); err != nil {
			return err
		}
		out = *z
		return nil
	})
	if err == nil {
		f.serial(&out)
	}
	return out, err
}

const (
	zoneTTL     = 60
	negativeTTL = 10
)

func completeZone(spec *metal.ZoneSpec) error {
	if spec.TTL == 0 {
		spec.TTL = zoneTTL
	}
	if spec.NegativeTTL == 0 {
		spec.NegativeTTL = negativeTTL
	}
	spec.NameServers = slices.Clone(spec.NameServers)
	for i, name := range spec.NameServers {
		name, err := zoneName(name)
		if err != nil {
			return err
		}
		spec.NameServers[i] = name
	}
	if spec.Mailbox != "" {
		if a, err := mail.ParseAddress(spec.Mailbox); err != nil || a.Address != spec.Mailbox {
			return metal.Errorf(metal.Invalid, "%q is not a mail address: give it as in hostmaster@example.com", spec.Mailbox)
		}
	}
	for _, p := range spec.Transfer.Networks {
		if !p.IsValid() || p.Masked() != p || p.Addr().Is4In6() {
			return metal.Errorf(metal.Invalid, "%s is not a network that may copy a zone: give it without host bits, as in 192.0.2.0/24", p)
		}
	}
	for _, to := range spec.Transfer.Notify {
		_, err := netip.ParseAddr(to)
		if _, portErr := netip.ParseAddrPort(to); err != nil && portErr != nil {
			return metal.Errorf(metal.Invalid, "%q is not a server to notify: give it as an address, or as address:port", to)
		}
	}
	return nil
}

// DeleteZone deletes a zone without record sets. A zone that is there without being declared goes on with the
// settings that those have.
func (f *Fleet) DeleteZone(ctx context.Context, in api.DeleteZoneRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		z, err := tx.Zone(strings.ToLower(strings.TrimSuffix(in.Zone, ".")))
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "zone "+z.Name, z.Revision); err != nil {
			return err
		}
		n, err := tx.CountRecordSets(z.Name)
		if err != nil {
			return err
		}
		if n > 0 {
			return metal.Errorf(metal.Conflict, "cannot delete zone %s: it has %d record sets; delete those first", z.Name, n)
		}
		return tx.DeleteZone(z.Name)
	})
}
