package zone

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A Batch changes Zones, and is valid in a call of Change only. Things may be told in any order, such as an assignment
// before its machine, and as often as one likes: what is not different costs nothing.
type Batch struct{ *state }

// SetZone declares a zone, or changes it.
func (b *Batch) SetZone(z metal.Zone) {
	n, ok := parseName(z.Name)
	if !ok {
		return
	}
	a := b.authority(n)
	was, spec := a.spec, z.Spec
	for _, host := range a.hosts { // glue no more, perhaps
		b.mark(host)
	}
	a.settle(&spec, b.nameServer)
	for _, host := range a.hosts {
		b.mark(host)
	}
	if was.TTL != a.spec.TTL {
		b.soil(a.entry)
	}
	b.soiled(a.entry)
}

// DropZone takes the declaration of a zone back. It stays where a subnet needs it.
func (b *Batch) DropZone(zone string) {
	n, ok := parseName(zone)
	if !ok {
		return
	}
	a := b.authority(n)
	if a.implicit > 0 {
		b.SetZone(metal.Zone{Name: zone})
	}
	a.declared = nil
	b.abandon(a)
}

// SetRecordSet makes or replaces the records of one name and type. Values that are not what parseRecordSet takes make
// no records.
func (b *Batch) SetRecordSet(r metal.RecordSet) {
	key := recordKey{r.Zone, r.Name, r.Type}
	var claims []*claim
	owner, ok := ownerOf(r)
	rrs, err := parseRecordSet(r)
	if ok && err == nil && len(rrs) > 0 {
		claims = []*claim{{owner: owner, rrs: rrs, ttl: uint32(r.Spec.TTL), timed: r.Spec.TTL > 0}}
	}
	b.replace(b.recordSets[key], claims)
	b.recordSets[key] = claims
}

// DropRecordSet removes the records of one name, as in SetRecordSet, and type.
func (b *Batch) DropRecordSet(zone, name, rrtype string) {
	key := recordKey{zone, name, rrtype}
	b.replace(b.recordSets[key], nil)
	delete(b.recordSets, key)
}

// SetMachine tells the name of a machine.
func (b *Batch) SetMachine(id, name string) {
	if b.machines[id] == name {
		return
	}
	b.machines[id] = name
	b.renew(metal.Assignment{MachineID: id})
}

// DropMachine forgets a machine.
func (b *Batch) DropMachine(id string) {
	delete(b.machines, id)
	b.renew(metal.Assignment{MachineID: id})
}

// SetDevice tells of a device.
func (b *Batch) SetDevice(name string, spec metal.DeviceSpec) {
	b.devices[name] = spec
	b.renew(metal.Assignment{Device: name})
}

// DropDevice forgets a device.
func (b *Batch) DropDevice(name string) {
	delete(b.devices, name)
	b.renew(metal.Assignment{Device: name})
}

// SetReservation tells the host name of a reservation, which may be empty.
func (b *Batch) SetReservation(name, hostname string) {
	if b.reservations[name] == hostname {
		return
	}
	b.reservations[name] = hostname
	b.renew(metal.Assignment{Reservation: name})
}

// DropReservation forgets a reservation.
func (b *Batch) DropReservation(name string) {
	delete(b.reservations, name)
	b.renew(metal.Assignment{Reservation: name})
}

// SetAssignment gives an address to its owner.
func (b *Batch) SetAssignment(a metal.Assignment) {
	at := place{a.Subnet, a.Addr}
	kept, ok := b.assignments[at]
	if ok && kept.Owner() == a.Owner() {
		return // its NIC is no matter of names
	}
	if ok {
		b.DropAssignment(a.Subnet, a.Addr)
	}
	kept = &assignment{Assignment: a}
	b.assignments[at] = kept
	index(b.owned, a.Owner(), at)
	if s := b.subnets[a.Subnet]; s != nil {
		s.places[at] = struct{}{}
	}
	b.rename(kept)
}

// DropAssignment takes an address from its owner.
func (b *Batch) DropAssignment(subnet string, addr netip.Addr) {
	at := place{subnet, addr}
	kept, ok := b.assignments[at]
	if !ok {
		return
	}
	b.replace(kept.claims, nil)
	delete(b.assignments, at)
	if owned := b.owned[kept.Owner()]; len(owned) > 1 {
		delete(owned, at)
	} else {
		delete(b.owned, kept.Owner())
	}
	if s := b.subnets[subnet]; s != nil {
		delete(s.places, at)
	}
}

func index[K comparable](m map[K]map[place]struct{}, key K, at place) {
	if m[key] == nil {
		m[key] = map[place]struct{}{}
	}
	m[key][at] = struct{}{}
}

