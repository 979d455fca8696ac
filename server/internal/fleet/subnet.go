package fleet

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListSubnets lists subnets.
func (f *Fleet) ListSubnets(ctx context.Context, in api.ListByNamesRequest) (api.List[metal.Subnet], error) {
	return list(ctx, f, in, func(tx *store.Tx) ([]metal.Subnet, error) {
		list, err := tx.Subnets(in.After, limitOf(in.Page), in.Names)
		for i := range list {
			f.count(&list[i], tx.Now)
		}
		return list, err
	}, func(s metal.Subnet) string { return s.Name })
}

// GetSubnet reads a subnet.
func (f *Fleet) GetSubnet(ctx context.Context, in api.ByName) (metal.Subnet, error) {
	return get(ctx, f, func(tx *store.Tx) (*metal.Subnet, error) {
		s, err := tx.Subnet(in.Name)
		if err == nil {
			f.count(s, tx.Now)
		}
		return s, err
	})
}

// count fills in how the addresses of a subnet are used.
func (f *Fleet) count(s *metal.Subnet, now time.Time) {
	f.ledger.book(s.Name, func(b *ipam.Book) { s.Use = b.Use(now) })
}

// tellable refuses options that clients of a network could not be told.
func (f *Fleet) tellable(network netip.Prefix, o metal.DHCPOptions) error {
	if network.Addr().Is6() {
		return nil
	}
	return f.cfg.CheckOptions(o)
}

// PutSubnet makes or changes a subnet.
func (f *Fleet) PutSubnet(ctx context.Context, in api.PutSubnetRequest) (out metal.Subnet, err error) {
	spec := in.Body
	completeSubnet(&spec)
	if err := ipam.Validate(spec); err != nil {
		return out, err
	}
	if err := f.tellable(spec.CIDR, spec.DHCP.Options); err != nil {
		return out, err
	}
	var now time.Time
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		now = tx.Now
		s, err := tx.Subnet(in.Name)
		if s, err = orNew(s, err, metal.Subnet{Name: in.Name}); err != nil {
			return err
		}
		if err := precondition(in.Precondition, "subnet "+in.Name, s.Revision); err != nil {
			return err
		}
		if s.Revision > 0 && reflect.DeepEqual(s.Spec, spec) {
			out = *s
			return nil
		}
		if err := f.checkSubnet(tx, s, spec); err != nil {
			return err
		}
		renamed := s.Revision > 0 && f.domain(s.Spec) != f.domain(spec)
		s.Spec = spec
		if err := tx.PutSubnet(s); err != nil {
			return err
		}
		out = *s
		if renamed {
			return f.renameAll(tx, s)
		}
		return nil
	})
	if err == nil {
		f.count(&out, now)
	}
	return out, err
}

func completeSubnet(spec *metal.SubnetSpec) {
	if spec.Fabric == "" {
		spec.Fabric = metal.DefaultFabric
	}
	if spec.DHCP.Mode == "" {
		spec.DHCP.Mode = metal.DHCPOff
	}
	if spec.DHCP.LeaseSeconds == 0 {
		spec.DHCP.LeaseSeconds = 600
	}
	spec.Domain = strings.ToLower(strings.TrimSuffix(spec.Domain, "."))
}

// checkSubnet checks a spec against what else there is.
func (f *Fleet) checkSubnet(tx *store.Tx, s *metal.Subnet, spec metal.SubnetSpec) error {
	if err := fabricExists(tx, "subnet "+s.Name, spec.Fabric); err != nil {
		return err
	}
	if spec.VLAN != 0 {
		_, err := tx.VLANByID(spec.Fabric, spec.VLAN)
		if metal.CodeOf(err) == metal.NotFound {
			return metal.Errorf(metal.Invalid, "cannot put subnet %s on VLAN %d of fabric %s: no such VLAN is declared; make it first", s.Name, spec.VLAN, spec.Fabric)
		}
		if err != nil {
			return err
		}
	}
	others := f.ledger.all()
	delete(others, s.Name)
	if err := ipam.Overlaps(spec, others); err != nil {
		return err
	}
	if s.Revision == 0 {
		return nil
	}
	if err := f.checkMove(tx, s, spec); err != nil {
		return err
	}
	if err := checkParts(tx, s, spec); err != nil {
		return err
	}
	if err := f.checkGateway(tx, s, spec); err != nil {
		return err
	}
	return f.checkUnassigned(tx, s.Name, ipam.Beyond(spec.DHCP.Ranges, s.Spec.DHCP.Ranges))
}

// checkMove refuses to take addresses away from whom they belong to.
func (f *Fleet) checkMove(tx *store.Tx, s *metal.Subnet, spec metal.SubnetSpec) error {
	var all, kept int64
	f.ledger.book(s.Name, func(b *ipam.Book) {
		first, last, _ := ipam.Usable(spec)
		all, kept = b.AllAssigned(), b.Assigned(metal.AddrRange{First: first, Last: last})
	})
	switch {
	case all == 0:
		return nil
	case s.Spec.Fabric != spec.Fabric || s.Spec.VLAN != spec.VLAN:
		return metal.Errorf(metal.Conflict, "cannot move subnet %s from VLAN %d of fabric %s to VLAN %d of %s: %s; free those first", s.Name, s.Spec.VLAN, s.Spec.Fabric, spec.VLAN, spec.Fabric, f.someOf(tx, s.Name, whole(s.Spec), all))
	case kept < all:
		return metal.Errorf(metal.Conflict, "cannot change subnet %s from %s to %s: %d of its addresses that belong to somebody would be outside (%s); free those first", s.Name, s.Spec.CIDR, spec.CIDR, all-kept, f.someOf(tx, s.Name, whole(s.Spec), all))
	}
	return nil
}

