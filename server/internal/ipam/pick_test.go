package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func among(list ...netip.Addr) func(netip.Addr) bool {
	return func(a netip.Addr) bool { return slices.Contains(list, a) }
}

func TestPick(t *testing.T) {
	small := metal.SubnetSpec{CIDR: netip.MustParsePrefix("192.0.2.0/29"), Gateway: addr("192.0.2.1")}
	with := func(change func(*metal.SubnetSpec)) metal.SubnetSpec {
		s := small
		change(&s)
		return s
	}
	six := metal.SubnetSpec{CIDR: netip.MustParsePrefix("2001:db8::/64"), Gateway: addr("fe80::1")}
	tests := []struct {
		name            string
		spec            metal.SubnetSpec
		reserved, taken []string
		want            string // empty: none
	}{
		{"the first one behind the gateway", small, nil, nil, "192.0.2.2"},
		{"the network's own address without a gateway is none", with(func(s *metal.SubnetSpec) { s.Gateway = netip.Addr{} }), nil, nil, "192.0.2.1"},
		{"a gap", small, nil, []string{"192.0.2.2", "192.0.2.4"}, "192.0.2.3"},
		{"a reserved one is left out", small, []string{"192.0.2.2"}, []string{"192.0.2.3"}, "192.0.2.4"},
		{"a dynamic range is left out", with(func(s *metal.SubnetSpec) { s.DHCP.Ranges = []metal.AddrRange{rng("192.0.2.2", "192.0.2.5")} }), nil, nil, "192.0.2.6"},
		{"name and time servers are left out", with(func(s *metal.SubnetSpec) {
			s.DNS, s.NTP = []netip.Addr{addr("192.0.2.2")}, []netip.Addr{addr("192.0.2.3")}
		}), nil, nil, "192.0.2.4"},
		{"the broadcast address is none", small, nil, []string{"192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"}, ""},
		{"nothing outside dynamic ranges", with(func(s *metal.SubnetSpec) { s.DHCP.Ranges = []metal.AddrRange{rng("192.0.2.2", "192.0.2.6")} }), nil, nil, ""},
		{"the end of the address space", metal.SubnetSpec{CIDR: netip.MustParsePrefix("255.255.255.252/30")}, nil, []string{"255.255.255.253", "255.255.255.254"}, ""},
		{"IPv6 begins behind the anycast address", six, nil, nil, "2001:db8::1"},
		{"IPv6 with a gap", six, []string{"2001:db8::1"}, []string{"2001:db8::2", "2001:db8::4"}, "2001:db8::3"},
		{"the last address of IPv6", metal.SubnetSpec{CIDR: netip.MustParsePrefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe/127")}, nil, []string{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe"}, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{"a subnet without a network", metal.SubnetSpec{}, nil, nil, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want netip.Addr
			if tt.want != "" {
				want = addr(tt.want)
			}
			parse := func(list []string) (out []netip.Addr) {
				for _, s := range list {
					out = append(out, addr(s))
				}
				return out
			}
			taken := parse(tt.taken)
			if got, ok := Pick(tt.spec, parse(tt.reserved), among(taken...)); got != want || ok != want.IsValid() {
				t.Errorf("Pick: got %v, %v; want %q", got, ok, tt.want)
			}
			if got, ok := PickSorted(tt.spec, parse(tt.reserved), taken); got != want || ok != want.IsValid() {
				t.Errorf("PickSorted: got %v, %v; want %q", got, ok, tt.want)
			}
		})
	}
}

func TestPickDynamic(t *testing.T) {
	spec := metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("192.0.2.0/24"), Gateway: addr("192.0.2.1"), DNS: []netip.Addr{addr("192.0.2.201")},
		DHCP: metal.DHCPSpec{Ranges: []metal.AddrRange{rng("192.0.2.200", "192.0.2.202"), rng("192.0.2.100", "192.0.2.101")}},
	}
	six := metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("2001:db8::/64"),
		DHCP: metal.DHCPSpec{Ranges: []metal.AddrRange{rng("2001:db8::1000", "2001:db8::ffff:ffff:ffff")}},
	}
	tests := []struct {
		name  string
		spec  metal.SubnetSpec
		hint  netip.Addr
		taken []netip.Addr
		want  netip.Addr
	}{
		{"no hint: the first of the first range", spec, netip.Addr{}, nil, addr("192.0.2.200")},
		{"a free hint", spec, addr("192.0.2.101"), nil, addr("192.0.2.101")},
		{"a taken hint", spec, addr("192.0.2.101"), []netip.Addr{addr("192.0.2.101")}, addr("192.0.2.200")},
		{"a hint outside the ranges", spec, addr("192.0.2.50"), nil, addr("192.0.2.200")},
		{"a hint of another family", spec, addr("2001:db8::1"), nil, addr("192.0.2.200")},
		{"a hint that is the name server's", spec, addr("192.0.2.201"), nil, addr("192.0.2.200")},
		{"the name server within a range is left out", spec, netip.Addr{}, []netip.Addr{addr("192.0.2.200")}, addr("192.0.2.202")},
		{"the second range when the first is full", spec, netip.Addr{}, []netip.Addr{addr("192.0.2.200"), addr("192.0.2.202")}, addr("192.0.2.100")},
		{"all ranges full", spec, netip.Addr{}, []netip.Addr{addr("192.0.2.200"), addr("192.0.2.202"), addr("192.0.2.100"), addr("192.0.2.101")}, netip.Addr{}},
		{"no ranges", metal.SubnetSpec{CIDR: spec.CIDR}, addr("192.0.2.5"), nil, netip.Addr{}},
		{"a large range of IPv6", six, netip.Addr{}, []netip.Addr{addr("2001:db8::1000")}, addr("2001:db8::1001")},
		{"a hint in it", six, addr("2001:db8::dead:beef"), nil, addr("2001:db8::dead:beef")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got, ok := PickDynamic(tt.spec, tt.hint, among(tt.taken...)); got != tt.want || ok != tt.want.IsValid() {
				t.Errorf("got %v, %v; want %v", got, ok, tt.want)
			}
		})
	}
}

