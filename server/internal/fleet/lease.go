package fleet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// Leases reads the lease files of other DHCP servers.
type Leases interface {
	// Import returns the leases of a file, without their subnets, and those that it cannot read, each with the reason.
	Import(format, text string) (leases []metal.Lease, refused []string, err error)
}

// leaseKey is what a lease of a client is kept under: its id, and for DHCPv6 its identity association, of which it may
// have several, for addresses and for prefixes.
func leaseKey(id string, l *metal.Lease) string {
	if l.Addr.Is4() {
		return id
	}
	kind := "na"
	if l.Bits > 0 {
		kind = "pd"
	}
	return fmt.Sprintf("%s/%s/%08x", id, kind, l.IAID)
}

// ListLeases lists the leases of clients that nobody declared.
func (f *Fleet) ListLeases(ctx context.Context, in api.ListLeasesRequest) (l api.List[metal.Lease], err error) {
	limit := limitOf(in.Page) - 1
	err = f.cfg.DB.Read(ctx, func(tx *store.Tx) error {
		subnet, addr := "", netip.Addr{}
		if in.After != "" {
			name, text, _ := strings.Cut(in.After, "/")
			if addr, err = netip.ParseAddr(text); err != nil {
				return metal.Errorf(metal.Invalid, "after=%s is not the place of a lease: give next of the page before", in.After)
			}
			subnet = name
		}
		list, err := tx.LeasesAfter(in.Subnet, subnet, addr, limit+1)
		l = page(list, limit, func(x metal.Lease) string { return x.Subnet + "/" + x.Addr.String() })
		return err
	})
	return l, err
}

// DeleteLease takes a lease from its client.
func (f *Fleet) DeleteLease(ctx context.Context, in api.DeleteLeaseRequest) (api.None, error) {
	addr, err := netip.ParseAddr(in.Address)
	if err != nil {
		return api.None{}, metal.Errorf(metal.Invalid, "%q is not an address", in.Address)
	}
	return api.None{}, f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		if _, err := tx.Subnet(in.Name); err != nil {
			return err
		}
		l, err := tx.LeaseAt(in.Name, addr)
		if err != nil {
			return err
		}
		if l == nil {
			return metal.Errorf(metal.NotFound, "nobody leases %s of subnet %s", addr, in.Name)
		}
		if err := tx.AddEvent("lease", in.Name, fmt.Sprintf("the lease of %s to %s was taken away by %s", addr, lessee(*l), f.cfg.Caller(ctx))); err != nil {
			return err
		}
		return tx.DeleteLease(in.Name, addr)
	})
}

// mostRefused bounds how many refused leases an import tells of.
const mostRefused = 100

// errDryRun ends the transaction of an import that was only to be tried.
var errDryRun = errors.New("a dry run")

// ImportLeases takes over the leases of another DHCP server, all in one transaction.
func (f *Fleet) ImportLeases(ctx context.Context, in api.ImportLeasesRequest) (out api.ImportedLeases, err error) {
	leases, refused, err := f.cfg.Leases.Import(in.Body.Format, in.Body.Text)
	if err != nil {
		return out, err
	}
	refuse := func(text string) {
		if len(refused) < mostRefused {
			refused = append(refused, text)
		}
	}
	refused = refused[:min(len(refused), mostRefused)]
	err = f.cfg.DB.Update(ctx, func(tx *store.Tx) error {
		for _, l := range leases {
			if !l.ExpiresAt.After(tx.Now) {
				out.Expired++
				continue
			}
			why, err := f.importLease(tx, l)
			switch {
			case err != nil:
				return err
			case why != "":
				refuse(l.Addr.String() + ": " + why)
			default:
				out.Taken++
			}
		}
		if in.Body.DryRun {
			return errDryRun
		}
		if out.Taken == 0 {
			return nil
		}
		return tx.AddEvent("lease", "import", fmt.Sprintf("%s took over %d leases of another DHCP server", f.cfg.Caller(ctx), out.Taken))
	})
	if errors.Is(err, errDryRun) {
		err = nil
	}
	out.Refused = refused
	return out, err
}

// importLease stores one lease, or says why not.
func (f *Fleet) importLease(tx *store.Tx, l metal.Lease) (why string, err error) {
	l.Subnet, why = f.ledger.leasable(l)
	if why != "" {
		return why, nil
	}
	a, err := tx.AssignmentAt(l.Subnet, l.Addr)
	if err != nil {
		return "", err
	}
	if a != nil {
		return "it belongs to " + f.owner(tx, *a), nil
	}
	held, err := tx.LeaseAt(l.Subnet, l.Addr)
	if err != nil {
		return "", err
	}
	if held != nil && held.ExpiresAt.After(tx.Now) && clientOf(held) != clientOf(&l) {
		return "it is leased to " + lessee(*held), nil
	}
	if l.State == "" {
		l.State = metal.LeaseActive
	}
	return "", tx.PutLease(clientOf(&l), l)
}

// leasable returns the subnet that a lease of another server would be in, or why there is none.
func (l *ledger) leasable(x metal.Lease) (subnet, why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	why = "it is in no subnet"
	for name, s := range l.subnets {
		pool := s.DHCP.Delegation
		switch {
		case x.Bits > 0 && pool != nil && pool.CIDR.Contains(x.Addr) && pool.Length == x.Bits:
			return name, ""
		case !s.CIDR.Contains(x.Addr):
		case !s.DHCP.Serves():
			why = "metald serves no DHCP in subnet " + name
		case !l.books[name].Dynamic(x.Addr):
			why = "it is in no dynamic range of subnet " + name
		default:
			return name, ""
		}
	}
	return "", why
}
