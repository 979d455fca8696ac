package zone

import (
	"github.com/miekg/dns"
)

// A rank says whose word counts for a name: that of the lowest rank.
type rank uint8

const (
	declared rank = iota // a machine, a device, a reservation, a record set
	own                  // the server's own name
	leased               // what a DHCP client calls itself
)

// A claim is what somebody says of one name.
type claim struct {
	owner name
	rank  rank
	rrs   []dns.RR
	ttl   uint32 // of the records, where timed
	timed bool
	lease *lease // who says it, where rank is leased
}

// An entry is a name that somebody says something of, or that has such names below it: writers' side of a node.
type entry struct {
	name     name
	text     string
	parent   *entry
	children map[*entry]struct{}
	claims   []*claim
	apex     *authority   // the zone that begins here
	dirty    bool         // it is in the tree's list of those
	in       []*authority // the zones whose nodes the entry has now, its own first
}

// needed says whether the name exists.
func (e *entry) needed() bool { return len(e.claims) > 0 || len(e.children) > 0 || e.apex != nil }

// home is the zone that the name is in, or nil.
func (e *entry) home() *authority {
	for ; e != nil; e = e.parent {
		if e.apex != nil {
			return e.apex
		}
	}
	return nil
}

// tree is every name, and which of them readers have not been shown yet as they are now.
type tree struct {
	entries map[name]*entry
	dirty   []*entry // each once
}

// soiled marks an entry to be shown anew.
func (t *tree) soiled(e *entry) {
	if !e.dirty {
		e.dirty = true
		t.dirty = append(t.dirty, e)
	}
}

// entry returns the entry of a name, made where there is none, with those of all names above it.
func (t *tree) entry(n name) *entry {
	if e, ok := t.entries[n]; ok {
		return e
	}
	e := &entry{name: n, text: n.text()}
	if n != root {
		e.parent = t.entry(n.parent())
		if e.parent.children == nil {
			e.parent.children = map[*entry]struct{}{}
		}
		e.parent.children[e] = struct{}{}
	}
	t.entries[n] = e
	t.soiled(e)
	return e
}

// replace takes back the claims was, and makes the claims now.
func (t *tree) replace(was, now []*claim) {
	for _, c := range was {
		e := t.entries[c.owner]
		for i := range e.claims {
			if e.claims[i] == c {
				last := len(e.claims) - 1
				e.claims[i] = e.claims[last]
				e.claims[last] = nil
				e.claims = e.claims[:last]
				break
			}
		}
		t.soiled(e)
	}
	for _, c := range now {
		e := t.entry(c.owner)
		e.claims = append(e.claims, c)
		t.soiled(e)
	}
}

// unlink forgets an entry that is not needed.
func (t *tree) unlink(e *entry) {
	delete(t.entries, e.name)
	if e.parent != nil {
		delete(e.parent.children, e)
		t.soiled(e.parent)
	}
}

// soil marks all names of the zone that begins at e, or would, and what the zones right below it have in it.
func (t *tree) soil(e *entry) {
	t.soiled(e)
	for child := range e.children {
		if child.apex == nil {
			t.soil(child)
			continue
		}
		t.soiled(child)
		for _, host := range child.apex.hosts {
			if glue, ok := t.entries[host]; ok {
				t.soiled(glue)
			}
		}
	}
}
