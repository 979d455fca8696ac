package zone

import "iter"

// A View is one moment of all zones. It never changes.
type View struct {
	zones  trie[*Zone]
	depths depths
}

// Find returns the zone that a name is in: the one with the longest name at or above it. The name may be written in
// any case, with or without the trailing dot.
func (v *View) Find(qname string) (z *Zone, ok bool) {
	n, ok := parseName(qname)
	if !ok {
		return nil, false
	}
	z = v.at(n)
	return z, z != nil
}

// Zone returns the zone that has this very name.
func (v *View) Zone(name string) (z *Zone, ok bool) {
	n, ok := parseName(name)
	if !ok {
		return nil, false
	}
	return v.zones.get(n)
}

// All yields every zone, in no order.
func (v *View) All() iter.Seq[*Zone] { return v.zones.all() }

// at returns the longest zone that a name is in, or nil.
func (v *View) at(n name) *Zone {
	for left := n.labels(); ; left-- {
		if v.depths.have(left) {
			if z, ok := v.zones.get(n); ok {
				return z
			}
		}
		if left == 0 {
			return nil
		}
		n = n.parent()
	}
}

// depths says of how many labels there are zones, so that a name in ip6.arpa is not looked for 34 times.
type depths [2]uint64 // a name has 127 labels at most

func (d *depths) have(labels int) bool { return d[labels/64]&(1<<(labels%64)) != 0 }

func depthsOf(zones trie[*Zone]) (d depths) {
	for z := range zones.all() {
		labels := z.apex.labels()
		d[labels/64] |= 1 << (labels % 64)
	}
	return d
}
