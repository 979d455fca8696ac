package lease

import (
	"net/netip"
	"slices"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// Kind is what a client asks for.
type Kind uint8

const (
	// Address is an IPv4 or IPv6 address, as the client's network has.
	Address Kind = iota
	// Prefix is an IPv6 prefix for a router among the clients (RFC 8415, 6.3).
	Prefix
)

// Ask says who asks for what, and from which network.
type Ask struct {
	Kind Kind
	// Via is an address on the client's network, of the family that it asks for.
	Via netip.Addr
	// Here is our own address on the interface that the packet came by; zero for none. Where fabrics share addresses,
	// Via is one of the fabric that Here is in: a relay agent speaks to us over its own.
	Here netip.Addr
	// Client is what leases of the client are stored under. A DHCPv6 client has one for each of its identity
	// associations.
	Client string
	// MAC and DUID, in hex, are what addresses belong to; either may be empty.
	MAC  metal.MAC
	DUID string
	// Wanted is the address that it would like; zero for none.
	Wanted netip.Addr
	// Avoid are addresses that the client may not get: our own there, the relay agent's, and what it is given in the
	// same answer already.
	Avoid []netip.Addr
}

// Known is what there is to know of an Ask at one moment. Nothing it points to ever changes.
type Known struct {
	// Subnet is the one that the client is on; nil: none of ours. Nothing else is set then.
	Subnet *metal.Subnet
	// MTU is that of its VLAN; 0 where the VLAN is not declared.
	MTU int
	// Routes are its static routes by name.
	Routes []metal.StaticRoute
	// Options are those of the subnet, the range and the reservation, the latter winning.
	Options metal.DHCPOptions
	// Hostname is the declared name of the machine, device or reservation; empty for none.
	Hostname string
	// Assigned is the address that belongs to the client there; zero for none. The rest is zero then.
	Assigned netip.Addr
	// Unplaced is the id of the machine that boots from this NIC, where it has no address on the subnet yet.
	Unplaced string
	// Lease is what the client holds or held last there: what is offered to it before what is stored. LeaseFree says
	// that the address of Lease is nobody else's and in a dynamic range.
	Lease     *metal.Lease
	LeaseFree bool
	// Free is an address that the client could get, or begins such a prefix of the subnet's length; zero for none, and
	// where it holds one.
	Free netip.Addr
	// Epoch changes with everything that is told to the table but leases.
	Epoch uint64
}

// Look returns what is known of an ask. now comes from Now.
func (t *Table) Look(ask Ask, now time.Time) Known {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := Known{Epoch: t.epoch}
	via := t.contains(ask.Via, ask.Here)
	if via == nil {
		return k
	}
	m := t.machineOf[ask.MAC]
	var list [1]*network
	near := append(list[:0], via)
	if via.serves(ask.Kind) {
		near = t.beside(near, ask)
	}
	n, addr := via, netip.Addr{}
	if ask.Kind == Address {
		for _, other := range near {
			if addr = other.own(ask, m); addr.IsValid() {
				n = other
				break
			}
		}
	}
	switch {
	case addr.IsValid():
		k.Assigned = addr
	case via.serves(ask.Kind):
		if ask.Kind == Address && m != nil && m.Spec.MACs[0] == ask.MAC && !slices.ContainsFunc(near, func(n *network) bool { return n.byMachine[m.ID].IsValid() }) {
			k.Unplaced = m.ID
		}
		n = dynamic(&k, near, ask, now)
		if addr = k.Free; k.LeaseFree {
			addr = k.Lease.Addr
		}
	}
	t.describe(&k, n, addr, ask)
	return k
}

// contains returns the subnet that an address lies in. Where fabrics share addresses it is that of the fabric which our
// own address here is in, and the first by name where that has none.
func (t *Table) contains(a, here netip.Addr) *network {
	for _, l := range t.lengths {
		if l.family != a.BitLen() {
			continue
		}
		p, err := a.Prefix(l.bits)
		if err != nil {
			continue
		}
		switch names := t.byPrefix[p]; {
		case len(names) == 1, len(names) > 1 && !here.IsValid():
			return t.networks[names[0]]
		case len(names) > 1:
			return t.networks[t.first(names, here)]
		}
	}
	return nil
}

// beside appends the other subnets on the layer-2 network of the first that serve what is asked for. Only a VLAN that
// somebody declared is one: subnets whose VLAN nobody told have the same one, and may be far apart.
func (t *Table) beside(near []*network, ask Ask) []*network {
	via := near[0].subnet
	names := t.segments[segmentOf(via.Spec)]
	if len(names) < 2 || t.vlanOf[segmentOf(via.Spec).vlan] == nil {
		return near
	}
	for _, name := range names {
		if n := t.networks[name]; n != near[0] && n.serves(ask.Kind) {
			near = append(near, n)
		}
	}
	return near
}

// first returns which of several subnets is meant: the first that is of the fabric which an address is in, else the
// first.
func (t *Table) first(names []string, here netip.Addr) string {
	if n := t.contains(here, netip.Addr{}); n != nil {
		fabric := segmentOf(n.subnet.Spec).vlan.fabric
		for _, name := range names {
			if segmentOf(t.networks[name].subnet.Spec).vlan.fabric == fabric {
				return name
			}
		}
	}
	return names[0]
}

// Networks returns those of the subnets on a client's layer-2 network that are of the family of via, an address on it;
// its own is the first. None: it is none of ours.
func (t *Table) Networks(via, here netip.Addr) []netip.Prefix {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := t.contains(via, here)
	if n == nil {
		return nil
	}
	list := []netip.Prefix{n.subnet.Spec.CIDR}
	g := segmentOf(n.subnet.Spec)
	if t.vlanOf[g.vlan] == nil {
		return list
	}
	for _, name := range t.segments[g] {
		if other := t.networks[name]; other != n {
			list = append(list, other.subnet.Spec.CIDR)
		}
	}
	return list
}

// own returns the address that belongs to the client. A machine has one at most, for the NIC that it boots from; its
// other NICs get leases. A NIC that was replaced since leaves the address to the one that the machine boots from now.
func (n *network) own(ask Ask, m *metal.Machine) netip.Addr {
	if a := n.byDUID[ask.DUID]; ask.DUID != "" && a.IsValid() {
		return a
	}
	if a := n.byMAC[ask.MAC]; ask.MAC != "" && a.IsValid() {
		return a
	}
	if m == nil {
		return netip.Addr{}
	}
	addr := n.byMachine[m.ID]
	if mac := n.owned[addr].MAC; mac == ask.MAC || m.Spec.MACs[0] == ask.MAC && !slices.Contains(m.Spec.MACs, mac) {
		return addr
	}
	return netip.Addr{}
}

// dynamic sets what a client without an address of its own holds or could get on one of the subnets of its layer-2
// network, and returns that: where it holds something, else where it did and could again, else where the address it
// wants is free, else the first that has one, which is its own network before the others.
func dynamic(k *Known, near []*network, ask Ask, now time.Time) *network {
	best, rank := near[0], 0
	for _, n := range near {
		s := n.space(ask.Kind)
		s.expire(now)
		l, free := s.lease(ask.Client, now)
		r := 1
		switch {
		case !free:
		case l.ExpiresAt.After(now):
			r = 3
		case slices.Contains(ask.Avoid, l.Addr):
			free = false
		default:
			r = 2
		}
		if l != nil && r > rank {
			best, rank = n, r
			k.Lease, k.LeaseFree = l, free
		}
	}
	if k.LeaseFree { // the same address, or the old one again: no other is looked for
		return best
	}
	for i, n := range near {
		a, ok := n.space(ask.Kind).free(ask.Wanted, ask.Avoid, now)
		if !ok || k.Free.IsValid() && a != ask.Wanted {
			continue
		}
		if n != best && k.Lease != nil {
			k.Lease, k.LeaseFree = nil, false // it is of no use there
		}
		best, k.Free = near[i], a
		if a == ask.Wanted {
			break
		}
	}
	return best
}

// describe sets what a client is told.
func (t *Table) describe(k *Known, n *network, addr netip.Addr, ask Ask) {
	k.Subnet, k.Routes, k.Options = n.subnet, n.routes, n.options(addr)
	if v := t.vlanOf[segmentOf(n.subnet.Spec).vlan]; v != nil {
		k.MTU = v.Spec.MTU
	}
	r := n.reserved[k.Assigned]
	switch m, d := t.machineOf[ask.MAC], t.deviceOf[ask.MAC]; {
	case m != nil:
		k.Hostname = m.Spec.Name
	case d != nil:
		k.Hostname = d.Name
	case r != nil:
		k.Hostname = r.Spec.Hostname
	}
	if r != nil {
		k.Options = merge(k.Options, r.Spec.Options)
	}
}
