package zone

import (
	"container/heap"
	"net/netip"
	"strings"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// A lease is one whose client told a host name. What names come of it, no declared thing may have, nor a client that
// was there first.
type lease struct {
	place
	client   string // whom it is kept under
	label    string
	mac      metal.MAC
	clientID string
	since    time.Time
	number   uint64 // in the order in which they came
	expires  time.Time
	forward  *claim
	pointers []*claim // only while forward counts: a client does not get a name by calling itself so
	crowned  bool
}

// leases are those with host names.
type leases struct {
	byPlace  map[place]*lease
	byClient map[holder]*lease
	bySubnet map[string]map[place]struct{}
	ends     ends
	count    uint64
}

// A holder is a client on a subnet, where it has one lease.
type holder struct{ subnet, client string }

func newLeases() leases {
	return leases{byPlace: map[place]*lease{}, byClient: map[holder]*lease{}, bySubnet: map[string]map[place]struct{}{}}
}

// before says whether l was there before other.
func (l *lease) before(other *lease) bool {
	if c := l.since.Compare(other.since); c != 0 {
		return c < 0
	}
	return l.number < other.number
}

// sameClient says whether two leases are of one host: its IPv4 and its IPv6 address have one name.
func (l *lease) sameClient(other *lease) bool {
	if l == other || l.mac != "" && l.mac == other.mac || l.clientID != "" && l.clientID == other.clientID {
		return true
	}
	return unique(l.clientID) != "" && unique(l.clientID) == other.clientID || unique(other.clientID) != "" && unique(other.clientID) == l.clientID
}

// unique is the DUID in a client id of DHCPv4, behind the type 255 and an IAID of four bytes (RFC 4361, section 6.1).
func unique(clientID string) string {
	if len(clientID) > 10 && strings.HasPrefix(clientID, "ff") {
		return clientID[10:]
	}
	return ""
}

// SetLease tells of a lease, which takes the place of any other that client, under whom it is kept, has on the subnet,
// and of any other on its address. Only active leases of addresses make names.
func (b *Batch) SetLease(client string, l metal.Lease) {
	at := place{l.Subnet, l.Addr}
	label, named := hostLabel(l.Hostname)
	named = named && l.State == metal.LeaseActive && l.Bits == 0
	was := b.leases.byClient[holder{l.Subnet, client}]
	if named && was != nil && was.place == at && was.label == label {
		was.expires = l.ExpiresAt
		return
	}
	if was != nil {
		b.DropLease(was.subnet, was.addr)
	}
	b.DropLease(l.Subnet, l.Addr)
	if !named {
		return
	}
	b.leases.count++
	kept := &lease{
		place: at, client: client, label: label, mac: l.MAC, clientID: l.ClientID,
		since: l.StartedAt, number: b.leases.count, expires: l.ExpiresAt,
	}
	b.leases.byPlace[at] = kept
	b.leases.byClient[holder{l.Subnet, client}] = kept
	index(b.leases.bySubnet, l.Subnet, at)
	heap.Push(&b.leases.ends, end{kept, kept.expires})
	b.renameLease(kept)
}

// DropLease forgets the lease on an address.
func (b *Batch) DropLease(subnet string, addr netip.Addr) { b.dropLease(place{subnet, addr}) }

func (s *state) dropLease(at place) {
	l, ok := s.leases.byPlace[at]
	if !ok {
		return
	}
	s.retract(l)
	delete(s.leases.byPlace, at)
	delete(s.leases.byClient, holder{l.subnet, l.client})
	if places := s.leases.bySubnet[l.subnet]; len(places) > 1 {
		delete(places, at)
	} else {
		delete(s.leases.bySubnet, l.subnet)
	}
}

// retract takes back what is said because of a lease.
func (s *state) retract(l *lease) {
	if l.forward != nil {
		s.replace([]*claim{l.forward}, nil)
	}
	s.replace(l.pointers, nil)
	l.forward, l.pointers, l.crowned = nil, nil, false
}

// renameLease makes the claims of a lease anew. Pointers follow when its name turns out to count.
func (s *state) renameLease(l *lease) {
	s.retract(l)
	known := s.subnets[l.subnet]
	if known == nil {
		return
	}
	n, ok := parseName(l.label + "." + known.domain.text())
	if !ok {
		return
	}
	claims := addressClaims(n, leased, []netip.Addr{l.addr})
	for _, c := range claims {
		c.lease = l
		l.forward = c
	}
	s.replace(nil, claims)
}

// crown gives a lease whose name counts its pointers, or takes them.
func (s *state) crown(l *lease, counts bool) {
	if l.crowned == counts {
		return
	}
	l.crowned = counts
	var claims []*claim
	if counts {
		claims = s.pointers(l.subnet, l.addr, l.forward.owner, leased)
	}
	s.replace(l.pointers, claims)
	l.pointers = claims
}

// expire forgets leases that have ended.
func (s *state) expire(now time.Time) (ended bool) {
	for len(s.leases.ends) > 0 && !s.leases.ends[0].at.After(now) {
		e := heap.Pop(&s.leases.ends).(end)
		switch {
		case s.leases.byPlace[e.lease.place] != e.lease: // forgotten before
		case e.lease.expires.After(now): // renewed since
			heap.Push(&s.leases.ends, end{e.lease, e.lease.expires})
		default:
			s.dropLease(e.lease.place)
			ended = true
		}
	}
	return ended
}

// hostLabel is the label of a client's name in its domain: the first one of what it calls itself. Names that make
// others trust whoever has them are nobody's for the asking.
func hostLabel(hostname string) (label string, ok bool) {
	label, _, _ = strings.Cut(strings.ToLower(hostname), ".")
	if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
		return "", false
	}
	for _, c := range []byte(label) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
			return "", false
		}
	}
	switch label {
	case "wpad", "isatap", "localhost":
		return "", false
	}
	return label, true
}

// end is when a lease ends, as it was known when it was put on the heap.
type end struct {
	lease *lease
	at    time.Time
}

// ends is a heap, the soonest first.
type ends []end

func (e ends) Len() int           { return len(e) }
func (e ends) Less(i, j int) bool { return e[i].at.Before(e[j].at) }
func (e ends) Swap(i, j int)      { e[i], e[j] = e[j], e[i] }
func (e *ends) Push(v any)        { *e = append(*e, v.(end)) }
func (e *ends) Pop() any {
	last := (*e)[len(*e)-1]
	*e = (*e)[:len(*e)-1]
	return last
}
