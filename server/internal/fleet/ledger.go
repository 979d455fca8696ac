package fleet

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/ipam"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// sightingLife is how long an address that was seen in use is not given to anybody.
const sightingLife = 7 * 24 * time.Hour

// A ledger is what allocation asks instead of listing subnets: it observes the database, so that in a write
// transaction it is exactly what was committed before. What the same transaction changed it does not know.
type ledger struct {
	mu           sync.Mutex
	own          []netip.Addr
	subnets      map[string]metal.SubnetSpec
	books        map[string]*ipam.Book
	reservations map[string]metal.ReservationSpec
	clients      map[client]string   // names of reservations
	hosts        map[string][]holder // who has a host name, in whatever domain
	names        map[holder]string   // and the other way round
	zones        map[string]bool
}

// A client is a MAC address or a DUID on a subnet.
type client struct{ subnet, id string }

// A holder is who has a host name.
type holder struct {
	kind holderKind
	id   string     // of the machine; name of the device, reservation, or the lease's subnet
	addr netip.Addr // of a lease
}

type holderKind string

const (
	aMachine     holderKind = "machine"
	aDevice      holderKind = "device"
	aReservation holderKind = "reservation"
	aLease       holderKind = "lease"
)

func newLedger(own []netip.Addr) *ledger {
	return &ledger{
		own: own, subnets: map[string]metal.SubnetSpec{}, books: map[string]*ipam.Book{},
		reservations: map[string]metal.ReservationSpec{}, clients: map[client]string{},
		hosts: map[string][]holder{}, names: map[holder]string{}, zones: map[string]bool{},
	}
}

// Load takes over all that is committed.
func (l *ledger) Load(tx *store.Tx) error {
	const all = 1 << 30
	return errFirst(
		loadAll(l, func() ([]metal.Subnet, error) { return tx.Subnets("", all, nil) }, func(s *metal.Subnet) store.Change { return store.Change{Subnet: s} }),
		loadAll(l, func() ([]metal.IPRange, error) { return tx.Ranges("", all, nil) }, func(r *metal.IPRange) store.Change { return store.Change{Range: r} }),
		loadAll(l, tx.AllAssignments, func(a *metal.Assignment) store.Change { return store.Change{Assignment: a} }),
		loadAll(l, func() ([]metal.Reservation, error) { return tx.Reservations("", all, nil) }, func(r *metal.Reservation) store.Change { return store.Change{Reservation: r} }),
		func() error {
			return tx.HeldLeases(func(h store.HeldLease) { l.apply(store.Change{Lease: &h.Lease, Client: h.Client}) })
		},
		loadAll(l, func() ([]metal.Sighting, error) { return tx.Sightings("", tx.Now.Add(-sightingLife)) }, func(s *metal.Sighting) store.Change { return store.Change{Sighting: s} }),
		loadAll(l, func() ([]metal.Machine, error) { return tx.Machines(store.MachineFilter{}) }, func(m *metal.Machine) store.Change { return store.Change{Machine: m} }),
		loadAll(l, func() ([]metal.Device, error) { return tx.Devices("", all, nil) }, func(d *metal.Device) store.Change { return store.Change{Device: d} }),
		loadAll(l, func() ([]metal.Zone, error) { return tx.DeclaredZones("", all, nil) }, func(z *metal.Zone) store.Change { return store.Change{Zone: z} }),
	)
}

// loadAll applies a list as if each of its items had just been written. The next list is read when this one is done
// with.
func loadAll[T any](l *ledger, read func() ([]T, error), change func(*T) store.Change) func() error {
	return func() error {
		list, err := read()
		for i := range list {
			l.apply(change(&list[i]))
		}
		return err
	}
}

