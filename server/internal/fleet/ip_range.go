package fleet

import (
	"context"
	"reflect"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListRanges lists ranges.
func (f *Fleet) ListRanges(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.IPRange], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.IPRange, error) { return tx.Ranges(in.After, limitOf(in.Page), in.Names) },
		func(r metal.IPRange) string { return r.Name })
}

// GetRange reads a range.
func (f *Fleet) GetRange(ctx context.Context, in api.ByName) (metal.IPRange, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.IPRange, error) { return tx.Range(in.Name) })
}

// PutRange makes or changes a range. Leases that are behind a range that shrinks stay until they end.
func (f *Fleet) PutRange(ctx context.Context, in api.PutRangeRequest) (out metal.IPRange, err error) {
	spec := in.Body
	if spec.Kind == "" {
		spec.Kind = metal.RangeDynamic
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Range(in.Name)
		if r, err = orNew(r, err, metal.IPRange{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "range "+in.Name, r.Revision); err != nil {
			return err
		}
		if r.Revision > 0 && reflect.DeepEqual(r.Spec, spec) {
			out = *r
			return nil
		}
		if err := f.checkRange(tx, r, spec); err != nil {
			return err
		}
		r.Spec = spec
		if err := tx.PutRange(r); err != nil {
			return err
		}
		out = *r
		return nil
	})
	return out, err
}

func (f *Fleet) checkRange(tx *store.Tx, r *metal.IPRange, spec metal.IPRangeSpec) error {
	if err := sameSubnet("range "+r.Name, r.Revision, r.Spec.Subnet, spec.Subnet); err != nil {
		return err
	}
	s, err := subnetOf(tx, "range "+r.Name, spec.Subnet)
	if err != nil {
		return err
	}
	if err := ipam.ValidateRange(s.Spec, spec); err != nil {
		return err
	}
	if err := f.tellable(s.Spec.CIDR, spec.Options); err != nil {
		return err
	}
	siblings, err := tx.RangesIn(s.Name)
	if err != nil {
		return err
	}
	others := map[string]metal.AddrRange{}
	for _, o := range siblings {
		if o.Name != r.Name {
			others[o.Name] = metal.AddrRange{First: o.Spec.First, Last: o.Spec.Last}
		}
	}
	now := metal.AddrRange{First: spec.First, Last: spec.Last}
	if err := ipam.RangeOverlaps(s.Spec, now, others); err != nil {
		return err
	}
	if spec.Kind != metal.RangeDynamic {
		return nil
	}
	var old []metal.AddrRange
	if r.Spec.Kind == metal.RangeDynamic {
		old = []metal.AddrRange{{First: r.Spec.First, Last: r.Spec.Last}}
	}
	return f.checkUnassigned(tx, s.Name, ipam.Beyond([]metal.AddrRange{now}, old))
}

// DeleteRange deletes a range. Its clients keep their leases until these end.
func (f *Fleet) DeleteRange(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Range(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "range "+in.Name, r.Revision); err != nil {
			return err
		}
		return tx.DeleteRange(in.Name)
	})
}