// SetSubnet tells of a subnet: its zones are there from now on, and the names of its addresses in its domain.
func (b *Batch) SetSubnet(name string, spec metal.SubnetSpec) {
	domain := b.zone
	if n, ok := parseName(spec.Domain); ok && spec.Domain != "" {
		domain = n
	}
	was := b.subnets[name]
	if was != nil && was.cidr == spec.CIDR && was.domain == domain {
		return
	}
	s := &subnet{cidr: spec.CIDR, domain: domain, zones: append(reverseZones(spec.CIDR), domain), places: map[place]struct{}{}}
	for _, zone := range s.zones {
		b.keep(zone)
	}
	b.subnets[name] = s
	if was != nil {
		s.places = was.places
	} else {
		for at := range maps.Keys(b.assignments) { // told before their subnet
			if at.subnet == name {
				s.places[at] = struct{}{}
			}
		}
	}
	b.subnetChanged(name, s)
	if was != nil {
		b.releaseAll(was.zones)
	}
}

// DropSubnet forgets a subnet with its leases.
func (b *Batch) DropSubnet(name string) {
	s := b.subnets[name]
	if s == nil {
		return
	}
	for at := range b.leases.bySubnet[name] {
		b.DropLease(at.subnet, at.addr)
	}
	delete(b.subnets, name)
	b.subnetChanged(name, s)
	b.releaseAll(s.zones)
}

func (b *Batch) releaseAll(zones []name) {
	for _, zone := range zones {
		b.release(zone)
	}
}

// subnetChanged renames what has an address of a subnet.
func (b *Batch) subnetChanged(name string, s *subnet) {
	for at := range s.places {
		b.rename(b.assignments[at])
	}
	for device, spec := range b.devices { // whose name may be in the domain of this subnet with an address of another
		if slices.ContainsFunc(spec.Interfaces, func(i metal.DeviceInterface) bool { return i.Subnet == name }) {
			b.renew(metal.Assignment{Device: device})
		}
	}
	for at := range b.leases.bySubnet[name] {
		b.renameLease(b.leases.byPlace[at])
	}
}

// renew renames everything that an owner has.
func (b *Batch) renew(owner metal.Assignment) {
	for at := range b.owned[owner.Owner()] {
		b.rename(b.assignments[at])
	}
}

// rename makes the claims of an assignment anew.
func (b *Batch) rename(a *assignment) {
	var claims []*claim
	if n, ok := b.nameOf(a.Assignment); ok {
		claims = append(addressClaims(n, declared, []netip.Addr{a.Addr}), b.pointers(a.Subnet, a.Addr, n, declared)...)
	}
	b.replace(a.claims, claims)
	a.claims = claims
}

// nameOf is the name of whoever an address belongs to, or none.
func (s *state) nameOf(a metal.Assignment) (name, bool) {
	var label string
	domain := s.zone
	known := s.subnets[a.Subnet]
	if known != nil {
		domain = known.domain
	}
	switch {
	case known == nil:
		return "", false
	case a.MachineID != "" && a.MAC == "": // of a network behind the machine: nobody who asks for it by name could reach it there
		return "", false
	case a.MachineID != "":
		label = s.machines[a.MachineID]
	case a.Device != "":
		spec, ok := s.devices[a.Device]
		if !ok {
			return "", false
		}
		label, domain = a.Device, s.deviceDomain(spec, domain)
	default:
		label = s.reservations[a.Reservation]
	}
	if label == "" {
		return "", false
	}
	return parseName(label + "." + domain.text())
}

// deviceDomain is the domain of all of a device's addresses: its own, or that of its first subnet.
func (s *state) deviceDomain(spec metal.DeviceSpec, otherwise name) name {
	if n, ok := parseName(spec.Domain); ok && spec.Domain != "" {
		return n
	}
	for _, i := range spec.Interfaces {
		if known := s.subnets[i.Subnet]; known != nil {
			return known.domain
		}
	}
	return otherwise
}

// mark has a name shown anew.
func (s *state) mark(n name) {
	if e, ok := s.entries[n]; ok {
		s.soiled(e)
	}
}

// addressClaims says that a name has addresses.
func addressClaims(owner name, rank rank, addrs []netip.Addr) []*claim {
	c := &claim{owner: owner, rank: rank}
	for _, addr := range addrs {
		if addr = addr.Unmap().WithZone(""); addr.Is4() {
			c.rrs = append(c.rrs, &dns.A{Hdr: dns.RR_Header{Rrtype: dns.TypeA}, A: addr.AsSlice()})
		} else if addr.Is6() {
			c.rrs = append(c.rrs, &dns.AAAA{Hdr: dns.RR_Header{Rrtype: dns.TypeAAAA}, AAAA: addr.AsSlice()})
		}
	}
	if len(c.rrs) == 0 {
		return nil
	}
	return []*claim{c}
}

// pointers says what the name of an address is.
func (s *state) pointers(in string, addr netip.Addr, owner name, rank rank) (claims []*claim) {
	known := s.subnets[in]
	if known == nil {
		return nil
	}
	for _, reverse := range reverseNames(known.cidr, addr) {
		claims = append(claims, &claim{
			owner: reverse, rank: rank, rrs: []dns.RR{&dns.PTR{Hdr: dns.RR_Header{Rrtype: dns.TypePTR}, Ptr: owner.text()}},
		})
	}
	return claims
}
