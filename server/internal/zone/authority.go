package zone

import (
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// An authority is a zone as writers have it: what readers were shown of it last, and what became of it since.
type authority struct {
	entry    *entry
	implicit int             // how many subnets, and the server itself, make the zone be there without declaration
	declared *metal.ZoneSpec // nil where nobody declared it
	spec     metal.ZoneSpec  // in force
	hosts    []name          // name servers within the zone, whose addresses are glue in the zone above

	shown          *Zone // nil before the first time
	nodes          trie[*node]
	cuts, wild     int
	removed, added []dns.RR
	settings       bool // spec or SOA are different from those shown
}

// complete returns a spec with the defaults for what it does not say.
func complete(spec *metal.ZoneSpec) metal.ZoneSpec {
	var c metal.ZoneSpec
	if spec != nil {
		c = *spec
	}
	if c.TTL == 0 {
		c.TTL = defaultTTL
	}
	if c.NegativeTTL == 0 {
		c.NegativeTTL = defaultNegativeTTL
	}
	return c
}

// settle takes a spec over.
func (a *authority) settle(spec *metal.ZoneSpec, nameServer name) {
	a.declared, a.spec, a.settings = spec, complete(spec), true
	a.hosts = a.hosts[:0]
	for _, n := range append(parseNames(a.spec.NameServers), nameServer) {
		if n.within(a.entry.name) && !slices.Contains(a.hosts, n) {
			a.hosts = append(a.hosts, n)
		}
	}
}

// parseNames reads names, and leaves out what is none.
func parseNames(texts []string) (list []name) {
	for _, text := range texts {
		if n, ok := parseName(text); ok {
			list = append(list, n)
		}
	}
	return list
}

// nameServers are the NS records of the apex.
func (a *authority) nameServers(nameServer name) (list []dns.RR) {
	for _, n := range append(parseNames(a.spec.NameServers), nameServer) {
		list = append(list, &dns.NS{Hdr: dns.RR_Header{Rrtype: dns.TypeNS}, Ns: n.text()})
	}
	return list
}

// soa is the SOA record. Its owner and TTL are not set.
func (a *authority) soa(nameServer name, serial uint32) *dns.SOA {
	return &dns.SOA{
		Hdr: dns.RR_Header{Rrtype: dns.TypeSOA}, Ns: nameServer.text(), Mbox: mailbox(a.spec.Mailbox, a.entry.text), Serial: serial,
		Refresh: refresh, Retry: retry, Expire: expire, Minttl: uint32(a.spec.NegativeTTL),
	}
}

// mailbox is a mail address as SOA records have it: the dots before the @ are no separators (RFC 1035, section 8).
func mailbox(address, zone string) string {
	if user, host, ok := strings.Cut(address, "@"); ok && user != "" {
		text := strings.NewReplacer(`\`, `\\`, ".", `\.`).Replace(user) + "." + host
		if n, ok := parseName(text); ok {
			return n.text()
		}
	}
	if zone == "." {
		return "hostmaster."
	}
	if n, ok := parseName("hostmaster." + zone); ok {
		return n.text()
	}
	return "hostmaster." // the zone's name leaves no room for another label
}

// put shows the zone's readers the sets of a name from the next moment on.
func (a *authority) put(n name, list []*Set, cut bool) {
	was, there := a.nodes.get(n)
	if !there {
		was = &node{}
	}
	a.removed, a.added = differ(was.sets, list, a.removed, a.added)
	if there && was.cut == cut && slices.Equal(was.sets, list) {
		return
	}
	a.count(was, there, -1)
	made := &node{name: n, sets: list, cut: cut}
	a.count(made, true, 1)
	a.nodes = a.nodes.with(n, made)
}

// drop takes a name away.
func (a *authority) drop(n name) {
	was, there := a.nodes.get(n)
	if !there {
		return
	}
	a.removed, _ = differ(was.sets, nil, a.removed, nil)
	a.count(was, true, -1)
	a.nodes = a.nodes.without(n)
}

func (a *authority) count(n *node, there bool, by int) {
	if there && n.cut {
		a.cuts += by
	}
	if there && n.name.wild() {
		a.wild += by
	}
}

// changed says whether readers have not been shown the zone as it is.
func (a *authority) changed() bool {
	return a.shown == nil || a.settings || len(a.removed)+len(a.added) > 0 || a.nodes.root != a.shown.nodes.root
}

// show makes the next moment of the zone. fresh is the serial of a zone that was never shown.
func (a *authority) show(nameServer name, fresh uint32, p *packer) *Zone {
	next := &Zone{
		apex: a.entry.name, name: a.entry.text, spec: a.spec,
		nodes: a.nodes, cuts: a.cuts, wild: a.wild,
	}
	if a.shown == nil {
		next.setSOA(a.soa(nameServer, fresh), p)
	} else {
		a.removed, a.added = net(a.removed, a.added)
		next.soa, next.denial, next.journal = a.shown.soa, a.shown.denial, a.shown.journal
		now := a.shown.Serial()
		next.setSOA(a.soa(nameServer, now), p)
		if len(a.removed)+len(a.added) > 0 || !sameSOA(next.SOA(), a.shown.SOA()) {
			next.setSOA(a.soa(nameServer, now+1), p)
			next.journal = next.journal.with(Delta{From: a.shown.SOA(), To: next.SOA(), Removed: a.removed, Added: a.added})
		}
	}
	a.shown, a.removed, a.added, a.settings = next, nil, nil, false
	return next
}

// net leaves out what went and came again, as a lease's pointer does when its name is looked at anew.
func net(removed, added []dns.RR) (gone, brought []dns.RR) {
	if len(removed) == 0 || len(added) == 0 {
		return removed, added
	}
	balance := make(map[string]int, len(added))
	for _, rr := range added {
		balance[rr.String()]++
	}
	for _, rr := range removed {
		balance[rr.String()]--
	}
	for _, rr := range removed {
		if text := rr.String(); balance[text] < 0 {
			balance[text]++
			gone = append(gone, rr)
		}
	}
	for _, rr := range added {
		if text := rr.String(); balance[text] > 0 {
			balance[text]--
			brought = append(brought, rr)
		}
	}
	return gone, brought
}

func sameSOA(a, b *dns.SOA) bool { return *a == *b }

// setSOA makes the zone's SOA record, and that of its denials.
func (z *Zone) setSOA(soa *dns.SOA, p *packer) {
	ttl := uint32(z.spec.TTL)
	for _, s := range []struct {
		into **Set
		ttl  uint32
	}{{&z.soa, ttl}, {&z.denial, min(ttl, uint32(z.spec.NegativeTTL))}} {
		if r, ok := p.record(soa, z.apex, z.name, s.ttl); ok {
			*s.into = sets([]record{r})[0]
		}
	}
}
