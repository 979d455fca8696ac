package zone

import (
	"iter"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

const (
	defaultTTL         = 60 // of records, in seconds, where the zone does not say
	defaultNegativeTTL = 10 // short, since people ask for a machine's name before the machine has it

	// Timers of secondary servers (RFC 1035, section 3.3.13), in seconds.
	refresh = 3600
	retry   = 600
	expire  = 7 * 86400
)

// A Zone is one moment of a zone. It never changes.
type Zone struct {
	apex    name
	name    string
	spec    metal.ZoneSpec
	soa     *Set // one record, with the zone's serial
	denial  *Set // the same with the TTL of what does not exist (RFC 2308, section 3)
	nodes   trie[*node]
	cuts    int // delegations
	wild    int // wildcards
	journal journal
}

// Name is the zone's name: in lower case, with the trailing dot.
func (z *Zone) Name() string { return z.name }

// Spec is what was declared, with the defaults for what was not; a zone that nobody declared has the defaults. Its slices
// must not be changed.
func (z *Zone) Spec() metal.ZoneSpec { return z.spec }

// Serial is the zone's serial number. It is compared as RFC 1982 says.
func (z *Zone) Serial() uint32 { return z.SOA().Serial }

// SOA is the zone's SOA record, which must not be changed.
func (z *Zone) SOA() *dns.SOA { return z.soa.RRs[0].(*dns.SOA) }

// Transfer is what AXFR sends (RFC 5936): the SOA record, which the caller sends first and last, and every other
// record, those of delegations and their glue included, set by set in no order of names. All are of one moment, however
// long the iteration takes. Records must not be changed.
func (z *Zone) Transfer() (soa *dns.SOA, records iter.Seq[dns.RR]) {
	return z.SOA(), func(yield func(dns.RR) bool) {
		for n := range z.nodes.all() {
			for _, set := range n.sets {
				for _, rr := range set.RRs {
					if !yield(rr) {
						return
					}
				}
			}
		}
	}
}

// Since returns what changed after the zone had a serial, oldest first: what IXFR sends (RFC 1995). It is empty where
// that is the present one, and ok is false where it is not remembered: the whole zone must be sent.
func (z *Zone) Since(serial uint32) (deltas []Delta, ok bool) {
	return z.journal.since(serial, z.Serial())
}