// anySubnet draws a valid subnet of up to 64 addresses with all that may be in it.
func anySubnet(t *rapid.T) metal.SubnetSpec {
	var p netip.Prefix
	if rapid.Bool().Draw(t, "IPv6") {
		p = netip.PrefixFrom(addr("2001:db8::ffff:ffff:ffff:ffc0"), rapid.IntRange(122, 126).Draw(t, "bits"))
	} else {
		p = netip.PrefixFrom(addr("192.0.2.0"), rapid.IntRange(26, 30).Draw(t, "bits"))
	}
	s := metal.SubnetSpec{CIDR: p}
	first, _, count := Usable(s)
	some := rapid.Custom(func(t *rapid.T) netip.Addr { return advance(first, rapid.Uint64Range(0, uint64(count)-1).Draw(t, "i")) })
	if rapid.Bool().Draw(t, "gateway?") {
		s.Gateway = some.Draw(t, "gateway")
	}
	s.DNS = rapid.SliceOfN(some, 0, 2).Draw(t, "dns")
	for range rapid.IntRange(0, 3).Draw(t, "ranges") {
		a, b := some.Draw(t, "from"), some.Draw(t, "to")
		if b.Less(a) {
			a, b = b, a
		}
		next := s
		next.DHCP.Ranges = append(slices.Clone(s.DHCP.Ranges), metal.AddrRange{First: a, Last: b})
		if Validate(next) == nil {
			s = next
		}
	}
	return s
}

func TestPicksAreTheFirstAddressesThatMayBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := anySubnet(t)
		if err := Validate(s); err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		first, last, count := Usable(s)
		var all []netip.Addr
		for a := first; a.IsValid() && !last.Less(a); a = a.Next() {
			all = append(all, a)
		}
		if int64(len(all)) != count {
			t.Fatalf("got %d usable addresses; want the %d that Usable counts", len(all), count)
		}
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 0, len(all), rapid.ID[netip.Addr])
		taken := some.Draw(t, "taken")
		slices.SortFunc(taken, netip.Addr.Compare)
		reserved := some.Draw(t, "reserved")
		dynamic := func(a netip.Addr) bool {
			return slices.ContainsFunc(s.DHCP.Ranges, func(r metal.AddrRange) bool { return contains(r, a) })
		}
		infrastructure := func(a netip.Addr) bool { return a == s.Gateway || slices.Contains(s.DNS, a) }

		var want netip.Addr
		if i := slices.IndexFunc(all, func(a netip.Addr) bool {
			return !dynamic(a) && !infrastructure(a) && !slices.Contains(reserved, a) && !slices.Contains(taken, a)
		}); i >= 0 {
			want = all[i]
		}
		if got, ok := Pick(s, reserved, among(taken...)); got != want || ok != want.IsValid() {
			t.Fatalf("Pick: got %v, %v; want %v", got, ok, want)
		}
		if got, ok := PickSorted(s, reserved, taken); got != want || ok != want.IsValid() {
			t.Fatalf("PickSorted: got %v, %v; want %v", got, ok, want)
		}

		hint := rapid.SampledFrom(all).Draw(t, "hint")
		may := func(a netip.Addr) bool { return dynamic(a) && !infrastructure(a) && !slices.Contains(taken, a) }
		got, ok := PickDynamic(s, hint, among(taken...))
		switch {
		case may(hint):
			if got != hint {
				t.Fatalf("PickDynamic: got %v; want the hint %v", got, hint)
			}
		case ok != slices.ContainsFunc(all, may) || (ok && !may(got)):
			t.Fatalf("PickDynamic: got %v, %v, which may not be given", got, ok)
		}
	})
}

// BenchmarkPickSorted picks behind so many addresses that are taken without a gap.
func BenchmarkPickSorted(b *testing.B) {
	s := metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/8"), Gateway: addr("10.0.0.1")}
	for _, size := range []uint64{100, 100_000} {
		var taken []netip.Addr
		for i := range size {
			taken = append(taken, advance(addr("10.0.0.2"), i))
		}
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			for b.Loop() {
				if got, _ := PickSorted(s, nil, taken); got != advance(addr("10.0.0.2"), size) {
					b.Fatalf("got %v", got)
				}
			}
		})
	}
}
