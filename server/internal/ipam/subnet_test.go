package ipam

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func TestUsable(t *testing.T) {
	tests := []struct {
		cidr, first, last string
		count             int64
	}{
		{"192.0.2.0/24", "192.0.2.1", "192.0.2.254", 254},
		{"192.0.2.0/30", "192.0.2.1", "192.0.2.2", 2},
		{"192.0.2.0/31", "192.0.2.0", "192.0.2.1", 2},
		{"192.0.2.7/32", "192.0.2.7", "192.0.2.7", 1},
		{"192.0.2.77/24", "192.0.2.1", "192.0.2.254", 254},
		{"0.0.0.0/0", "0.0.0.1", "255.255.255.254", 1<<32 - 2},
		{"255.255.255.252/30", "255.255.255.253", "255.255.255.254", 2},
		{"2001:db8::/64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", 1 << 53},
		{"2001:db8::/76", "2001:db8::1", "2001:db8::f:ffff:ffff:ffff", 1<<52 - 1},
		{"2001:db8::/75", "2001:db8::1", "2001:db8::1f:ffff:ffff:ffff", 1<<53 - 1},
		{"2001:db8::/74", "2001:db8::1", "2001:db8::3f:ffff:ffff:ffff", 1 << 53},
		{"2001:db8::/126", "2001:db8::1", "2001:db8::3", 3},
		{"2001:db8::/127", "2001:db8::", "2001:db8::1", 2},
		{"2001:db8::7/128", "2001:db8::7", "2001:db8::7", 1},
		{"::/0", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 1 << 53},
	}
	for _, tt := range tests {
		t.Run(tt.cidr, func(t *testing.T) {
			first, last, count := Usable(metal.SubnetSpec{CIDR: netip.MustParsePrefix(tt.cidr)})
			if first != addr(tt.first) || last != addr(tt.last) || count != tt.count {
				t.Errorf("got %v to %v, %d; want %s to %s, %d", first, last, count, tt.first, tt.last, tt.count)
			}
		})
	}
	if first, last, count := Usable(metal.SubnetSpec{}); first.IsValid() || last.IsValid() || count != 0 {
		t.Errorf("no network: got %v to %v, %d; want nothing", first, last, count)
	}
}

