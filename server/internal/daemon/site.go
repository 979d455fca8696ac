package daemon

import (
	"crypto/rand"
	"encoding/binary"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// site is the subnets and VLANs as they are committed, for what is served on each interface.
type site struct {
	mu       sync.Mutex
	subnets  map[string]metal.Subnet
	vlans    map[string]metal.VLAN
	watchers map[chan struct{}]bool
}

func newSite() *site {
	return &site{subnets: map[string]metal.Subnet{}, vlans: map[string]metal.VLAN{}, watchers: map[chan struct{}]bool{}}
}

// Load takes over all that is committed.
func (s *site) Load(tx *store.Tx) error {
	subnets, err := tx.Subnets("", 1<<30, nil)
	if err != nil {
		return err
	}
	vlans, err := tx.VLANs("", 1<<30, nil)
	for _, v := range vlans {
		s.vlans[v.Name] = v
	}
	for _, n := range subnets {
		s.subnets[n.Name] = n
	}
	return err
}

// Apply takes over what a transaction committed.
func (s *site) Apply(changes []store.Change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	touched := false
	for _, c := range changes {
		switch {
		case c.Subnet != nil && c.Gone:
			delete(s.subnets, c.Subnet.Name)
		case c.Subnet != nil:
			s.subnets[c.Subnet.Name] = *c.Subnet
		case c.VLAN != nil && c.Gone:
			delete(s.vlans, c.VLAN.Name)
		case c.VLAN != nil:
			s.vlans[c.VLAN.Name] = *c.VLAN
		default:
			continue
		}
		touched = true
	}
	for ch := range s.watchers {
		if !touched {
			break
		}
		select {
		case ch <- struct{}{}:
		default: // one that waits says the same
		}
	}
}

// around returns the VLAN that an interface with these addresses is on, and its subnets by name. An interface whose
// addresses are in no subnet is on the zero VLAN, which tells nobody anything.
func (s *site) around(addrs []netip.Prefix) (metal.VLANSpec, []metal.Subnet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	here := s.withLocked(addrs)
	if here == nil {
		return metal.VLANSpec{}, nil
	}
	same := func(fabric string, vid int) bool { return fabric == here.Spec.Fabric && vid == here.Spec.VLAN }
	var vlan metal.VLANSpec
	for _, v := range s.vlans {
		if same(v.Spec.Fabric, v.Spec.VID) {
			vlan = v.Spec
		}
	}
	var subnets []metal.Subnet
	for _, name := range slices.Sorted(maps.Keys(s.subnets)) {
		if n := s.subnets[name]; same(n.Spec.Fabric, n.Spec.VLAN) {
			subnets = append(subnets, n)
		}
	}
	return vlan, subnets
}

func (s *site) withLocked(addrs []netip.Prefix) *metal.Subnet {
	for _, name := range slices.Sorted(maps.Keys(s.subnets)) {
		n := s.subnets[name]
		if slices.ContainsFunc(addrs, func(p netip.Prefix) bool { return n.Spec.CIDR.Contains(p.Addr()) }) {
			return &n
		}
	}
	return nil
}

// holding returns the one of these subnets that an address is of; nil for none.
func holding(subnets []metal.Subnet, addr netip.Addr) *metal.Subnet {
	for i := range subnets {
		if subnets[i].Spec.CIDR.Contains(addr) {
			return &subnets[i]
		}
	}
	return nil
}

// serves says whether we give addresses of a family on the VLAN of an interface with these addresses.
func (s *site) serves(addrs []netip.Prefix, six bool) bool {
	_, subnets := s.around(addrs)
	return slices.ContainsFunc(subnets, func(n metal.Subnet) bool { return n.Spec.CIDR.Addr().Is6() == six && n.Spec.DHCP.Serves() })
}

// watch returns a channel that is sent to after changes, until end is called.
func (s *site) watch() (told <-chan struct{}, end func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[ch] = true
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, ch)
	}
}

// newDUID makes an identifier out of a random UUID (RFC 6355, RFC 9562).
func newDUID() []byte {
	const kind = 4 // DUID-UUID
	duid := binary.BigEndian.AppendUint16(nil, kind)
	uuid := make([]byte, 16)
	rand.Read(uuid)
	uuid[6], uuid[8] = uuid[6]&0x0f|0x40, uuid[8]&0x3f|0x80
	return append(duid, uuid...)
}
