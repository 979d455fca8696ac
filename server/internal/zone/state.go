package zone

import (
	"net/netip"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// state is what writers know: the things that names come from, and the tree of names.
type state struct {
	tree
	packer     packer
	zone       name // the server's own
	nameServer name
	touched    map[*authority]struct{}

	subnets      map[string]*subnet
	machines     map[string]string // names by id
	devices      map[string]metal.DeviceSpec
	reservations map[string]string // host names by name
	assignments  map[place]*assignment
	owned        map[string]map[place]struct{} // places by metal.Assignment.Owner
	recordSets   map[recordKey][]*claim
	leases       leases
}

// A place is an address of a subnet. Two subnets may have the same addresses, in two fabrics.
type place struct {
	subnet string
	addr   netip.Addr
}

type assignment struct {
	metal.Assignment
	claims []*claim
}

// subnet is what names need to know of one.
type subnet struct {
	cidr   netip.Prefix
	domain name
	zones  []name // that are there for it
	places map[place]struct{}
}

type recordKey struct{ zone, name, rrtype string }

func newState(zone, nameServer name) state {
	return state{
		tree: tree{entries: map[name]*entry{}},
		zone: zone, nameServer: nameServer,
		touched: map[*authority]struct{}{}, subnets: map[string]*subnet{}, machines: map[string]string{},
		devices: map[string]metal.DeviceSpec{}, reservations: map[string]string{}, assignments: map[place]*assignment{},
		owned: map[string]map[place]struct{}{}, recordSets: map[recordKey][]*claim{}, leases: newLeases(),
	}
}

// authority returns the zone of a name, made where there is none.
func (s *state) authority(n name) *authority {
	e := s.entry(n)
	if e.apex == nil {
		e.apex = &authority{entry: e, nodes: newTrie[*node]()}
		e.apex.settle(nil, s.nameServer)
		s.reshape(e)
	}
	s.touched[e.apex] = struct{}{}
	return e.apex
}

// reshape marks what is different when a zone begins at e or does not any more.
func (s *state) reshape(e *entry) {
	s.soil(e)
	// The apex's own name servers may be glue above it now, or have been.
	if e.apex != nil {
		for _, host := range e.apex.hosts {
			if glue, ok := s.entries[host]; ok {
				s.soiled(glue)
			}
		}
	}
}

// keep makes a zone be there once more without declaration; release takes that back.
func (s *state) keep(n name) { s.authority(n).implicit++ }

func (s *state) release(n name) {
	a := s.authority(n)
	a.implicit--
	s.abandon(a)
}

// abandon removes a zone that nothing wants.
func (s *state) abandon(a *authority) {
	if a.implicit > 0 || a.declared != nil {
		return
	}
	a.entry.apex = nil
	s.reshape(a.entry)
}
