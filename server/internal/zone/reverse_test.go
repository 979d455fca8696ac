package zone

import (
	"net/netip"
	"strings"
	"testing"
)

func TestReverseZones(t *testing.T) {
	cases := []struct{ subnet, first, last string }{
		{"10.0.0.0/8", "10.in-addr.arpa.", ""},
		{"10.0.0.0/9", "0.10.in-addr.arpa.", "127.10.in-addr.arpa."},
		{"10.16.0.0/12", "16.10.in-addr.arpa.", "31.10.in-addr.arpa."},
		{"10.16.0.0/16", "16.10.in-addr.arpa.", ""},
		{"10.16.252.0/22", "252.16.10.in-addr.arpa.", "255.16.10.in-addr.arpa."},
		{"10.16.0.0/24", "0.16.10.in-addr.arpa.", ""},
		{"10.16.0.128/25", "0.16.10.in-addr.arpa.", "128/25.0.16.10.in-addr.arpa."},
		{"10.16.0.2/31", "0.16.10.in-addr.arpa.", "2/31.0.16.10.in-addr.arpa."},
		{"10.16.0.1/32", "0.16.10.in-addr.arpa.", ""},
		{"128.0.0.0/1", "128.in-addr.arpa.", "255.in-addr.arpa."},
		{"fd00::/8", "d.f.ip6.arpa.", ""},
		{"2001:db8::/32", "8.b.d.0.1.0.0.2.ip6.arpa.", ""},
		{"2001:db8:40::/46", "0.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "3.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa."},
		{"2001:db8:40::/45", "0.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa.", "7.4.0.0.8.b.d.0.1.0.0.2.ip6.arpa."},
		{"fd00:31::/64", "0.0.0.0.0.0.0.0.1.3.0.0.0.0.d.f.ip6.arpa.", ""},
		{"fd00:31::1/128", strings.Repeat("0.", 23) + "1.3.0.0.0.0.d.f.ip6.arpa.", ""},
	}
	for _, c := range cases {
		zones := reverseZones(netip.MustParsePrefix(c.subnet))
		if c.last == "" {
			c.last = c.first
		}
		if first, last := zones[0].text(), zones[len(zones)-1].text(); first != c.first || last != c.last {
			t.Errorf("%s: got %s to %s; want %s to %s", c.subnet, first, last, c.first, c.last)
		}
	}
	if zones := reverseZones(netip.Prefix{}); zones != nil {
		t.Errorf("no subnet: got %v", zones)
	}
}

func FuzzReverseZones(f *testing.F) {
	f.Add([]byte{10, 1, 2, 3}, 25)
	f.Add([]byte{10, 1, 2, 3}, 0)
	f.Add([]byte{255, 255, 255, 255}, 9)
	f.Add(netip.MustParseAddr("2001:db8::ffff").AsSlice(), 63)
	f.Fuzz(func(t *testing.T, raw []byte, bits int) {
		addr, ok := netip.AddrFromSlice(raw)
		if !ok || addr.Is4In6() {
			return
		}
		subnet, err := addr.Prefix(bits)
		if err != nil {
			return
		}
		zones := reverseZones(subnet)
		if len(zones) == 0 || len(zones) > 256 {
			t.Fatalf("%s: got %d zones; want 1 to 256", subnet, len(zones))
		}
		for _, n := range reverseNames(subnet, addr) {
			in := 0
			for _, zone := range zones {
				if again, ok := parseName(zone.text()); !ok || again != zone {
					t.Errorf("%q is read as %q", zone.text(), again)
				}
				if n.within(zone) {
					in++
				}
			}
			if in == 0 {
				t.Errorf("%s of %s is in none of its zones", n.text(), subnet)
			}
		}
	})
}