func errFirst(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// Apply takes over what a transaction committed.
func (l *ledger) Apply(changes []store.Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range changes {
		l.apply(c)
	}
}

func (l *ledger) apply(c store.Change) {
	switch {
	case c.Subnet != nil:
		l.applySubnet(c.Subnet, c.Gone)
	case c.Range != nil:
		if b := l.books[c.Range.Spec.Subnet]; b != nil && c.Gone {
			b.DropRange(c.Range.Name)
		} else if b != nil {
			b.SetRange(c.Range.Name, c.Range.Spec)
		}
	case c.Assignment != nil:
		if b := l.books[c.Assignment.Subnet]; b != nil && c.Gone {
			b.Unassign(c.Assignment.Addr)
		} else if b != nil {
			b.Assign(c.Assignment.Addr)
		}
	case c.Lease != nil:
		l.applyLease(c.Lease, c.Client, c.Gone)
	case c.Sighting != nil:
		if b := l.books[c.Sighting.Subnet]; b != nil {
			b.See(c.Sighting.Addr, c.Sighting.SeenAt.Add(sightingLife))
		}
	case c.Reservation != nil:
		l.applyReservation(c.Reservation, c.Gone)
	case c.Machine != nil:
		l.name(holder{kind: aMachine, id: c.Machine.ID}, unless(c.Gone, c.Machine.Spec.Name))
	case c.Device != nil:
		l.name(holder{kind: aDevice, id: c.Device.Name}, unless(c.Gone, c.Device.Name))
	case c.Zone != nil && c.Gone:
		delete(l.zones, c.Zone.Name)
	case c.Zone != nil:
		l.zones[c.Zone.Name] = true
	}
}

func unless(gone bool, name string) string {
	if gone {
		return ""
	}
	return name
}

func (l *ledger) applySubnet(s *metal.Subnet, gone bool) {
	if gone {
		delete(l.subnets, s.Name)
		delete(l.books, s.Name)
		maps.DeleteFunc(l.names, func(h holder, host string) bool { // its leases go with it untold
			mine := h.kind == aLease && h.id == s.Name
			if mine {
				l.unlist(host, h)
			}
			return mine
		})
		return
	}
	l.subnets[s.Name] = s.Spec
	if b := l.books[s.Name]; b != nil {
		b.SetSubnet(s.Spec)
		return
	}
	l.books[s.Name] = ipam.NewBook(s.Spec, l.own)
}

func (l *ledger) applyLease(x *metal.Lease, client string, gone bool) {
	b := l.books[x.Subnet]
	if b == nil {
		return
	}
	l.name(holder{kind: aLease, id: x.Subnet, addr: x.Addr}, unless(gone, x.Hostname))
	if gone {
		b.EndLease(x.Addr)
		return
	}
	b.Lease(client, x.Addr, x.ExpiresAt)
}

func (l *ledger) applyReservation(r *metal.Reservation, gone bool) {
	if old, ok := l.reservations[r.Name]; ok {
		for _, id := range clientsOf(old) {
			delete(l.clients, id)
		}
		delete(l.reservations, r.Name)
	}
	l.name(holder{kind: aReservation, id: r.Name}, unless(gone, r.Spec.Hostname))
	if gone {
		return
	}
	l.reservations[r.Name] = r.Spec
	for _, id := range clientsOf(r.Spec) {
		l.clients[id] = r.Name
	}
}

func clientsOf(s metal.ReservationSpec) (list []client) {
	for _, id := range []string{string(s.MAC), s.DUID} {
		if id != "" {
			list = append(list, client{s.Subnet, id})
		}
	}
	return list
}

// name says which host name a holder has; empty for none.
func (l *ledger) name(h holder, host string) {
	host = strings.ToLower(host)
	if had, ok := l.names[h]; ok {
		if had == host {
			return
		}
		l.unlist(had, h)
		delete(l.names, h)
	}
	if host != "" {
		l.names[h] = host
		l.hosts[host] = append(l.hosts[host], h)
	}
}

func (l *ledger) unlist(host string, h holder) {
	rest := slices.DeleteFunc(l.hosts[host], func(o holder) bool { return o == h })
	if len(rest) == 0 {
		delete(l.hosts, host)
		return
	}
	l.hosts[host] = rest
}

// holders returns who has a host name, in whatever domain.
func (l *ledger) holders(host string) []holder {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.hosts[host])
}

// reservation returns the name of the reservation for a client on a subnet; empty for none.
func (l *ledger) reservation(subnet, id string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clients[client{subnet, id}]
}

// all returns the subnets, by name.
func (l *ledger) all() map[string]metal.SubnetSpec {
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Clone(l.subnets)
}

// serving returns the subnet that machines have their first address on: the first by name that serves DHCP, an IPv4
// one where there is any, which is what firmware boots from; empty for none.
func (l *ledger) serving() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	best := ""
	for name, s := range l.subnets {
		if !s.DHCP.Serves() {
			continue
		}
		if best == "" || cmp.Or(s.CIDR.Addr().BitLen()-l.subnets[best].CIDR.Addr().BitLen(), strings.Compare(name, best)) < 0 {
			best = name
		}
	}
	return best
}

// zoneOf returns the declared zone that a name is in, the closest one, and the name's part within it, which is "@" for
// the zone itself; empty for none.
func (l *ledger) zoneOf(fqdn string) (zone, name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for rest := fqdn; rest != ""; {
		if l.zones[rest] {
			if rest == fqdn {
				return rest, apex
			}
			return rest, strings.TrimSuffix(fqdn, "."+rest)
		}
		_, rest, _ = strings.Cut(rest, ".")
	}
	return "", ""
}

// book asks the book of a subnet; where there is none, as for a subnet that this transaction made, it asks nothing.
func (l *ledger) book(subnet string, ask func(*ipam.Book)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if b := l.books[subnet]; b != nil {
		ask(b)
	}
}