func TestValidateNamesEveryFault(t *testing.T) {
	good := metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("192.0.2.0/24"), Gateway: addr("192.0.2.1"), VLAN: 7,
		DNS: []netip.Addr{addr("198.51.100.1")}, NTP: []netip.Addr{addr("2001:db8::1")},
		DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative, LeaseSeconds: 600, Ranges: []metal.AddrRange{rng("192.0.2.100", "192.0.2.149"), rng("192.0.2.150", "192.0.2.254")}},
	}
	six := metal.SubnetSpec{
		CIDR: netip.MustParsePrefix("2001:db8::/64"), Gateway: addr("fe80::1"),
		DHCP: metal.DHCPSpec{Ranges: []metal.AddrRange{rng("2001:db8::1000", "2001:db8::1fff")}},
	}
	cidr := func(p string) func(*metal.SubnetSpec) {
		return func(s *metal.SubnetSpec) { *s = metal.SubnetSpec{CIDR: netip.MustParsePrefix(p)} }
	}
	gateway := func(a string) func(*metal.SubnetSpec) { return func(s *metal.SubnetSpec) { s.Gateway = addr(a) } }
	ranges := func(r ...metal.AddrRange) func(*metal.SubnetSpec) {
		return func(s *metal.SubnetSpec) { s.DHCP.Ranges = r }
	}
	delegate := func(p string, length int) func(*metal.SubnetSpec) {
		return func(s *metal.SubnetSpec) {
			s.DHCP.Delegation = &metal.PrefixPool{CIDR: netip.MustParsePrefix(p), Length: length}
		}
	}
	tests := []struct {
		name   string
		base   metal.SubnetSpec
		change func(*metal.SubnetSpec)
		says   []string // none: it is valid
	}{
		{"IPv4 with everything", good, func(*metal.SubnetSpec) {}, nil},
		{"IPv6 with a link-local gateway", six, func(*metal.SubnetSpec) {}, nil},
		{"IPv6 with a global gateway", six, gateway("2001:db8::1"), nil},
		{"the smallest IPv4 network", good, cidr("192.0.2.0/30"), nil},
		{"the smallest IPv6 network", good, cidr("2001:db8::/126"), nil},
		{"no network", good, func(s *metal.SubnetSpec) { s.CIDR = netip.Prefix{} }, []string{"no network"}},
		{"host bits", good, cidr("192.0.2.7/24"), []string{"host bits: the network is 192.0.2.0/24"}},
		{"host bits in IPv6", good, cidr("2001:db8::7/64"), []string{"the network is 2001:db8::/64"}},
		{"a /31", good, cidr("192.0.2.0/31"), []string{"no room", "/30"}},
		{"a /32", good, cidr("192.0.2.1/32"), []string{"no room"}},
		{"a /127", good, cidr("2001:db8::/127"), []string{"no room", "/126"}},
		{"a multicast network", good, cidr("239.0.0.0/8"), []string{"multicast"}},
		{"IPv4 within IPv6", good, cidr("::ffff:192.0.2.0/120"), []string{"written as IPv6"}},
		{"a gateway outside", good, gateway("192.0.3.1"), []string{"gateway 192.0.3.1 is not in 192.0.2.0/24"}},
		{"a gateway of another family", good, gateway("fe80::1"), []string{"gateway fe80::1 is not in"}},
		{"a gateway with a zone", six, gateway("fe80::1%eth0"), []string{"gateway fe80::1%eth0 is not in"}},
		{"the network's address as gateway", good, gateway("192.0.2.0"), []string{"gateway 192.0.2.0 is no host's"}},
		{"the broadcast address as gateway", good, gateway("192.0.2.255"), []string{"gateway 192.0.2.255 is no host's"}},
		{"a range outside", good, ranges(rng("192.0.3.1", "192.0.3.9")), []string{"192.0.3.1 to 192.0.3.9 is not within"}},
		{"a range half outside", good, ranges(rng("192.0.2.200", "192.0.3.9")), []string{"is not within"}},
		{"a range of another family", good, ranges(rng("2001:db8::1", "2001:db8::2")), []string{"is not within"}},
		{"a range reversed", good, ranges(rng("192.0.2.20", "192.0.2.10")), []string{"reversed"}},
		{"a range without an end", good, ranges(metal.AddrRange{First: addr("192.0.2.10")}), []string{"lacks an end"}},
		{"a range with the network's address", good, ranges(rng("192.0.2.0", "192.0.2.0")), []string{"network or broadcast"}},
		{"a range with the broadcast address", good, ranges(rng("192.0.2.250", "192.0.2.255")), []string{"network or broadcast"}},
		{"a range with the gateway", good, ranges(rng("192.0.2.1", "192.0.2.9")), []string{"contains the gateway 192.0.2.1"}},
		{"ranges that overlap", good, ranges(rng("192.0.2.10", "192.0.2.20"), rng("192.0.2.20", "192.0.2.30")), []string{"192.0.2.10 to 192.0.2.20 and 192.0.2.20 to 192.0.2.30 overlap"}},
		{"a range within another", good, ranges(rng("192.0.2.10", "192.0.2.40"), rng("192.0.2.20", "192.0.2.30")), []string{"overlap"}},
		{"the same range twice", good, ranges(rng("192.0.2.10", "192.0.2.40"), rng("192.0.2.10", "192.0.2.40")), []string{"overlap"}},
		{"a VLAN too high", good, func(s *metal.SubnetSpec) { s.VLAN = 4095 }, []string{"VLAN 4095"}},
		{"a VLAN below zero", good, func(s *metal.SubnetSpec) { s.VLAN = -1 }, []string{"VLAN -1"}},
		{"a lease too short", good, func(s *metal.SubnetSpec) { s.DHCP.LeaseSeconds = 59 }, []string{"59 seconds"}},
		{"a lease too long", good, func(s *metal.SubnetSpec) { s.DHCP.LeaseSeconds = math.MaxInt32 }, []string{"2147483647 seconds"}},
		{"no name server", good, func(s *metal.SubnetSpec) { s.DNS = []netip.Addr{{}} }, []string{"name server"}},
		{"a search domain that is none", good, func(s *metal.SubnetSpec) { s.Search = []string{"a..b"} }, []string{`"a..b" is not a domain name`}},
		{"a domain that is none", good, func(s *metal.SubnetSpec) { s.Domain = "a b" }, []string{`"a b" is not a domain name`}},
		{"a mode that is none", good, func(s *metal.SubnetSpec) { s.DHCP.Mode = "on" }, []string{`no DHCP mode "on"`}},
		{"delegation in IPv4", good, delegate("2001:db8:100::/40", 56), []string{"IPv6 subnets only"}},
		{"delegation", six, delegate("2001:db8:100::/40", 56), nil},
		{"delegation of all in one", six, delegate("2001:db8:100::/40", 40), nil},
		{"delegation of longer ones", six, delegate("2001:db8:100::/40", 39), []string{"length 39", "40 to 128"}},
		{"delegation with host bits", six, delegate("2001:db8:100::1/40", 56), []string{"not an IPv6 network"}},
		{"delegation of IPv4", six, delegate("10.0.0.0/8", 24), []string{"not an IPv6 network"}},
		{"delegation of its own", six, delegate("2001:db8::/32", 56), []string{"shares addresses"}},
		{"an option that is wrong", six, func(s *metal.SubnetSpec) {
			s.DHCP.Options.Custom = []metal.DHCPOption{{Code: 1, Type: "hex", Value: "00"}}
		}, []string{"option 1 is the protocol's own"}},
		{"a multicast time server", good, func(s *metal.SubnetSpec) { s.NTP = []netip.Addr{addr("224.0.1.1")} }, []string{"time server 224.0.1.1"}},
		{"everything at once", good, func(s *metal.SubnetSpec) {
			s.Gateway, s.VLAN, s.DHCP.LeaseSeconds, s.DNS = addr("10.0.0.1"), 5000, 1, []netip.Addr{addr("0.0.0.0")}
			s.DHCP.Ranges = []metal.AddrRange{rng("10.0.0.1", "10.0.0.2"), rng("192.0.2.9", "192.0.2.3")}
		}, []string{"gateway 10.0.0.1", "VLAN 5000", "lease of 1", "name server 0.0.0.0", "10.0.0.1 to 10.0.0.2", "reversed"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := tt.base
			tt.change(&s)
			err := Validate(s)
			if len(tt.says) == 0 {
				if err != nil {
					t.Errorf("got %v; want none", err)
				}
				return
			}
			if metal.CodeOf(err) != metal.Invalid {
				t.Fatalf("got %v; want an invalid error", err)
			}
			for _, says := range tt.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("got %q; want it to say %q", err, says)
				}
			}
		})
	}
}

