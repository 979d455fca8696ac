package fleet

import (
	"context"
	"reflect"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListRecordSets lists the record sets of a zone, of all, or the given ones.
func (f *Fleet) ListRecordSets(ctx context.Context, in api.ListRecordSetsRequest) (l api.List[metal.RecordSet], err error) {
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		if in.Keys != nil {
			l.Items, err = recordSetsByKey(tx, in.Keys)
			return err
		}
		zone := strings.ToLower(strings.TrimSuffix(in.Zone, "."))
		if zone != "" {
			if _, err := tx.Zone(zone); err != nil {
				return err
			}
		}
		// Slashes are in names: spaces are not.
		place := append(strings.Fields(in.After), "", "", "")
		list, err := tx.RecordSets(zone, metal.RecordSet{Zone: place[0], Name: place[1], Type: place[2]}, limitOf(in.Page))
		l = page(list, limitOf(in.Page)-1, func(r metal.RecordSet) string { return r.Zone + " " + r.Name + " " + r.Type })
		return err
	})
	return l, err
}

// recordSetsByKey reads record sets by zone/name/type. Zones and names of classless delegations have slashes as well
// (RFC 2317), so that every place where one could part them is tried.
func recordSetsByKey(tx *store.Tx, keys []string) ([]metal.RecordSet, error) {
	found := []metal.RecordSet{}
	for _, key := range keys {
		parts := strings.Split(key, "/")
		for at := 1; at < len(parts)-1; at++ {
			zone, name := strings.Join(parts[:at], "/"), strings.Join(parts[at:len(parts)-1], "/")
			r, err := tx.RecordSet(strings.ToLower(zone), strings.ToLower(name), parts[len(parts)-1])
			if metal.CodeOf(err) == metal.NotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			found = append(found, *r)
			break
		}
	}
	return found, nil
}

// GetRecordSet reads a record set.
func (f *Fleet) GetRecordSet(ctx context.Context, in api.ByRecordSet) (metal.RecordSet, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.RecordSet, error) { return findRecordSet(tx, in) })
}

func findRecordSet(tx *store.Tx, in api.ByRecordSet) (*metal.RecordSet, error) {
	zone, err := zoneName(in.Zone)
	if err != nil {
		return nil, err
	}
	name, _, err := recordName(zone, in.Name)
	if err != nil {
		return nil, err
	}
	return tx.RecordSet(zone, name, in.Type)
}

// PutRecordSet makes or replaces one record set.
func (f *Fleet) PutRecordSet(ctx context.Context, in api.PutRecordSetRequest) (out metal.RecordSet, err error) {
	fresh, err := newRecordSet(in)
	if err != nil {
		return out, err
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Zone(fresh.Zone); metal.CodeOf(err) == metal.NotFound {
			return metal.Errorf(metal.Invalid, "zone %s is not declared: make it first", fresh.Zone)
		} else if err != nil {
			return err
		}
		r, err := tx.RecordSet(fresh.Zone, fresh.Name, fresh.Type)
		if r, err = orNew(r, err, fresh); err != nil {
			return err
		}
		if err := precondition(in.Precondition, fresh.Type+" record set "+fresh.FQDN, r.Revision); err != nil {
			return err
		}
		if r.Revision > 0 && reflect.DeepEqual(r.Spec, fresh.Spec) {
			out = *r
			return nil
		}
		if r.Revision == 0 {
			if err := f.checkRecordSet(tx, r); err != nil {
				return err
			}
		}
		r.Spec = fresh.Spec
		if err := tx.PutRecordSet(r); err != nil {
			return err
		}
		out = *r
		return nil
	})
	return out, err
}

