package fleet

import (
	"context"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListStaticRoutes lists routes.
func (f *Fleet) ListStaticRoutes(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.StaticRoute], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.StaticRoute, error) {
		return tx.StaticRoutes(in.After, limitOf(in.Page), in.Names)
	}, func(r metal.StaticRoute) string { return r.Name })
}

// GetStaticRoute reads a route.
func (f *Fleet) GetStaticRoute(ctx context.Context, in api.ByName) (metal.StaticRoute, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.StaticRoute, error) { return tx.StaticRoute(in.Name) })
}

// PutStaticRoute makes or changes a route.
func (f *Fleet) PutStaticRoute(ctx context.Context, in api.PutStaticRouteRequest) (out metal.StaticRoute, err error) {
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.StaticRoute(in.Name)
		if r, err = orNew(r, err, metal.StaticRoute{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "static route "+in.Name, r.Revision); err != nil {
			return err
		}
		if r.Revision > 0 && r.Spec == in.Body {
			out = *r
			return nil
		}
		if err := sameSubnet("static route "+in.Name, r.Revision, r.Spec.Subnet, in.Body.Subnet); err != nil {
			return err
		}
		s, err := subnetOf(tx, "static route "+in.Name, in.Body.Subnet)
		if err != nil {
			return err
		}
		if err := checkRoute(s.Spec, in.Body); err != nil {
			return err
		}
		siblings, err := tx.StaticRoutesIn(s.Name)
		if err != nil {
			return err
		}
		same := func(o metal.StaticRoute) bool {
			return o.Name != r.Name && o.Spec.Destination == in.Body.Destination && o.Spec.Gateway == in.Body.Gateway
		}
		if i := slices.IndexFunc(siblings, same); i >= 0 {
			return metal.Errorf(metal.Conflict, "static route %s of subnet %s leads to %s by %s already: change that one", siblings[i].Name, s.Name, in.Body.Destination, in.Body.Gateway)
		}
		r.Spec = in.Body
		if err := tx.PutStaticRoute(r); err != nil {
			return err
		}
		out = *r
		return nil
	})
	return out, err
}

// checkRoute checks a route against the network whose hosts are told of it.
func checkRoute(s metal.SubnetSpec, r metal.StaticRouteSpec) error {
	d, g := r.Destination, r.Gateway
	first, last, _ := ipam.Usable(s)
	onLink := s.CIDR.Contains(g) && !g.Less(first) && !last.Less(g)
	switch {
	case !d.IsValid() || d.Masked() != d || d.Addr().IsMulticast() || d.Addr().Is4In6():
		return metal.Errorf(metal.Invalid, "a route cannot lead to %s: give a network without host bits, as in 192.0.2.0/24", d)
	case d.Addr().Is4() != s.CIDR.Addr().Is4():
		return metal.Errorf(metal.Invalid, "hosts of %s cannot be told of a route to %s: it is of the other family", s.CIDR, d)
	case d == s.CIDR:
		return metal.Errorf(metal.Invalid, "a route cannot lead to %s: its hosts are in it", d)
	case g.Zone() != "" || !onLink && !(s.CIDR.Addr().Is6() && g.Is6() && g.IsLinkLocalUnicast()):
		return metal.Errorf(metal.Invalid, "router %s cannot be reached from %s: give an address in it", g, s.CIDR)
	case r.Metric < 0:
		return metal.Errorf(metal.Invalid, "a route's metric is not negative")
	}
	return nil
}

// DeleteStaticRoute deletes a route.
func (f *Fleet) DeleteStaticRoute(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.StaticRoute(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "static route "+in.Name, r.Revision); err != nil {
			return err
		}
		return tx.DeleteStaticRoute(in.Name)
	})
}
