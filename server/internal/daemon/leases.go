package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/lease"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// leases is what DHCP keeps: it shows a packet's view of what is stored, and stores the answer before it is sent.
type leases struct {
	table   *lease.Table
	keeper  *keeper
	fleet   *fleet.Fleet
	bootURL string
	secure  bool // UEFI is served by shim and GRUB
	zone    string
}

// newLeases takes over what is stored. Nothing is answered that must be stored until the keeper runs.
func newLeases(ctx context.Context, db *store.DB, f *fleet.Fleet, bootURL, zone string, now func() time.Time, log *slog.Logger) (*leases, error) {
	table := lease.New()
	if err := db.Observe(ctx, feed{table}); err != nil {
		return nil, err
	}
	return &leases{table: table, keeper: newKeeper(db, table, now, log), fleet: f, bootURL: bootURL, zone: zone}, nil
}

// Exchange is dhcp.Store's.
func (l *leases) Exchange(q dhcp.Query, decide func(dhcp.View, time.Time) dhcp.Answer, done func(dhcp.Answer, error)) {
	l.keeper.do(&exchange4{leases: l, query: q, respond: decide, done: done})
}

// exchange4 is a DHCPv4 packet on its way to its answer.
type exchange4 struct {
	*leases
	query   dhcp.Query
	respond func(dhcp.View, time.Time) dhcp.Answer
	done    func(dhcp.Answer, error)
	answer  dhcp.Answer
}

func (x *exchange4) client() string { return x.query.Client }

func (x *exchange4) finish(err error) { x.done(x.answer, err) }

// attempts is how often an answer is decided where others are quicker to take the address that it gives. Each time
// another one gets it.
const attempts = 64

func (x *exchange4) decide(tx *store.Tx, now time.Time) (promise, error) {
	ask := lease.Ask{
		Via: x.query.Via, Here: x.query.Ours, Client: x.query.Client, MAC: x.query.MAC, Wanted: x.query.Wanted, Avoid: []netip.Addr{x.query.Ours, x.query.Relay},
	}
	for range attempts {
		k := x.table.Look(ask, now)
		if k.Unplaced != "" {
			if tx == nil {
				return promise{place: true, epoch: k.Epoch}, nil
			}
			var err error
			if k.Assigned, err = x.place(tx, &k); err != nil {
				return promise{}, err
			}
		}
		x.answer = x.respond(x.view(&k), now)
		if p, ok := x.promise(&k, now); ok {
			p.epoch = k.Epoch
			return p, nil
		}
	}
	return promise{}, metal.Errorf(metal.Conflict, "lease an address to %s: others took each of %d addresses first", x.query.MAC, attempts)
}

// place gives a machine an address on the subnet that it asks from. On a full one it may still get a lease.
func (l *leases) place(tx *store.Tx, k *lease.Known) (netip.Addr, error) {
	m, err := tx.Machine(k.Unplaced)
	if err != nil {
		return netip.Addr{}, err
	}
	given, err := l.fleet.Place(tx, m, k.Subnet, m.Spec.MACs[0])
	if metal.CodeOf(err) == metal.Exhausted {
		return netip.Addr{}, nil
	}
	return given.Addr, err
}

func (x *exchange4) view(k *lease.Known) dhcp.View {
	v := dhcp.View{
		Subnet: k.Subnet, Server: x.query.Ours, Assigned: k.Assigned, Hostname: k.Hostname, MTU: k.MTU, Routes: k.Routes,
		Options: k.Options, Lease: k.Lease, LeaseFree: k.LeaseFree, Free: k.Free, BootURL: x.bootURL, SecureBoot: x.secure,
	}
	if k.Subnet != nil {
		v.Search = k.Subnet.Spec.Search
		if v.Domain = k.Subnet.Spec.Domain; v.Domain == "" {
			v.Domain = x.zone
		}
	}
	return v
}

// promise keeps in memory what the answer promises. It says false where somebody else has it meanwhile.
func (x *exchange4) promise(k *lease.Known, now time.Time) (p promise, ok bool) {
	client := x.query.Client
	if drop := x.answer.Drop; drop.IsValid() && !x.table.GiveUp(client, k.Subnet.Name, drop, now) {
		p.drop = append(p.drop, netAddr{k.Subnet.Name, drop})
	}
	if x.answer.Lease == nil {
		return p, true
	}
	return x.keeper.promiseLease(p, client, x.answer.Lease, now)
}
