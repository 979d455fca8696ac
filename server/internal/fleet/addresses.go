package fleet

import (
	"context"
	"net/netip"
	"slices"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// ListAddresses says what the addresses of a subnet are for, in their order: one line for each that somebody has, and
// one for each run of the others.
func (f *Fleet) ListAddresses(ctx context.Context, in api.ListAddressesRequest) (l api.List[metal.AddressUse], err error) {
	limit := limitOf(in.Page) - 1
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		s, err := tx.Subnet(in.Name)
		if err != nil {
			return err
		}
		from, err := behind(s.Spec, in.After)
		if err != nil {
			return err
		}
		if in.Free {
			f.ledger.book(s.Name, func(b *ipam.Book) {
				for _, r := range b.FreeRuns(from, limit+1, tx.Now) {
					l.Items = append(l.Items, metal.AddressUse{AddrRange: r, Use: "free"})
				}
			})
		} else if l.Items, err = f.chart(tx, s, from, limit+1); err != nil {
			return err
		}
		l = page(l.Items, limit, func(u metal.AddressUse) string { return u.Last.String() })
		return nil
	})
	return l, err
}

// behind returns the first address to list; an invalid one behind the last.
func behind(s metal.SubnetSpec, after string) (netip.Addr, error) {
	all := whole(s)
	if after == "" {
		return all.First, nil
	}
	a, err := netip.ParseAddr(after)
	if err != nil || !s.CIDR.Contains(a) {
		return a, metal.Errorf(metal.Invalid, "after=%s is not an address of %s", after, s.CIDR)
	}
	next := a.Next()
	if !next.IsValid() || all.Last.Less(next) {
		return netip.Addr{}, nil
	}
	if next.Less(all.First) {
		return all.First, nil
	}
	return next, nil
}

// chart describes the addresses of a subnet from one on, in at most limit lines.
func (f *Fleet) chart(tx *store.Tx, s *metal.Subnet, from netip.Addr, limit int) ([]metal.AddressUse, error) {
	if !from.IsValid() {
		return nil, nil
	}
	last := whole(s.Spec).Last
	points, err := f.points(tx, s, metal.AddrRange{First: from, Last: last}, limit)
	if err != nil {
		return nil, err
	}
	regions, err := regionsOf(tx, s)
	if err != nil {
		return nil, err
	}
	var lines []metal.AddressUse
	for len(lines) < limit && from.IsValid() && !last.Less(from) {
		line := metal.AddressUse{AddrRange: metal.AddrRange{First: from, Last: last}, Use: "free"}
		for _, r := range regions {
			switch {
			case r.Contains(from):
				line.Use, line.Who, line.Last = r.Use, r.Who, r.Last
			case from.Less(r.First) && !line.Last.Less(r.First):
				line.Last = r.First.Prev()
			}
		}
		if len(points) > 0 && points[0].First == from {
			line, points = points[0], points[1:]
		} else if len(points) > 0 && !line.Last.Less(points[0].First) {
			line.Last = points[0].First.Prev()
		}
		lines = append(lines, line)
		from = line.Last.Next()
	}
	return lines, nil
}

// regionsOf returns the ranges of a subnet.
func regionsOf(tx *store.Tx, s *metal.Subnet) ([]metal.AddressUse, error) {
	list, err := tx.RangesIn(s.Name)
	var regions []metal.AddressUse
	for _, r := range list {
		regions = append(regions, metal.AddressUse{AddrRange: metal.AddrRange{First: r.Spec.First, Last: r.Spec.Last}, Use: string(r.Spec.Kind), Who: "range " + r.Name})
	}
	for _, r := range s.Spec.DHCP.Ranges {
		regions = append(regions, metal.AddressUse{AddrRange: r, Use: string(metal.RangeDynamic), Who: "subnet " + s.Name})
	}
	return regions, err
}

// points returns the single addresses that are in use between two, at most limit of them, in their order. Whose an
// address is comes before what was seen of it.
func (f *Fleet) points(tx *store.Tx, s *metal.Subnet, r metal.AddrRange, limit int) ([]metal.AddressUse, error) {
	var points []metal.AddressUse
	add := func(a netip.Addr, use, who string, mac metal.MAC) {
		if r.Contains(a) {
			points = append(points, metal.AddressUse{AddrRange: metal.AddrRange{First: a, Last: a}, Use: use, Who: who, MAC: mac})
		}
	}
	add(s.Spec.Gateway, "gateway", "", "")
	for _, a := range f.cfg.Own {
		add(a, "server", "metald", "")
	}
	for _, a := range s.Spec.DNS {
		add(a, "server", "name server", "")
	}
	for _, a := range s.Spec.NTP {
		add(a, "server", "time server", "")
	}
	assigned, err := tx.AssignmentsBetween(s.Name, r, limit)
	if err != nil {
		return nil, err
	}
	for _, a := range assigned {
		add(a.Addr, "assigned", f.owner(tx, a), a.MAC)
	}
	leases, err := tx.LeasesBetween(s.Name, r, limit)
	if err != nil {
		return nil, err
	}
	for _, l := range leases {
		who := lessee(l)
		if l.State == metal.LeaseDeclined {
			who = "in quarantine: a client found it in use"
		}
		add(l.Addr, "leased", who, l.MAC)
	}
	seen, err := tx.SightingsBetween(s.Name, r, tx.Now.Add(-sightingLife), limit)
	if err != nil {
		return nil, err
	}
	for _, x := range seen {
		add(x.Addr, "seen", "seen in use at "+x.SeenAt.Format(timeFormat), x.MAC)
	}
	slices.SortStableFunc(points, func(a, b metal.AddressUse) int { return a.First.Compare(b.First) })
	points = slices.CompactFunc(points, func(a, b metal.AddressUse) bool { return a.First == b.First })
	return points[:min(limit, len(points))], nil
}
