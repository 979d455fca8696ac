package fleet

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListFabrics lists fabrics.
func (f *Fleet) ListFabrics(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Fabric], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Fabric, error) { return tx.Fabrics(in.After, limitOf(in.Page), in.Names) },
		func(x metal.Fabric) string { return x.Name })
}

// GetFabric reads a fabric.
func (f *Fleet) GetFabric(ctx context.Context, in api.ByName) (metal.Fabric, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.Fabric, error) { return tx.Fabric(in.Name) })
}

// PutFabric makes or changes a fabric.
func (f *Fleet) PutFabric(ctx context.Context, in api.PutFabricRequest) (out metal.Fabric, err error) {
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		x, err := tx.Fabric(in.Name)
		if x, err = orNew(x, err, metal.Fabric{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "fabric "+in.Name, x.Revision); err != nil {
			return err
		}
		if x.Revision == 0 || x.Spec != in.Body {
			x.Spec = in.Body
			if err := tx.PutFabric(x); err != nil {
				return err
			}
		}
		out = *x
		return nil
	})
	return out, err
}

// DeleteFabric deletes a fabric without VLANs and subnets.
func (f *Fleet) DeleteFabric(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		x, err := tx.Fabric(in.Name)
		if err != nil {
			return err
		}
		if in.Name == metal.DefaultFabric {
			return metal.Errorf(metal.Conflict, "the fabric %s cannot be deleted: what names no fabric is on it", in.Name)
		}
		if err := precondition(in.Precondition, "fabric "+in.Name, x.Revision); err != nil {
			return err
		}
		vlans, err := tx.VLANs("", 1<<30, nil)
		if err != nil {
			return err
		}
		vlans = slices.DeleteFunc(vlans, func(v metal.VLAN) bool { return v.Spec.Fabric != in.Name })
		users := users("VLAN", vlans, func(v metal.VLAN) string { return v.Name })
		users = append(users, f.subnetsWhere(func(s metal.SubnetSpec) bool { return s.Fabric == in.Name })...)
		if err := unused("fabric "+in.Name, users); err != nil {
			return err
		}
		return tx.DeleteFabric(in.Name)
	})
}

// subnetsWhere names the subnets that are meant, in order.
func (f *Fleet) subnetsWhere(meant func(metal.SubnetSpec) bool) []string {
	all := f.ledger.all()
	maps.DeleteFunc(all, func(_ string, s metal.SubnetSpec) bool { return !meant(s) })
	return users("subnet", slices.Sorted(maps.Keys(all)), func(name string) string { return name })
}

// users names things of one kind.
func users[T any](kind string, list []T, name func(T) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = kind + " " + name(x)
	}
	return out
}

// unused refuses to delete what others use, and names them.
func unused(what string, users []string) error {
	if len(users) == 0 {
		return nil
	}
	return metal.Errorf(metal.Conflict, "cannot delete %s: %s; delete or change that first", what, inUseBy(users))
}

// inUseBy names the first few of many users.
func inUseBy(users []string) string {
	const few = 3
	if len(users) == 1 {
		return users[0] + " uses it"
	}
	if len(users) <= few {
		return strings.Join(users, ", ") + " use it"
	}
	return fmt.Sprintf("%s and %d more use it", strings.Join(users[:few], ", "), len(users)-few)
}
