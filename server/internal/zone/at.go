package zone

import (
	"slices"

	"github.com/miekg/dns"
)

// At returns the record sets of the very name, those of delegations and glue included, and the zone's SOA record with
// the zone's own name. They must not be changed.
func (z *Zone) At(name string) []*Set {
	n, ok := parseName(name)
	if !ok {
		return nil
	}
	found, ok := z.nodes.get(n)
	if !ok {
		return nil
	}
	if n == z.apex && found.set(dns.TypeSOA) == nil {
		return append(slices.Clip(found.sets), z.soa)
	}
	return found.sets
}
