package fleet

import (
	"context"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListSpaces lists spaces.
func (f *Fleet) ListSpaces(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Space], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Space, error) { return tx.Spaces(in.After, limitOf(in.Page), in.Names) },
		func(x metal.Space) string { return x.Name })
}

// GetSpace reads a space.
func (f *Fleet) GetSpace(ctx context.Context, in api.ByName) (metal.Space, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.Space, error) { return tx.Space(in.Name) })
}

// PutSpace makes or changes a space.
func (f *Fleet) PutSpace(ctx context.Context, in api.PutSpaceRequest) (out metal.Space, err error) {
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		x, err := tx.Space(in.Name)
		if x, err = orNew(x, err, metal.Space{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "space "+in.Name, x.Revision); err != nil {
			return err
		}
		if x.Revision == 0 || x.Spec != in.Body {
			x.Spec = in.Body
			if err := tx.PutSpace(x); err != nil {
				return err
			}
		}
		out = *x
		return nil
	})
	return out, err
}

// DeleteSpace deletes a space without VLANs.
func (f *Fleet) DeleteSpace(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		x, err := tx.Space(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "space "+in.Name, x.Revision); err != nil {
			return err
		}
		vlans, err := tx.VLANs("", 1<<30, nil)
		if err != nil {
			return err
		}
		vlans = slices.DeleteFunc(vlans, func(v metal.VLAN) bool { return v.Spec.Space != in.Name })
		if err := unused("space "+in.Name, users("VLAN", vlans, func(v metal.VLAN) string { return v.Name })); err != nil {
			return err
		}
		return tx.DeleteSpace(in.Name)
	})
}
