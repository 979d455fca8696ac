package store

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// Names is the picture of names and addresses that DNS answers from. The picture is replaced, whole, before the Update that
// changed it returns: what an API call made is answered when that call is.
type Names struct {
	zone string
	now  atomic.Pointer[Picture]
}

// Picture is one moment of the names. It does not change.
type Picture struct {
	serial  uint32
	byName  map[string][]netip.Addr
	byAddr  map[netip.Addr]string
	zones   []string
	subnets []netip.Prefix
}

func newNames(zone string) *Names {
	n := &Names{zone: dotted(zone)}
	n.now.Store(&Picture{})
	return n
}

func dotted(zone string) string { return strings.ToLower(strings.TrimSuffix(zone, ".")) + "." }

// reload builds the picture from what is committed.
func (n *Names) reload(ctx context.Context, db *DB) error {
	p := &Picture{byName: map[string][]netip.Addr{}, byAddr: map[netip.Addr]string{}, zones: []string{n.zone}}
	err := db.Read(ctx, func(tx *Tx) error {
		// The serial follows the clock, and never stands still or goes back within one run (RFC 1982).
		p.serial = max(uint32(tx.Now.Unix()), n.now.Load().serial+1)
		subnets, err := tx.Subnets("", 1<<30, nil)
		if err != nil {
			return err
		}
		domains := map[string]string{}
		for _, s := range subnets {
			domain := n.zone
			if s.Spec.Domain != "" {
				domain = dotted(s.Spec.Domain)
			}
			domains[s.Name] = domain
			if !slices.Contains(p.zones, domain) {
				p.zones = append(p.zones, domain)
			}
			p.subnets = append(p.subnets, s.Spec.CIDR)
		}
		machines, err := tx.Machines(MachineFilter{})
		if err != nil {
			return err
		}
		names := make(map[string]string, len(machines))
		for _, m := range machines {
			names[m.ID] = m.Spec.Name
		}
		assignments, err := tx.assignments("SELECT subnet, addr, machine_id, mac FROM assignment ORDER BY subnet, addr")
		if err != nil {
			return err
		}
		for _, a := range assignments {
			name := names[a.MachineID] + "." + domains[a.Subnet]
			p.byName[name] = append(p.byName[name], a.Addr)
			p.byAddr[a.Addr] = name
		}
		p.addParents()
		return nil
	})
	if err != nil {
		return err
	}
	n.now.Store(p)
	return nil
}

// Now returns the present picture.
func (n *Names) Now() *Picture { return n.now.Load() }

// Lookup returns the addresses of a fully qualified lower-case name with its trailing dot, and whether it exists: a
// name that only has names below it does, without addresses (RFC 8020).
func (p *Picture) Lookup(name string) ([]netip.Addr, bool) {
	addrs, ok := p.byName[name]
	return addrs, ok
}

// addParents makes every name above one of those in the picture exist, up to its zone's.
func (p *Picture) addParents() {
	for _, name := range slices.Concat(slices.Collect(maps.Keys(p.byName)), p.zones) {
		for parent := above(name); p.inZone(parent); parent = above(parent) {
			if _, known := p.byName[parent]; !known {
				p.byName[parent] = nil
			}
		}
	}
}

func above(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return parent
}

// inZone says whether a name is that of a zone, or below one.
func (p *Picture) inZone(name string) bool {
	return slices.ContainsFunc(p.zones, func(zone string) bool { return name == zone || strings.HasSuffix(name, "."+zone) })
}

// Reverse returns the name of an address.
func (p *Picture) Reverse(addr netip.Addr) (string, bool) {
	name, ok := p.byAddr[addr]
	return name, ok
}

// Serial rises with every change.
func (p *Picture) Serial() uint32 { return p.serial }

// Zones returns the forward zones with trailing dots.
func (p *Picture) Zones() []string { return p.zones }

// Subnets returns the networks whose reverse zones are ours.
func (p *Picture) Subnets() []netip.Prefix { return p.subnets }