// whole is every address of a subnet.
func whole(s metal.SubnetSpec) metal.AddrRange {
	first, last, _ := ipam.Usable(s)
	return metal.AddrRange{First: first, Last: last}
}

// someOf names the first few of the addresses in a range that belong to somebody.
func (f *Fleet) someOf(tx *store.Tx, subnet string, r metal.AddrRange, count int64) string {
	const few = 3
	list, err := tx.AssignmentsBetween(subnet, r, few)
	if err != nil {
		return fmt.Sprintf("%d addresses belong to somebody", count)
	}
	var text []string
	for _, a := range list {
		text = append(text, fmt.Sprintf("%s belongs to %s", a.Addr, f.owner(tx, a)))
	}
	if more := count - int64(len(list)); more > 0 {
		text = append(text, fmt.Sprintf("%d more belong to others", more))
	}
	return strings.Join(text, ", ")
}

// checkParts refuses a network or ranges that do not go with the subnet's own ranges and routes.
func checkParts(tx *store.Tx, s *metal.Subnet, spec metal.SubnetSpec) error {
	ranges, err := tx.RangesIn(s.Name)
	if err != nil {
		return err
	}
	for _, r := range ranges {
		if err := ipam.ValidateRange(spec, r.Spec); err != nil {
			return metal.Errorf(metal.Conflict, "cannot change subnet %s: its range %s would not be right any more (%w); change that first", s.Name, r.Name, err)
		}
		if err := ipam.RangeOverlaps(spec, metal.AddrRange{First: r.Spec.First, Last: r.Spec.Last}, nil); err != nil {
			return metal.Errorf(metal.Conflict, "cannot change subnet %s: %w", s.Name, err)
		}
	}
	routes, err := tx.StaticRoutesIn(s.Name)
	if err != nil {
		return err
	}
	for _, r := range routes {
		if err := checkRoute(spec, r.Spec); err != nil {
			return metal.Errorf(metal.Conflict, "cannot change subnet %s: its route %s would not be right any more (%w); change that first", s.Name, r.Name, err)
		}
	}
	return nil
}

// checkGateway refuses a gateway that is a machine or kept for a client. A device may be one.
func (f *Fleet) checkGateway(tx *store.Tx, s *metal.Subnet, spec metal.SubnetSpec) error {
	if !spec.Gateway.IsValid() || spec.Gateway == s.Spec.Gateway {
		return nil
	}
	a, err := tx.AssignmentAt(s.Name, spec.Gateway)
	if err != nil || a == nil || a.Device != "" {
		return err
	}
	return metal.Errorf(metal.Conflict, "the gateway of subnet %s cannot be %s, which belongs to %s: free that first", s.Name, spec.Gateway, f.owner(tx, *a))
}

// checkUnassigned refuses runs of addresses for clients that nobody declared where some belong to somebody already.
func (f *Fleet) checkUnassigned(tx *store.Tx, subnet string, runs []metal.AddrRange) error {
	var count int64
	var first netip.Addr
	var within metal.AddrRange
	f.ledger.book(subnet, func(b *ipam.Book) {
		for _, r := range runs {
			n := b.Assigned(r)
			if count += n; n > 0 && !first.IsValid() {
				first, within = r.First, r
			}
		}
	})
	if count == 0 {
		return nil
	}
	return metal.Errorf(metal.Conflict, "%s to %s of subnet %s cannot become dynamic: %s; free those first, or choose another range", within.First, within.Last, subnet, f.someOf(tx, subnet, within, count))
}

// DeleteSubnet deletes a subnet that nobody has an address in.
func (f *Fleet) DeleteSubnet(ctx context.Context, in api.DeleteByNameRequest) (api.None, error) {
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		s, err := tx.Subnet(in.Name)
		if err != nil {
			return err
		}
		if err := precondition(in.Precondition, "subnet "+s.Name, s.Revision); err != nil {
			return err
		}
		var held int64
		f.ledger.book(s.Name, func(b *ipam.Book) { held = b.AllAssigned() })
		if held > 0 {
			return metal.Errorf(metal.Conflict, "cannot delete subnet %s: %s; free those first", s.Name, f.someOf(tx, s.Name, whole(s.Spec), held))
		}
		ranges, err := tx.RangesIn(s.Name)
		if err != nil {
			return err
		}
		routes, err := tx.StaticRoutesIn(s.Name)
		if err != nil {
			return err
		}
		users := append(users("range", ranges, func(r metal.IPRange) string { return r.Name }),
			users("static route", routes, func(r metal.StaticRoute) string { return r.Name })...)
		if err := unused("subnet "+s.Name, users); err != nil {
			return err
		}
		return tx.DeleteSubnet(s.Name)
	})
}

// subnetOf reads the subnet that a thing names.
func subnetOf(tx *store.Tx, what, name string) (*metal.Subnet, error) {
	s, err := tx.Subnet(name)
	if metal.CodeOf(err) == metal.NotFound {
		return nil, metal.Errorf(metal.Invalid, "%s names subnet %q, which does not exist: make it first", what, name)
	}
	return s, err
}

// sameSubnet refuses to move a thing to another subnet.
func sameSubnet(what string, revision int64, was, now string) error {
	if revision == 0 || was == now {
		return nil
	}
	return metal.Errorf(metal.Conflict, "%s is in subnet %s and does not move to %s: delete it, and make it there", what, was, now)
}
