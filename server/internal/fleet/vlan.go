package fleet

import (
	"context"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListVLANs lists VLANs.
func (f *Fleet) ListVLANs(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.VLAN], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.VLAN, error) { return tx.VLANs(in.After, limitOf(in.Page), in.Names) },
		func(x metal.VLAN) string { return x.Name })
}

// GetVLAN reads a VLAN.
func (f *Fleet) GetVLAN(ctx context.Context, in api.ByName) (metal.VLAN, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.VLAN, error) { return tx.VLAN(in.Name) })
}

// PutVLAN makes or changes a VLAN.
func (f *Fleet) PutVLAN(ctx context.Context, in api.PutVLANRequest) (out metal.VLAN, err error) {
	spec := in.Body
	if spec.Fabric == "" {
		spec.Fabric = metal.DefaultFabric
	}
	if spec.MTU == 0 {
		spec.MTU = 1500
	}
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		v, err := tx.VLAN(in.Name)
		if v, err = orNew(v, err, metal.VLAN{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "VLAN "+in.Name, v.Revision); err != nil {
			return err
		}
		if v.Revision > 0 && v.Spec == spec {
			out = *v
			return nil
		}
		if err := f.checkVLAN(tx, v, spec); err != nil {
			return err
		}
		v.Spec = spec
		if err := tx.PutVLAN(v); err != nil {
			return err
		}
		out = *v
		return nil
	})
	return out, err
}

func (f *Fleet) checkVLAN(tx *store.Tx, v *metal.VLAN, spec metal.VLANSpec) error {
	if err := fabricExists(tx, "VLAN "+v.Name, spec.Fabric); err != nil {
		return err
	}
	if spec.Space != "" {
		if _, err := tx.Space(spec.Space); metal.CodeOf(err) == metal.NotFound {
			return metal.Errorf(metal.Invalid, "cannot put VLAN %s into space %s: there is no such space; make it first", v.Name, spec.Space)
		} else if err != nil {
			return err
		}
	}
	if v.Revision > 0 && v.Spec.Fabric == spec.Fabric && v.Spec.VID == spec.VID {
		return nil
	}
	other, err := tx.VLANByID(spec.Fabric, spec.VID)
	if err == nil && other.Name != v.Name {
		return metal.Errorf(metal.Conflict, "VLAN %d of fabric %s is declared as %s: choose another id, or change that one", spec.VID, spec.Fabric, other.Name)
	}
	if err != nil && metal.CodeOf(err) != metal.NotFound {
		return err
	}
	if users := f.subnetsOn(v); v.Revision > 0 && len(users) > 0 {
		return metal.Errorf(metal.Conflict, "the fabric and the id of VLAN %s do not change now: %s; move that first", v.Name, inUseBy(users))
	}
	return nil
}

// subnetsOn names the subnets on a VLAN. The untagged one is there whether it is declared or not.
func (f *Fleet) subnetsOn(v *metal.VLAN) []string {
	if v.Spec.VID == 0 {
		return nil
	}
	return f.subnetsWhere(func(s metal.SubnetSpec) bool { return s.Fabric == v.Spec.Fabric && s.VLAN == v.Spec.VID })
}

// DeleteVLAN deletes a VLAN without subnets.
func (f *Fleet) DeleteVLAN(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		v, err := tx.VLAN(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "VLAN "+in.Name, v.Revision); err != nil {
			return err
		}
		if err := unused("VLAN "+in.Name, f.subnetsOn(v)); err != nil {
			return err
		}
		return tx.DeleteVLAN(in.Name)
	})
}

// fabricExists refuses a fabric that nobody made.
func fabricExists(tx *store.Tx, what, fabric string) error {
	_, err := tx.Fabric(fabric)
	if metal.CodeOf(err) == metal.NotFound {
		return metal.Errorf(metal.Invalid, "cannot put %s on fabric %s: there is no such fabric; make it first", what, fabric)
	}
	return err
}
