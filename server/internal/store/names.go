package store

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// Names is the picture of names and addresses that DNS answers from. It is replaced, whole, before the Update that
// changed it returns: what an API call made is answered when that call is.
type Names struct {
	zone    string
	picture atomic.Pointer[picture]
}

type picture struct {
	serial  uint32
	byName  map[string][]netip.Addr
	byAddr  map[netip.Addr]string
	zones   []string
	subnets []netip.Prefix
}

func newNames(zone string) *Names {
	n := &Names{zone: dotted(zone)}
	n.picture.Store(&picture{})
	return n
}

func dotted(zone string) string { return strings.ToLower(strings.TrimSuffix(zone, ".")) + "." }

// reload builds the picture from what is committed.
func (n *Names) reload(ctx context.Context, db *DB) error {
	p := &picture{byName: map[string][]netip.Addr{}, byAddr: map[netip.Addr]string{}, zones: []string{n.zone}}
	err := db.Read(ctx, func(tx *Tx) error {
		// The serial follows the clock, and never stands still or goes back within one run (RFC 1982).
		p.serial = max(uint32(tx.Now.Unix()), n.picture.Load().serial+1)
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
		return nil
	})
	if err != nil {
		return err
	}
	n.picture.Store(p)
	return nil
}

// Lookup returns the addresses of a fully qualified lower-case name with its trailing dot, and whether it exists.
func (n *Names) Lookup(name string) ([]netip.Addr, bool) {
	addrs, ok := n.picture.Load().byName[name]
	return addrs, ok
}

// Reverse returns the name of an address.
func (n *Names) Reverse(addr netip.Addr) (string, bool) {
	name, ok := n.picture.Load().byAddr[addr]
	return name, ok
}

// Serial rises with every change.
func (n *Names) Serial() uint32 { return n.picture.Load().serial }

// Zones returns the forward zones with trailing dots.
func (n *Names) Zones() []string { return n.picture.Load().zones }

// Subnets returns the networks whose reverse zones are ours.
func (n *Names) Subnets() []netip.Prefix { return n.picture.Load().subnets }
