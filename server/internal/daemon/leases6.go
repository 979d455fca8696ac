package daemon

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp6"
	"github.com/metalform/terraform-provider-metal/server/internal/lease"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// leases6 is what DHCPv6 keeps, in the same table and by the same keeper as DHCPv4.
type leases6 struct {
	*leases
	bootURL string // of the boot server, by its IPv6 address
}

// Exchange is dhcp6.Store's.
func (l *leases6) Exchange(q dhcp6.Query, decide func(dhcp6.View, time.Time) dhcp6.Answer, done func(dhcp6.Answer, error)) {
	l.keeper.do(&exchange6{leases6: l, query: q, respond: decide, done: done})
}

// exchange6 is a DHCPv6 packet on its way to its answer.
type exchange6 struct {
	*leases6
	query   dhcp6.Query
	respond func(dhcp6.View, time.Time) dhcp6.Answer
	done    func(dhcp6.Answer, error)
	answer  dhcp6.Answer
}

func (x *exchange6) client() string { return x.query.Client }

func (x *exchange6) finish(err error) { x.done(x.answer, err) }

// holder6 is what a lease of a client's identity association is stored under. Addresses and prefixes have numbers of
// their own (RFC 8415, 12).
func holder6(duid string, kind dhcp6.Kind, iaid uint32) string {
	if kind == dhcp6.Prefix {
		return fmt.Sprintf("%s/pd/%08x", duid, iaid)
	}
	return fmt.Sprintf("%s/na/%08x", duid, iaid)
}

func (x *exchange6) holder(l *metal.Lease) string {
	kind := dhcp6.Address
	if l.Bits > 0 {
		kind = dhcp6.Prefix
	}
	return holder6(x.query.Client, kind, l.IAID)
}

func (x *exchange6) decide(tx *store.Tx, now time.Time) (promise, error) {
	for range attempts {
		first, own := x.known(now)
		if own >= 0 && first.Unplaced != "" {
			if tx == nil {
				return promise{place: true, epoch: first.Epoch}, nil
			}
			var err error
			if first.Assigned, err = x.place(tx, &first); err != nil {
				return promise{}, err
			}
		}
		x.answer = x.respond(x.view(&first, own, now), now)
		if p, ok := x.promise(now); ok {
			p.epoch = first.Epoch
			return p, nil
		}
	}
	return promise{}, metal.Errorf(metal.Conflict, "lease what DHCPv6 client %s asks for: others took each of %d answers first", x.query.Client, attempts)
}

// known looks up the client with the first of its identity associations that wants addresses, and returns which that
// is; -1 for none.
func (x *exchange6) known(now time.Time) (k lease.Known, own int) {
	ask := lease.Ask{Via: x.query.Link, Here: x.query.Ours, MAC: x.query.MAC, DUID: x.query.Client, Avoid: []netip.Addr{x.query.Ours, x.query.Relay}}
	own = -1
	for i, ia := range x.query.IAs {
		if ia.Kind == dhcp6.Address {
			own, ask.Client, ask.Wanted = i, holder6(x.query.Client, ia.Kind, ia.IAID), wanted(ia)
			break
		}
	}
	return x.table.Look(ask, now), own
}

// wanted is the address that an identity association would like; zero for none.
func wanted(ia dhcp6.IA) netip.Addr {
	for _, w := range ia.Wanted {
		if !w.Addr().IsUnspecified() {
			return w.Addr()
		}
	}
	return netip.Addr{}
}

// view gathers what is known of a packet. first is what known returned.
func (x *exchange6) view(first *lease.Known, own int, now time.Time) dhcp6.View {
	v := dhcp6.View{
		Subnet: first.Subnet, Server: x.query.Ours, Hostname: first.Hostname, Options: first.Options, BootURL: x.bootURL, SecureBoot: x.secure,
	}
	if v.Subnet == nil {
		return v
	}
	v.OnLink = x.table.Networks(x.query.Link, x.query.Ours)
	if first.Assigned.IsValid() {
		v.Assigned = []netip.Addr{first.Assigned}
	}
	if v.Domain = v.Subnet.Spec.Domain; v.Domain == "" {
		v.Domain = x.zone
	}
	if v.Search = v.Subnet.Spec.Search; len(v.Search) == 0 && v.Domain != "" {
		v.Search = []string{v.Domain}
	}
	avoid := []netip.Addr{x.query.Ours, x.query.Relay}
	for i, ia := range x.query.IAs {
		k := *first
		if i != own || first.Assigned.IsValid() {
			// Without what the client's own address is found by: that goes to one of its associations only.
			k = x.table.Look(lease.Ask{
				Kind: kind6(ia.Kind), Via: x.query.Link, Here: x.query.Ours, Client: holder6(x.query.Client, ia.Kind, ia.IAID), Wanted: wanted(ia), Avoid: avoid,
			}, now)
		}
		h := hold(&k, ia.Kind)
		avoid = append(avoid, h.Free.Addr())
		v.Holds = append(v.Holds, h)
	}
	return v
}

func kind6(k dhcp6.Kind) lease.Kind {
	if k == dhcp6.Prefix {
		return lease.Prefix
	}
	return lease.Address
}

func hold(k *lease.Known, kind dhcp6.Kind) dhcp6.Hold {
	h := dhcp6.Hold{Lease: k.Lease, LeaseFree: k.LeaseFree}
	switch {
	case k.Subnet == nil || !k.Free.IsValid():
	case kind == dhcp6.Address:
		h.Free, h.FreeIn = netip.PrefixFrom(k.Free, k.Free.BitLen()), k.Subnet.Name
	case k.Subnet.Spec.DHCP.Delegation != nil:
		h.Free, h.FreeIn = netip.PrefixFrom(k.Free, k.Subnet.Spec.DHCP.Delegation.Length), k.Subnet.Name
	}
	return h
}

// promise keeps in memory what the answer promises. It says false where somebody else has a part of it meanwhile.
func (x *exchange6) promise(now time.Time) (p promise, ok bool) {
	for i := range x.answer.Drop {
		l := &x.answer.Drop[i]
		if !x.table.GiveUp(x.holder(l), l.Subnet, l.Addr, now) {
			p.drop = append(p.drop, netAddr{l.Subnet, l.Addr})
		}
	}
	for i := range x.answer.Leases {
		l := &x.answer.Leases[i]
		if p, ok = x.keeper.promiseLease(p, x.holder(l), l, now); !ok {
			return p, false
		}
	}
	return p, true
}