// newRecordSet checks what can be checked of a record set by itself.
func newRecordSet(in api.PutRecordSetRequest) (r metal.RecordSet, err error) {
	if r.Zone, err = zoneName(in.Zone); err != nil {
		return r, err
	}
	if r.Name, r.FQDN, err = recordName(r.Zone, in.Name); err != nil {
		return r, err
	}
	r.Type, r.Spec.TTL = in.Type, in.Body.TTL
	if !slices.Contains(metal.RecordTypes[:], r.Type) {
		return r, metal.Errorf(metal.Invalid, "there are no record sets of type %s: %s", r.Type, strings.Join(metal.RecordTypes[:], ", "))
	}
	if r.Spec.Values, err = recordValues(r.Zone, r.FQDN, r.Type, in.Body.Values); err != nil {
		return r, err
	}
	switch {
	case r.Type == "CNAME" && len(r.Spec.Values) > 1:
		return r, metal.Errorf(metal.Invalid, "%s cannot be an alias of %d names: one value (RFC 2181, 10.1)", r.FQDN, len(r.Spec.Values))
	case r.Type == "CNAME" && r.Name == apex:
		return r, metal.Errorf(metal.Invalid, "zone %s itself cannot be an alias: other records are there in any case (RFC 1912, 2.4)", r.Zone)
	case r.Type == "NS" && r.Name == apex:
		return r, metal.Errorf(metal.Conflict, "the name servers of zone %s are set with the zone: use its name_servers", r.Zone)
	case r.Type == "NS" && strings.HasPrefix(r.Name, "*"):
		return r, metal.Errorf(metal.Invalid, "%s cannot be delegated: a wildcard has no name servers (RFC 4592, 4.2)", r.FQDN)
	}
	return r, nil
}

// checkRecordSet checks a new record set against what else has its name.
func (f *Fleet) checkRecordSet(tx *store.Tx, r *metal.RecordSet) error {
	siblings, err := tx.RecordSetsAt(r.Zone, r.Name)
	if err != nil {
		return err
	}
	for _, s := range siblings {
		if r.Type == "CNAME" || s.Type == "CNAME" {
			return metal.Errorf(metal.Conflict, "%s cannot have %s records: it has %s records, and an alias stands alone (RFC 2181, 10.1); delete those first", r.FQDN, r.Type, s.Type)
		}
	}
	switch r.Type {
	case "A", "AAAA", "CNAME":
		return f.nobodys(tx, r)
	case "PTR":
		return f.unpointed(tx, r)
	}
	return nil
}

// nobodys refuses addresses and aliases under a name that comes with an address by itself.
func (f *Fleet) nobodys(tx *store.Tx, r *metal.RecordSet) error {
	host, _, _ := strings.Cut(r.FQDN, ".")
	for _, h := range f.ledger.holders(host) {
		names, err := f.fqdns(tx, host, h)
		if err != nil {
			return err
		}
		if slices.Contains(names, r.FQDN) {
			return metal.Errorf(metal.Conflict, "%s cannot have %s records of its own: the name belongs to %s", r.FQDN, r.Type, f.holderName(tx, h))
		}
	}
	return nil
}

// unpointed refuses a PTR record for an address whose name comes by itself.
func (f *Fleet) unpointed(tx *store.Tx, r *metal.RecordSet) error {
	addr, ok := pointedAddr(r.FQDN)
	if !ok {
		return nil
	}
	for name, s := range f.ledger.all() {
		if !s.CIDR.Contains(addr) {
			continue
		}
		who, err := f.nameOf(tx, place{name, addr})
		if err != nil {
			return err
		}
		if who != "" {
			return metal.Errorf(metal.Conflict, "%s cannot have PTR records of its own: %s belongs to %s", r.FQDN, addr, who)
		}
	}
	return nil
}

// nameOf says who has an address and a name for it; empty for nobody.
func (f *Fleet) nameOf(tx *store.Tx, p place) (string, error) {
	a, err := tx.AssignmentAt(p.subnet, p.addr)
	if err != nil {
		return "", err
	}
	if a != nil {
		if a.Reservation != "" {
			if r, err := tx.Reservation(a.Reservation); err != nil || r.FQDN == "" {
				return "", err
			}
		}
		return f.owner(tx, *a), nil
	}
	l, err := tx.LeaseAt(p.subnet, p.addr)
	if err != nil || l == nil || l.Hostname == "" || l.State != metal.LeaseActive || !l.ExpiresAt.After(tx.Now) {
		return "", err
	}
	return lessee(*l), nil
}

// DeleteRecordSet deletes one record set.
func (f *Fleet) DeleteRecordSet(ctx context.Context, in api.DeleteRecordSetRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := findRecordSet(tx, in.ByRecordSet)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, r.Type+" record set "+r.FQDN, r.Revision); err != nil {
			return err
		}
		return tx.DeleteRecordSet(r.Zone, r.Name, r.Type)
	})
}
