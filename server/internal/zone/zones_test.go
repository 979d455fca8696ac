package zone

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestZonesThatAreThere(t *testing.T) {
	cases := []struct {
		name, changes string
		want          []string // beside lab.example.
	}{
		{"without anything", "", nil},
		{"a declared one", "zone rich.test", []string{"rich.test."}},
		{"one that is declared no more", "zone rich.test\n-zone rich.test", nil},
		{"the server's stays", "zone lab.example\n-zone lab.example", nil},
		{"a subnet's domain", "subnet a 10.0.0.0/24 rack.test", []string{"0.0.10.in-addr.arpa.", "rack.test."}},
		{"a domain that two subnets have", "subnet a 10.0.0.0/24 rack.test\nsubnet b 10.0.1.0/24 rack.test\n-subnet a",
			[]string{"1.0.10.in-addr.arpa.", "rack.test."}},
		{"a domain that is declared too", "subnet a 10.0.0.0/24 rack.test\nzone rack.test\n-subnet a", []string{"rack.test."}},
		{"a declaration that goes before the subnet", "subnet a 10.0.0.0/24 rack.test\nzone rack.test\n-zone rack.test",
			[]string{"0.0.10.in-addr.arpa.", "rack.test."}},
		{"a subnet that gets another domain", "subnet a 10.0.0.0/24 rack.test\nsubnet a 10.0.0.0/24 hall.test",
			[]string{"0.0.10.in-addr.arpa.", "hall.test."}},
		{"a subnet that grows", "subnet a 10.0.0.0/24\nsubnet a 10.0.0.0/23", []string{"0.0.10.in-addr.arpa.", "1.0.10.in-addr.arpa."}},
		{"a subnet that goes", "subnet a 10.0.0.0/24 rack.test\n-subnet a", nil},
		{"two fabrics with the same network", "subnet a 10.0.0.0/24\nsubnet b 10.0.0.0/24\n-subnet a", []string{"0.0.10.in-addr.arpa."}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for _, text := range [][]string{{c.changes}, strings.Split(c.changes, "\n")} { // at once, and one by one
				z := empty(t)
				for _, part := range text {
					do(t, z, part)
				}
				got := slices.DeleteFunc(slices.Sorted(maps.Keys(everything(z.Now()))), func(name string) bool { return name == "lab.example." })
				if diff := cmp.Diff(c.want, got, cmp.Transformer("", func(l []string) string { return strings.Join(l, " ") })); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

func TestContentOfZones(t *testing.T) {
	z := empty(t)
	do(t, z, `
		subnet rack 172.31.0.0/24
		subnet small 192.0.2.64/26 small.lab.example
		machine m1 n1
		addr rack 172.31.0.11 m:m1
		addr small 192.0.2.65 m:m1
		device switch - rack small
		addr small 192.0.2.66 d:switch
		addr rack 172.31.0.66 d:switch
		device outside other.test rack
		addr rack 172.31.0.67 d:outside
		reservation r1 printer
		addr rack 172.31.0.12 r:r1
		reservation r2
		addr rack 172.31.0.13 r:r2
		zone small.lab.example 300 5 ns1.small.lab.example
		set small.lab.example ns1 0 A 192.0.2.70
		set small.lab.example n1 20 TXT hello
	`)
	const soa, ns = " 60 IN SOA metald.lab.example. hostmaster.", " 60 IN NS metald.lab.example."
	want := map[string]string{
		"lab.example.": "lab.example." + soa + "lab.example. SERIAL 3600 600 604800 10\nlab.example." + ns + `
			metald.lab.example. 60 IN A 172.31.0.1
			metald.lab.example. 60 IN AAAA fd00:31::1
			n1.lab.example. 60 IN A 172.31.0.11
			ns1.small.lab.example. 300 IN A 192.0.2.70
			printer.lab.example. 60 IN A 172.31.0.12
			small.lab.example. 300 IN NS metald.lab.example.
			small.lab.example. 300 IN NS ns1.small.lab.example.
			switch.lab.example. 60 IN A 172.31.0.66
			switch.lab.example. 60 IN A 192.0.2.66`,
		"small.lab.example.": `
			small.lab.example. 300 IN SOA metald.lab.example. hostmaster.small.lab.example. SERIAL 3600 600 604800 5
			small.lab.example. 300 IN NS metald.lab.example.
			small.lab.example. 300 IN NS ns1.small.lab.example.
			n1.small.lab.example. 300 IN A 192.0.2.65
			n1.small.lab.example. 20 IN TXT "hello"
			ns1.small.lab.example. 300 IN A 192.0.2.70`,
		"0.31.172.in-addr.arpa.": "0.31.172.in-addr.arpa." + soa + "0.31.172.in-addr.arpa. SERIAL 3600 600 604800 10\n0.31.172.in-addr.arpa." + ns + `
			11.0.31.172.in-addr.arpa. 60 IN PTR n1.lab.example.
			12.0.31.172.in-addr.arpa. 60 IN PTR printer.lab.example.
			66.0.31.172.in-addr.arpa. 60 IN PTR switch.lab.example.
			67.0.31.172.in-addr.arpa. 60 IN PTR outside.other.test.`,
		"2.0.192.in-addr.arpa.": "2.0.192.in-addr.arpa." + soa + "2.0.192.in-addr.arpa. SERIAL 3600 600 604800 10\n2.0.192.in-addr.arpa." + ns + `
			64/26.2.0.192.in-addr.arpa.` + ns + `
			65.2.0.192.in-addr.arpa. 60 IN PTR n1.small.lab.example.
			66.2.0.192.in-addr.arpa. 60 IN PTR switch.lab.example.`,
		"64/26.2.0.192.in-addr.arpa.": "64/26.2.0.192.in-addr.arpa." + soa + "64/26.2.0.192.in-addr.arpa. SERIAL 3600 600 604800 10\n64/26.2.0.192.in-addr.arpa." + ns + `
			65.64/26.2.0.192.in-addr.arpa. 60 IN PTR n1.small.lab.example.
			66.64/26.2.0.192.in-addr.arpa. 60 IN PTR switch.lab.example.`,
	}
	got := everything(z.Now())
	for zone, text := range want {
		lines := slices.Sorted(strings.Lines(written(text)))
		if diff := cmp.Diff(strings.Join(lines, ""), strings.Join(got[zone], "\n")+"\n"); diff != "" {
			t.Errorf("%s (-want +got):\n%s", zone, diff)
		}
		delete(got, zone)
	}
	if len(got) > 0 {
		t.Errorf("also got %v", got)
	}
}

func TestSerialsRiseWithTheZoneTheyAreOf(t *testing.T) {
	z := empty(t)
	do(t, z, "subnet rack 172.31.0.0/24\nsubnet hall 10.0.0.0/24 hall.test\nmachine m1 n1")
	serials := func() string {
		return fmt.Sprint(serialOf(t, z, "lab.example"), serialOf(t, z, "0.31.172.in-addr.arpa"), serialOf(t, z, "hall.test"))
	}
	for _, c := range []struct{ change, want string }{
		{"", "101 102 102"},
		{"addr rack 172.31.0.11 m:m1", "102 103 102"},
		{"addr rack 172.31.0.11 m:m1", "102 103 102"},
		{"machine m1 n1", "102 103 102"},
		{"machine m1 n2", "103 104 102"},
		{"addr hall 10.0.0.11 m:m1\n-addr hall 10.0.0.11", "103 104 102"},
		{"zone hall.test 60 10", "103 104 102"},
		{"zone hall.test 60 11", "103 104 103"},
		{"zone hall.test 61 11", "103 104 104"},
		{"-subnet hall\n-zone hall.test\nsubnet hall 10.0.0.0/24 hall.test", "103 104 105"},
	} {
		do(t, z, c.change)
		if got := serials(); got != c.want {
			t.Errorf("after %q: got %s; want %s", c.change, got, c.want)
		}
	}
	do(t, z, "-subnet hall")
	for range 10 {
		do(t, z, "machine m1 a")
		do(t, z, "machine m1 b")
	}
	do(t, z, "subnet hall 10.0.0.0/24 hall.test")
	if got, top := serialOf(t, z, "hall.test"), z.Top(); got != top || got < 120 {
		t.Errorf("a zone that comes again: got %d; want %d, above all before", got, top)
	}
}

func TestSerialsGoOnBehindTheLast(t *testing.T) {
	config := labConfig
	config.Serial = 1<<32 - 3
	z, err := New(config)
	if err != nil {
		t.Fatal(err)
	}
	was := serialOf(t, z, "lab.example")
	do(t, z, "subnet rack 172.31.0.0/24\naddr rack 172.31.0.11 m:m1")
	for i := range 6 {
		do(t, z, fmt.Sprint("machine m1 n", i))
		now := serialOf(t, z, "lab.example")
		if !above(now, was) || now != z.Top() && serialOf(t, z, "0.31.172.in-addr.arpa") != z.Top() {
			t.Errorf("got serial %d after %d, top %d; want a higher one (RFC 1982)", now, was, z.Top())
		}
		was = now
	}
	if was > 100 {
		t.Errorf("got serial %d; want one that has begun anew", was)
	}
}

func TestTheJournalForgets(t *testing.T) {
	z := empty(t)
	do(t, z, "subnet rack 172.31.0.0/24\naddr rack 172.31.0.11 m:m1")
	first := serialOf(t, z, "lab.example")
	for i := range maxDeltas + 5 {
		do(t, z, fmt.Sprint("machine m1 n", i))
	}
	found, _ := z.Now().Zone("lab.example")
	if _, ok := found.Since(first); ok {
		t.Error("more changes are remembered than should be")
	}
	deltas, ok := found.Since(found.Serial() - maxDeltas)
	if !ok || len(deltas) != maxDeltas || len(deltas[0].Removed) != 1 || len(deltas[0].Added) != 1 {
		t.Errorf("got %d changes, %t; want %d", len(deltas), ok, maxDeltas)
	}
	if deltas, ok := found.Since(found.Serial()); !ok || len(deltas) != 0 {
		t.Errorf("since now: got %d changes, %t; want none", len(deltas), ok)
	}
	do(t, z, "zone lab.example")
	for i := range 30 { // 64 KiB each
		do(t, z, fmt.Sprintf("set lab.example big 0 TXT %s", strings.Repeat(fmt.Sprintf(`| "%0200d" `, i), 250)[2:]))
	}
	found, _ = z.Now().Zone("lab.example")
	size := 0
	for _, d := range found.journal.deltas {
		size += d.bytes
	}
	if size > maxJournalBytes || size != found.journal.bytes || len(found.journal.deltas) == 0 {
		t.Errorf("got %d bytes in %d changes, %d counted; want at most %d", size, len(found.journal.deltas), found.journal.bytes, maxJournalBytes)
	}
}

func TestAViewDoesNotChange(t *testing.T) {
	z := empty(t)
	do(t, z, "subnet rack 172.31.0.0/24\nmachine m1 n1\naddr rack 172.31.0.11 m:m1")
	view := z.Now()
	before := everything(view)
	do(t, z, "machine m1 n2\nsubnet hall 10.0.0.0/24 hall.test\nzone lab.example 5 5")
	do(t, z, "-addr rack 172.31.0.11\n-subnet rack")
	if diff := cmp.Diff(before, everything(view)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestAWatchNamesWhatChanged(t *testing.T) {
	z := empty(t)
	do(t, z, "subnet rack 172.31.0.0/24\nmachine m1 n1")
	w := z.Watch()
	defer w.Close()
	take := func() string {
		select {
		case <-w.Changed():
			return strings.Join(w.Take(), " ")
		default:
			return ""
		}
	}
	for _, c := range []struct{ change, want string }{
		{"", ""},
		{"addr rack 172.31.0.11 m:m1", "0.31.172.in-addr.arpa. lab.example."},
		{"lease rack 172.31.0.100 aa - 0", ""},
		{"machine m2 n2", ""},
		{"zone rich.test", "rich.test."},
		{"set rich.test @ 0 A 192.0.2.1", "rich.test."},
		{"-set rich.test @ A\n-zone rich.test", "rich.test."},
	} {
		do(t, z, c.change)
		if got := take(); got != c.want {
			t.Errorf("after %q: got %q; want %q", c.change, got, c.want)
		}
	}
	do(t, z, "machine m1 a")
	do(t, z, "machine m1 b")
	if got := take(); got != "0.31.172.in-addr.arpa. lab.example." {
		t.Errorf("after two changes: got %q; want each zone once", got)
	}
}

func TestSettingsOfZones(t *testing.T) {
	z := empty(t)
	z.Change(func(b *Batch) {
		b.SetZone(metal.Zone{Name: "RICH.test.", Spec: metal.ZoneSpec{Mailbox: "dns.admin@example.com", Transfer: metal.TransferSpec{Keys: []string{"k"}}}})
	})
	found, ok := z.Now().Zone("rich.test")
	if !ok || found.Name() != "rich.test." {
		t.Fatalf("got %v, %t; want the declared zone", found, ok)
	}
	if got := found.SOA().Mbox; got != `dns\.admin.example.com.` {
		t.Errorf("mailbox: got %s", got)
	}
	if spec := found.Spec(); spec.TTL != 60 || spec.NegativeTTL != 10 || len(spec.Transfer.Keys) != 1 {
		t.Errorf("got %+v; want the defaults, and the key", spec)
	}
	if below, ok := z.Now().Find("a.b.RICH.test"); !ok || below != found {
		t.Errorf("got %v, %t; want the zone that the name is in", below, ok)
	}
}

func TestConfigurationsThatAreNone(t *testing.T) {
	for _, c := range []Config{{Zone: "a..b", NameServer: "ns.b"}, {Zone: "b", NameServer: strings.Repeat("x", 64) + ".b"}} {
		if _, err := New(c); metal.CodeOf(err) != metal.Invalid {
			t.Errorf("%+v: got %v; want invalid", c, err)
		}
	}
}
