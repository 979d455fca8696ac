package udp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestPacketInfoSurvivesARoundTrip(t *testing.T) {
	cases := []struct {
		name    string
		family  family
		source  string
		ifIndex int
		bytes   int
	}{
		{"an IPv4 source and an interface", inet4, "172.31.0.1", 7, 32},
		{"an IPv4 source alone", inet4, "127.0.0.5", 0, 32},
		{"an IPv6 source and an interface", inet6, "fe80::1", 300, 40},
		{"an IPv6 source alone", inet6, "fd00:31::1", 0, 40},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			oob := appendPacketInfo(nil, c.family, netip.MustParseAddr(c.source), c.ifIndex)
			if len(oob) != c.bytes || len(oob) > controlSpace {
				t.Errorf("got %d bytes; want %d, at most %d", len(oob), c.bytes, controlSpace)
			}
			_, ifIndex := packetInfo(oob)
			if ifIndex != c.ifIndex {
				t.Errorf("got interface %d; want %d", ifIndex, c.ifIndex)
			}
			// What is sent and what is received differ for IPv4: the source is ipi_spec_dst, the destination ipi_addr.
			if c.family == inet6 {
				if to, _ := packetInfo(oob); to.String() != c.source {
					t.Errorf("got address %s; want %s", to, c.source)
				}
			} else if got := netip.AddrFrom4([4]byte(oob[20:24])).String(); got != c.source {
				t.Errorf("got ipi_spec_dst %s; want %s", got, c.source)
			}
		})
	}
}

func TestNothingIsChosenWhereNothingCanBe(t *testing.T) {
	cases := []struct {
		name   string
		family family
		source netip.Addr
	}{
		{"no source", inet4, netip.Addr{}},
		{"the unspecified address", inet4, netip.IPv4Unspecified()},
		{"an IPv4 multicast group", inet4, netip.MustParseAddr("224.0.0.1")},
		{"an IPv6 multicast group", inet6, netip.MustParseAddr("ff02::1:2")},
		{"an IPv6 source on an IPv4 socket", inet4, netip.MustParseAddr("fd00::1")},
		{"an IPv4 source on an IPv6 socket", inet6, netip.MustParseAddr("10.0.0.1")},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := appendPacketInfo(nil, c.family, c.source, 0); len(got) != 0 {
				t.Errorf("got % x; want no control message", got)
			}
		})
	}
}

func TestAnInterfaceAloneLeavesTheSourceToTheKernel(t *testing.T) {
	for _, fam := range []family{inet4, inet6} {
		oob := appendPacketInfo(nil, fam, netip.Addr{}, 9)
		to, ifIndex := packetInfo(oob)
		if ifIndex != 9 || (to.IsValid() && !to.IsUnspecified()) {
			t.Errorf("family %d: got address %s, interface %d; want none, 9", fam, to, ifIndex)
		}
	}
}

func FuzzPacketInfo(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendPacketInfo(nil, inet4, netip.MustParseAddr("10.0.0.1"), 1))
	f.Add(appendPacketInfo(nil, inet6, netip.MustParseAddr("fd00::1"), 1))
	f.Add(appendHeader(nil, unix.IPPROTO_IP, unix.IP_PKTINFO, 500))
	f.Fuzz(func(t *testing.T, oob []byte) {
		to, ifIndex := packetInfo(oob)
		to2, ifIndex2 := packetInfo(append([]byte(nil), oob...))
		if diff := cmp.Diff([]any{to.String(), ifIndex}, []any{to2.String(), ifIndex2}); diff != "" {
			t.Errorf("the same bytes read twice differ:\n%s", diff)
		}
	})
}
