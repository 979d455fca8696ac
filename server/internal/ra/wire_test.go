package ra

import (
	"bytes"
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "\n", "", "\t", "").Replace(text))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// values compares addresses by value.
var values = cmp.Options{
	cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }),
	cmp.Comparer(func(a, b netip.Addr) bool { return a == b }),
	cmpopts.EquateEmpty(),
}

var mac = net.HardwareAddr{0x52, 0x54, 0, 0, 0, 1}

func TestAdvertisementsOnTheWire(t *testing.T) {
	cases := []struct {
		name          string
		advertisement Advertisement
		wire          string
	}{
		{
			"the least there is", Advertisement{},
			"86 00 0000 00 00 0000 00000000 00000000",
		},
		{
			"no router, but a link-layer address", Advertisement{SourceLinkLayer: mac},
			"86 00 0000 00 00 0000 00000000 00000000  01 01 525400000001",
		},
		{
			"a router for half an hour with both DHCPv6 flags", Advertisement{HopLimit: 64, Managed: true, Other: true, RouterLifetime: 30 * time.Minute},
			"86 00 0000 40 c0 0708 00000000 00000000",
		},
		{
			"an MTU", Advertisement{MTU: 1500},
			"86 00 0000 00 00 0000 00000000 00000000  05 01 0000 000005dc",
		},
		{
			"a prefix on the link for ever, for addresses of an hour",
			Advertisement{Prefixes: []Prefix{{Prefix: netip.MustParsePrefix("fd00:31::/64"), OnLink: true, Autonomous: true, Valid: Infinite, Preferred: time.Hour}}},
			"86 00 0000 00 00 0000 00000000 00000000  03 04 40 c0 ffffffff 00000e10 00000000 fd000031000000000000000000000000",
		},
		{
			"two prefixes, the first only on the link",
			Advertisement{Prefixes: []Prefix{
				{Prefix: netip.MustParsePrefix("2001:db8::/56"), OnLink: true, Valid: time.Minute},
				{Prefix: netip.MustParsePrefix("2001:db8:1::/64"), Autonomous: true, Valid: time.Minute, Preferred: time.Second},
			}},
			`86 00 0000 00 00 0000 00000000 00000000
			 03 04 38 80 0000003c 00000000 00000000 20010db8000000000000000000000000
			 03 04 40 40 0000003c 00000001 00000000 20010db8000100000000000000000000`,
		},
		{
			"name servers, and those that are to be forgotten",
			Advertisement{Resolvers: []Resolvers{
				{Servers: []netip.Addr{netip.MustParseAddr("fd00::53"), netip.MustParseAddr("fd00::54")}, Lifetime: 10 * time.Minute},
				{Servers: []netip.Addr{netip.MustParseAddr("fd00::55")}},
			}},
			`86 00 0000 00 00 0000 00000000 00000000
			 19 05 0000 00000258 fd000000000000000000000000000053 fd000000000000000000000000000054
			 19 03 0000 00000000 fd000000000000000000000000000055`,
		},
		{
			"a search list, filled up, and one that needs no filling",
			Advertisement{Search: []Search{
				{Domains: []string{"a.test", "b"}, Lifetime: 10 * time.Minute}, {Domains: []string{"abcdef"}},
			}},
			`86 00 0000 00 00 0000 00000000 00000000
			 1f 03 0000 00000258 01 61 04 74657374 00  01 62 00 00 00 00 00 00
			 1f 02 0000 00000000 06 616263646566 00`,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			want := unhex(t, c.wire)
			if got := c.advertisement.Marshal(); !bytes.Equal(got, want) {
				t.Errorf("got\n% x; want\n% x", got, want)
			}
			back, err := ParseAdvertisement(want)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.advertisement, back, values); diff != "" {
				t.Errorf("parsed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLifetimesBeyondTheFieldAreTheLongest(t *testing.T) {
	a := Advertisement{RouterLifetime: 48 * time.Hour, Prefixes: []Prefix{{Prefix: netip.MustParsePrefix("fd00::/64"), Valid: 2 * Infinite, Preferred: -time.Second}}}
	back, err := ParseAdvertisement(a.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	if back.RouterLifetime != 65535*time.Second || back.Prefixes[0].Valid != Infinite || back.Prefixes[0].Preferred != 0 {
		t.Errorf("got %s, %s, %s; want 65535 s, for ever, 0", back.RouterLifetime, back.Prefixes[0].Valid, back.Prefixes[0].Preferred)
	}
}

func TestSolicitationsThatAreAnswered(t *testing.T) {
	cases := []struct {
		name, source, wire string
		want               Solicitation
	}{
		{"iPXE's, with its address", "fe80::5054:ff:fe00:1", "85 00 7bb8 00000000 01 01 525400000001", Solicitation{SourceLinkLayer: mac}},
		{"one without options", "fe80::1", "85 00 0000 00000000", Solicitation{}},
		{"one from a host without an address", "::", "85 00 0000 00000000", Solicitation{}},
		{"one with an option nobody knows (a nonce, RFC 3971)", "fe80::1", "85 00 0000 00000000 0e 01 010203040506 01 01 525400000001", Solicitation{SourceLinkLayer: mac}},
		{"one with an InfiniBand address", "fe80::1", "85 00 0000 00000000 01 02 0000 000102030405060708090a0b", Solicitation{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseSolicitation(unhex(t, c.wire), netip.MustParseAddr(c.source), 255)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestSolicitationsThatAreIgnored(t *testing.T) {
	cases := []struct {
		name, source, wire string
		hopLimit           int
	}{
		{"nothing", "fe80::1", "", 255},
		{"another message", "fe80::1", "86 00 0000 00000000", 255},
		{"a short one", "fe80::1", "85 00 0000 000000", 255},
		{"one that passed a router", "2001:db8::1", "85 00 0000 00000000", 254},
		{"one with a code", "fe80::1", "85 01 0000 00000000", 255},
		{"an option of no length", "fe80::1", "85 00 0000 00000000 01 00 525400000001", 255},
		{"an option longer than the message", "fe80::1", "85 00 0000 00000000 01 02 525400000001", 255},
		{"half an option", "fe80::1", "85 00 0000 00000000 01", 255},
		{"a link-layer address from a host without an address", "::", "85 00 0000 00000000 01 01 525400000001", 255},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, err := ParseSolicitation(unhex(t, c.wire), netip.MustParseAddr(c.source), c.hopLimit); err == nil {
				t.Errorf("got %+v; want an error", got)
			}
		})
	}
}

func TestAdvertisementsThatAreIgnored(t *testing.T) {
	cases := []struct{ name, wire string }{
		{"nothing", ""},
		{"another message", "85 00 0000 00000000 00000000 00000000"},
		{"a short one", "86 00 0000 00 00 0000 00000000 000000"},
		{"one with a code", "86 01 0000 00 00 0000 00000000 00000000"},
		{"an option of no length", "86 00 0000 00 00 0000 00000000 00000000 05 00 0000 000005dc"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got, err := ParseAdvertisement(unhex(t, c.wire)); err == nil {
				t.Errorf("got %+v; want an error", got)
			}
		})
	}
}

func TestOptionsThatSayNothingAreSkipped(t *testing.T) {
	for _, c := range []struct{ name, wire string }{
		{"name servers without one", "19 01 0000 00000258"},
		{"a search list without one", "1f 01 0000 00000258"},
		{"a search list of filling", "1f 02 0000 00000258 0000000000000000"},
		{"a search list of half a name", "1f 02 0000 00000258 07 61626364656667"},
		{"a search list of a name without an end", "1f 02 0000 00000258 06 616263646566 01"},
		{"a search list of a pointer", "1f 02 0000 00000258 c000 000000000000"},
		{"a label with a dot", "1f 02 0000 00000258 03 612e62 00 000000"},
	} {
		a, err := ParseAdvertisement(unhex(t, "86 00 0000 00 00 0000 00000000 00000000 "+c.wire))
		if err != nil || len(a.Resolvers)+len(a.Search) > 0 {
			t.Errorf("%s: got %+v, %v; want nothing", c.name, a, err)
		}
	}
}

func FuzzParseSolicitation(f *testing.F) {
	for _, seed := range []string{
		"85 00 7bb8 00000000 01 01 525400000001", "85 00 0000 00000000", "85 00 0000 00000000 0e 01 010203040506",
		"85 00 0000 00000000 01 00", "85 00 0000 00000000 01 ff 00",
	} {
		f.Add(unhex(f, seed), true)
	}
	f.Fuzz(func(t *testing.T, message []byte, hasAddress bool) {
		source := netip.IPv6Unspecified()
		if hasAddress {
			source = netip.MustParseAddr("fe80::1")
		}
		s, err := ParseSolicitation(message, source, 255)
		if err != nil {
			return
		}
		again, err := ParseSolicitation(s.Marshal(), source, 255)
		if err != nil {
			t.Fatalf("what Marshal wrote is refused: %v", err)
		}
		if diff := cmp.Diff(s, again); diff != "" {
			t.Errorf("parse, marshal, parse is not the identity:\n%s", diff)
		}
	})
}

func FuzzParseAdvertisement(f *testing.F) {
	f.Add(unhex(f, "86 00 0000 40 c0 0708 00000000 00000000 05 01 0000 000005dc"))
	f.Add(unhex(f, "86 00 0000 00 00 0000 00000000 00000000  03 04 40 c0 ffffffff 00000e10 00000000 fd000031000000000000000000000000"))
	f.Add(unhex(f, "86 00 0000 00 00 0000 00000000 00000000  03 04 ff c0 ffffffff 00000e10 00000000 fd000031000000000000000000000000"))
	f.Add(unhex(f, "86 00 0000 00 00 0000 00000000 00000000 19 03 0000 00000258 fd000000000000000000000000000055 1f 02 0000 00000000 06 616263646566 00"))
	f.Add(unhex(f, "86 00 0000 00 00 0000 00000000 00000000 1f 03 0000 00000258 01 61 04 74657374 00  01 62 00 00 00 00 00 00"))
	f.Fuzz(func(t *testing.T, message []byte) {
		a, err := ParseAdvertisement(message)
		if err != nil {
			return
		}
		again, err := ParseAdvertisement(a.Marshal())
		if err != nil {
			t.Fatalf("what Marshal wrote is refused: %v", err)
		}
		if diff := cmp.Diff(a, again, values); diff != "" {
			t.Errorf("parse, marshal, parse is not the identity:\n%s", diff)
		}
	})
}