func TestOverlaps(t *testing.T) {
	spec := func(cidr, fabric string) metal.SubnetSpec {
		return metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr), Fabric: fabric}
	}
	others := map[string]metal.SubnetSpec{
		"b": spec("10.1.0.0/16", "default"), "a": spec("10.1.2.0/24", ""), "c": spec("10.2.0.0/16", "lab"), "six": spec("2001:db8::/64", "default"),
	}
	tests := []struct {
		name string
		spec metal.SubnetSpec
		says string
	}{
		{"beside the others", spec("10.3.0.0/16", "default"), ""},
		{"the same on another fabric", spec("10.1.0.0/16", "lab"), ""},
		{"the same", spec("10.1.0.0/16", "default"), "a (10.1.2.0/24), b (10.1.0.0/16) on fabric default"},
		{"within one", spec("10.1.9.0/24", "default"), "with b (10.1.0.0/16) on"},
		{"around all", spec("10.0.0.0/8", ""), "a (10.1.2.0/24), b (10.1.0.0/16) on fabric default"},
		{"around one on another fabric", spec("10.0.0.0/8", "lab"), "with c (10.2.0.0/16) on fabric lab"},
		{"within one of IPv6", spec("2001:db8::8000:0:0:0/66", ""), "with six (2001:db8::/64)"},
		{"all of IPv4 is not in IPv6", spec("2001:db8:1::/64", ""), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Overlaps(tt.spec, others)
			if tt.says == "" {
				if err != nil {
					t.Errorf("got %v; want none", err)
				}
				return
			}
			if metal.CodeOf(err) != metal.Conflict || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want a conflict that says %q", err, tt.says)
			}
		})
	}
}

