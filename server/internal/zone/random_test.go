package zone

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// world is what a database has, as the lines that tell of it, by what they are about.
type world struct {
	random *rand.Rand
	things map[string]string
	leases int
}

// change is one random change; it is remembered in the world, and returned as do takes it.
func (w *world) change() string {
	pick := func(from ...string) string { return from[w.random.IntN(len(from))] }
	number := func(n int) int { return w.random.IntN(n) }
	subnet := pick("a", "b", "c", "six")
	addr := map[string]string{
		"a": fmt.Sprintf("10.0.0.%d", number(20)), "b": fmt.Sprintf("10.0.1.%d", 64+number(20)),
		"c": fmt.Sprintf("10.2.0.%d", number(20)), "six": fmt.Sprintf("fd00::%x", number(20)),
	}[subnet]
	var key, line string
	switch number(12) {
	case 0:
		cidr := map[string]string{"a": pick("10.0.0.0/24", "10.0.0.0/22"), "b": "10.0.1.64/26", "c": "10.2.0.0/16", "six": "fd00::/62"}[subnet]
		key, line = "subnet "+subnet, cidr+" "+pick("", "x.lab.example", "y.test", "lab.example", "a.b.x.lab.example")
	case 1:
		key, line = "machine m"+fmt.Sprint(number(6)), pick("n1", "n2", "n3", "n4")
	case 2:
		key, line = "device d"+fmt.Sprint(number(4)), pick("-", "y.test", "x.lab.example", "other.test")+" "+pick("a", "b", "six")
	case 3:
		key, line = "reservation r"+fmt.Sprint(number(4)), pick("", "n1", "printer")
	case 4, 5, 6:
		key, line = "addr "+subnet+" "+addr, fmt.Sprint(pick("m:m", "d:d", "r:r"), number(4))
	case 7, 8:
		w.leases++
		key, line = "lease "+subnet+" "+addr, fmt.Sprintf("client%d %s %d", w.leases, pick("n1", "n5", "pc", "-"), w.leases)
	case 9:
		key, line = "zone "+pick("x.lab.example", "lab.example", "y.test", "other.test", "0.10.in-addr.arpa"),
			fmt.Sprintf("%d %d %s", number(3)*100, number(2)*7, pick("", "ns.other.test", "ns1.x.lab.example", "ns.y.test."))
	default:
		key = "set " + pick("lab.example", "x.lab.example", "y.test", "other.test") + " " + pick("@", "n1", "n5", "*", "sub", "ns1.x", "ns", "deep.er")
		return w.tell(key+" "+pick("A", "TXT", "NS", "CNAME"), "", pick)
	}
	return w.tell(key, line, pick)
}

// tell writes a change down: now and then that the thing is gone.
func (w *world) tell(key, line string, pick func(...string) string) string {
	if _, known := w.things[key]; known && w.random.IntN(3) == 0 {
		delete(w.things, key)
		if subnet, ok := strings.CutPrefix(key, "subnet "); ok { // its leases go with it, untold
			maps.DeleteFunc(w.things, func(key, _ string) bool { return strings.HasPrefix(key, "lease "+subnet+" ") })
		}
		return "-" + key
	}
	if f := strings.Fields(key); f[0] == "set" {
		value := map[string]string{
			"A": pick("192.0.2.1", "192.0.2.1 | 192.0.2.2", "192.0.2.3"), "TXT": pick("x", "y"),
			"NS": pick("ns1", "ns.other.test."), "CNAME": pick("n1", "pc.lab.example."),
		}[f[3]]
		line = fmt.Sprintf("set %s %s %s %s %s", f[1], f[2], pick("0", "5"), f[3], value)
	} else {
		line = key + " " + line
	}
	w.things[key] = line
	return line
}

