package lease

import (
	"net/netip"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// SetMachine takes over a machine that is new or has changed. Most changes are none to a lease.
func (t *Table) SetMachine(m *metal.Machine) {
	if t.sameMachine(m) {
		return
	}
	t.change(func() {
		t.forgetMachine(m.ID)
		t.machines[m.ID] = m
		for _, mac := range m.Spec.MACs {
			t.machineOf[mac] = m
		}
	})
}

// sameMachine says whether a machine is known with these NICs and this name.
func (t *Table) sameMachine(m *metal.Machine) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	was := t.machines[m.ID]
	return was != nil && was.Spec.Name == m.Spec.Name && slices.Equal(was.Spec.MACs, m.Spec.MACs)
}

// DropMachine forgets a machine. Its addresses are told of one by one.
func (t *Table) DropMachine(id string) { t.change(func() { t.forgetMachine(id) }) }

func (t *Table) forgetMachine(id string) {
	if was := t.machines[id]; was != nil {
		for _, mac := range was.Spec.MACs {
			if t.machineOf[mac] == was { // another machine may have taken it over in the same transaction
				delete(t.machineOf, mac)
			}
		}
		delete(t.machines, id)
	}
}

// SetDevice takes over a device that is new or has changed.
func (t *Table) SetDevice(d *metal.Device) {
	t.change(func() {
		t.forgetDevice(d.Name)
		t.devices[d.Name] = d
		for _, i := range d.Spec.Interfaces {
			if i.MAC != "" {
				t.deviceOf[i.MAC] = d
			}
		}
	})
}

// DropDevice forgets a device. Its addresses are told of one by one.
func (t *Table) DropDevice(name string) { t.change(func() { t.forgetDevice(name) }) }

func (t *Table) forgetDevice(name string) {
	if was := t.devices[name]; was != nil {
		for _, i := range was.Spec.Interfaces {
			if t.deviceOf[i.MAC] == was {
				delete(t.deviceOf, i.MAC)
			}
		}
		delete(t.devices, name)
	}
}

// SetReservation takes over what a reservation says beside whose its address is, which is told of as an assignment.
func (t *Table) SetReservation(r *metal.Reservation) {
	t.change(func() {
		t.forgetReservation(r.Name)
		t.reservations[r.Name] = r
		t.network(r.Spec.Subnet).reserved[r.Addr] = r
	})
}

// DropReservation forgets a reservation. Its address is told of for itself.
func (t *Table) DropReservation(name string) { t.change(func() { t.forgetReservation(name) }) }

func (t *Table) forgetReservation(name string) {
	was := t.reservations[name]
	if was == nil {
		return
	}
	delete(t.reservations, name)
	if n := t.networks[was.Spec.Subnet]; n != nil && n.reserved[was.Addr] == was {
		delete(n.reserved, was.Addr)
	}
}

// SetAssignment takes over whose an address is. What was offered of it is taken back; a client that holds it is
// refused at its renewal.
func (t *Table) SetAssignment(a metal.Assignment) {
	t.change(func() { t.network(a.Subnet).setAssignment(a, t.clock.now) })
}

// DropAssignment takes over that an address is nobody's.
func (t *Table) DropAssignment(subnet string, addr netip.Addr) {
	t.change(func() {
		if n := t.networks[subnet]; n != nil {
			n.dropAssignment(addr, t.clock.now)
		}
	})
}

// SetLease takes over a stored lease, in place of what its client had and of what was on its address. client is whom
// it is stored under.
func (t *Table) SetLease(client string, l *metal.Lease) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.networks[l.Subnet]; n != nil {
		n.setLease(client, l, t.clock.now)
	}
}

// DropLease takes over that the lease on an address, or on the prefix that begins with it, is stored no more.
func (t *Table) DropLease(subnet string, addr netip.Addr) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if n := t.networks[subnet]; n != nil {
		n.dropLease(addr, t.clock.now)
	}
}

// Ended returns the leases that ended since the last call and that their clients did not give up; after more than
// 65,536 of a subnet the rest is left out.
func (t *Table) Ended(now time.Time) []metal.Lease {
	t.mu.Lock()
	defer t.mu.Unlock()
	now = t.clock.at(now)
	var all []metal.Lease
	for _, n := range t.networks {
		for _, s := range []*space{n.addresses, n.prefixes} {
			if s == nil {
				continue
			}
			s.expire(now)
			all = append(all, s.ended...)
			s.ended = nil
		}
	}
	return all
}