func TestARangeIsCheckedAgainstItsSubnet(t *testing.T) {
	s := metal.SubnetSpec{CIDR: netip.MustParsePrefix("192.0.2.0/24"), Gateway: addr("192.0.2.1"), DHCP: metal.DHCPSpec{Ranges: []metal.AddrRange{rng("192.0.2.100", "192.0.2.110")}}}
	others := map[string]metal.AddrRange{"b": rng("192.0.2.20", "192.0.2.30"), "a": rng("192.0.2.25", "192.0.2.25")}
	tests := []struct {
		name string
		r    metal.AddrRange
		kind metal.RangeKind
		code metal.Code // none: it is valid
		says string
	}{
		{"a dynamic one", rng("192.0.2.40", "192.0.2.50"), metal.RangeDynamic, "", ""},
		{"a reserved one with the gateway", rng("192.0.2.1", "192.0.2.9"), metal.RangeReserved, "", ""},
		{"a dynamic one with the gateway", rng("192.0.2.1", "192.0.2.9"), metal.RangeDynamic, metal.Invalid, "contains the gateway"},
		{"outside", rng("192.0.3.1", "192.0.3.9"), metal.RangeReserved, metal.Invalid, "reserved range 192.0.3.1 to 192.0.3.9 is not within"},
		{"of a kind that is none", rng("192.0.2.40", "192.0.2.50"), "static", metal.Invalid, `kind of range "static"`},
		{"over others", rng("192.0.2.25", "192.0.2.26"), metal.RangeReserved, metal.Conflict, "a (192.0.2.25 to 192.0.2.25), b (192.0.2.20 to 192.0.2.30)"},
		{"over the subnet's own", rng("192.0.2.110", "192.0.2.120"), metal.RangeDynamic, metal.Conflict, "own dhcp range 192.0.2.100 to 192.0.2.110"},
		{"between", rng("192.0.2.111", "192.0.2.254"), metal.RangeDynamic, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := ValidateRange(s, metal.IPRangeSpec{Kind: tt.kind, First: tt.r.First, Last: tt.r.Last})
			if err == nil {
				err = RangeOverlaps(s, tt.r, others)
			}
			if metal.CodeOf(err) != tt.code || err != nil && !strings.Contains(err.Error(), tt.says) {
				t.Errorf("got %v; want %s with %q", err, tt.code, tt.says)
			}
		})
	}
}

func TestUnfitSaysWhyNobodyMayHaveAnAddress(t *testing.T) {
	s := metal.SubnetSpec{CIDR: netip.MustParsePrefix("192.0.2.0/24"), Gateway: addr("192.0.2.1"), DNS: []netip.Addr{addr("192.0.2.2")}, NTP: []netip.Addr{addr("192.0.2.3")}}
	own := []netip.Addr{addr("192.0.2.4")}
	for a, want := range map[string]struct {
		code metal.Code
		says string
	}{
		"192.0.2.5": {}, "192.0.2.0": {metal.Invalid, "no host's address"}, "192.0.2.255": {metal.Invalid, "no host's address"},
		"192.0.3.1": {metal.Invalid, "not in 192.0.2.0/24"}, "2001:db8::1": {metal.Invalid, "not in"}, "::ffff:192.0.2.5": {metal.Invalid, "not in"},
		"192.0.2.1": {metal.Conflict, "the gateway"}, "192.0.2.2": {metal.Conflict, "a name server"}, "192.0.2.3": {metal.Conflict, "a time server"}, "192.0.2.4": {metal.Conflict, "metald's own"},
	} {
		if err := Unfit(s, own, addr(a)); metal.CodeOf(err) != want.code || err != nil && !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: got %v; want %s with %q", a, err, want.code, want.says)
		}
	}
	if err := Unfit(metal.SubnetSpec{CIDR: netip.MustParsePrefix("fe80::/64")}, nil, addr("fe80::1%eth0")); metal.CodeOf(err) != metal.Invalid {
		t.Errorf("an address with a zone: got %v; want invalid", err)
	}
}

func TestBeyondIsWhatAChangeAdds(t *testing.T) {
	for name, tt := range map[string]struct{ now, old, want []metal.AddrRange }{
		"a new one":      {[]metal.AddrRange{rng("10.0.0.5", "10.0.0.9")}, nil, []metal.AddrRange{rng("10.0.0.5", "10.0.0.9")}},
		"the same":       {[]metal.AddrRange{rng("10.0.0.5", "10.0.0.9")}, []metal.AddrRange{rng("10.0.0.5", "10.0.0.9")}, nil},
		"one that grows": {[]metal.AddrRange{rng("10.0.0.1", "10.0.0.9")}, []metal.AddrRange{rng("10.0.0.3", "10.0.0.4")}, []metal.AddrRange{rng("10.0.0.1", "10.0.0.2"), rng("10.0.0.5", "10.0.0.9")}},
		"one that moves": {[]metal.AddrRange{rng("10.0.0.4", "10.0.0.9")}, []metal.AddrRange{rng("10.0.0.1", "10.0.0.5")}, []metal.AddrRange{rng("10.0.0.6", "10.0.0.9")}},
		"two of which":   {[]metal.AddrRange{rng("10.0.0.1", "10.0.0.2"), rng("10.0.0.7", "10.0.0.9")}, []metal.AddrRange{rng("10.0.0.2", "10.0.0.8")}, []metal.AddrRange{rng("10.0.0.1", "10.0.0.1"), rng("10.0.0.9", "10.0.0.9")}},
	} {
		if got := Beyond(tt.now, tt.old); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %v; want %v", name, got, tt.want)
		}
	}
}