func TestChangesOneByOneMakeWhatAllAtOnceDo(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			w := &world{random: rand.New(rand.NewPCG(seed, 1)), things: map[string]string{}}
			z := empty(t)
			for step := range 120 {
				was := z.Now()
				var told []string
				for range 1 + w.random.IntN(3) {
					told = append(told, w.change())
				}
				do(t, z, strings.Join(told, "\n"))
				checkSerials(t, was, z.Now())
				if t.Failed() {
					t.Fatalf("after step %d: %q", step, told)
				}
				if step%10 != 9 {
					continue
				}
				again := empty(t)
				lines := slices.Sorted(maps.Values(w.things))
				w.random.Shuffle(len(lines), func(i, j int) { lines[i], lines[j] = lines[j], lines[i] })
				do(t, again, strings.Join(lines, "\n"))
				if diff := cmp.Diff(everything(again.Now()), everything(z.Now())); diff != "" {
					t.Fatalf("after step %d, of\n%s\n(-from scratch +step by step):\n%s", step, strings.Join(lines, "\n"), diff)
				}
				checkCounts(t, z.Now())
			}
		})
	}
}

// checkSerials checks that a zone has the next serial where its content is another, and only there, and that its
// journal makes the new content of the old.
func checkSerials(t *testing.T, was, now *View) {
	t.Helper()
	for z := range now.All() {
		old, ok := was.Zone(z.Name())
		if !ok {
			continue
		}
		before, after := content(old), content(z)
		if slices.Equal(before, after) {
			if _, same := z.Since(old.Serial()); same && old.Serial() != z.Serial() { // else it went, and came again
				t.Errorf("%s: got serial %d after %d; nothing changed", z.Name(), z.Serial(), old.Serial())
			}
			continue
		}
		if !above(z.Serial(), old.Serial()) {
			t.Errorf("%s: got serial %d after %d, and another content", z.Name(), z.Serial(), old.Serial())
		}
		deltas, ok := z.Since(old.Serial())
		if !ok || len(deltas) != 1 {
			if z.Serial() != old.Serial()+1 { // it went, and came again
				continue
			}
			t.Errorf("%s: got %d changes, %t; want one", z.Name(), len(deltas), ok)
			continue
		}
		if diff := cmp.Diff(after, patched(t, old, deltas)); diff != "" {
			t.Errorf("%s: content by the journal (-want +got):\n%s", z.Name(), diff)
		}
	}
}

// patched is the content of a zone after the changes, as a secondary server makes it.
func patched(t *testing.T, z *Zone, deltas []Delta) []string {
	t.Helper()
	lines := map[string]bool{}
	soa, records := z.Transfer()
	for rr := range records {
		lines[oneLine(rr)] = true
	}
	for _, d := range deltas {
		if d.From.Serial != soa.Serial {
			t.Errorf("%s: a change from %d follows serial %d", z.Name(), d.From.Serial, soa.Serial)
		}
		for _, rr := range d.Removed {
			if !lines[oneLine(rr)] {
				t.Errorf("%s: %q is removed, and was not there", z.Name(), oneLine(rr))
			}
			delete(lines, oneLine(rr))
		}
		for _, rr := range d.Added {
			if lines[oneLine(rr)] {
				t.Errorf("%s: %q is added, and was there", z.Name(), oneLine(rr))
			}
			lines[oneLine(rr)] = true
		}
		soa = d.To
	}
	list := slices.Collect(maps.Keys(lines))
	list = append(list, strings.Replace(oneLine(soa), fmt.Sprintf(" %d ", soa.Serial), " SERIAL ", 1))
	slices.Sort(list)
	return list
}

// checkCounts checks what zones count of their names against the names, and that every name between another one and
// the apex is there (RFC 8020).
func checkCounts(t *testing.T, v *View) {
	t.Helper()
	for z := range v.All() {
		cuts, wild, names := 0, 0, 0
		var below []name
		for n := range z.nodes.all() {
			names++
			if n.cut {
				cuts++
				below = append(below, n.name)
			}
			if n.name.wild() {
				wild++
			}
		}
		if cuts != z.cuts || wild != z.wild || names != z.nodes.size {
			t.Errorf("%s: got %d cuts, %d wildcards, %d names counted; want %d, %d, %d", z.Name(), z.cuts, z.wild, z.nodes.size, cuts, wild, names)
		}
		for n := range z.nodes.all() {
			for parent := n.name; parent != z.apex; parent = parent.parent() {
				if slices.ContainsFunc(below, func(cut name) bool { return parent.within(cut) }) {
					break // glue
				}
				if _, ok := z.nodes.get(parent.parent()); !ok {
					t.Errorf("%s: %s is there, and %s is not", z.Name(), n.name.text(), parent.parent().text())
				}
			}
		}
	}
}
