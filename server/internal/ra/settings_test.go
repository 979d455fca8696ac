package ra

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

func prefix(cidr string) netip.Prefix { return netip.MustParsePrefix(cidr) }

func addrs(list ...string) (out []netip.Addr) {
	for _, a := range list {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

func subnet(cidr string, dns []netip.Addr, search ...string) metal.Subnet {
	return metal.Subnet{Spec: metal.SubnetSpec{CIDR: prefix(cidr), DNS: dns, Search: search}}
}

func TestSettingsOfAVLAN(t *testing.T) {
	onLink := func(cidr string, autonomous bool) Prefix {
		return Prefix{Prefix: prefix(cidr), OnLink: true, Autonomous: autonomous, Valid: validFor, Preferred: preferredFor}
	}
	own := subnet("fd00:31::/64", nil)
	domain := own
	domain.Spec.Domain = "Rack.Test."
	us := addrs("fd00:31::1")
	ad := func(change func(*metal.RouterAd)) metal.VLANSpec {
		v := metal.VLANSpec{RA: metal.RouterAd{Enabled: true}}
		change(&v.RA)
		return v
	}
	plain := ad(func(*metal.RouterAd) {})
	cases := []struct {
		name    string
		vlan    metal.VLANSpec
		subnets []metal.Subnet
		want    Settings
	}{
		{"nothing declared", metal.VLANSpec{MTU: 9000, RA: metal.RouterAd{Managed: true, Router: true}}, []metal.Subnet{own}, Settings{}},
		{"a subnet", plain, []metal.Subnet{own}, Settings{Prefixes: []Prefix{onLink("fd00:31::/64", false)}, DNS: us, Search: []string{"zone.test"}}},
		{"flags, and a router", ad(func(r *metal.RouterAd) { r.Managed, r.Other, r.Router = true, true, true }), nil, Settings{Managed: true, Other: true, Router: true}},
		{"an MTU", metal.VLANSpec{MTU: 9000, RA: metal.RouterAd{Enabled: true}}, nil, Settings{MTU: 9000}},
		{"an MTU that IPv6 cannot live with", metal.VLANSpec{MTU: 1000, RA: metal.RouterAd{Enabled: true}}, nil, Settings{}},
		{"addresses that hosts make", ad(func(r *metal.RouterAd) { r.Autonomous = true }), []metal.Subnet{own},
			Settings{Prefixes: []Prefix{onLink("fd00:31::/64", true)}, DNS: us, Search: []string{"zone.test"}}},
		{"addresses that hosts cannot make", ad(func(r *metal.RouterAd) { r.Autonomous = true }), []metal.Subnet{subnet("fd00:31::/80", nil)},
			Settings{Prefixes: []Prefix{onLink("fd00:31::/80", false)}, DNS: us, Search: []string{"zone.test"}}},
		{"an IPv4 subnet beside", plain, []metal.Subnet{subnet("10.0.0.0/24", addrs("10.0.0.1"), "four.test"), own},
			Settings{Prefixes: []Prefix{onLink("fd00:31::/64", false)}, DNS: us, Search: []string{"zone.test"}}},
		{"the subnet's own domain", plain, []metal.Subnet{domain},
			Settings{Prefixes: []Prefix{onLink("fd00:31::/64", false)}, DNS: us, Search: []string{"rack.test"}}},
		{"two subnets that say partly the same", plain, []metal.Subnet{
			subnet("fd00:31::/64", addrs("fd00::53", "10.0.0.1"), "a.test", "b.test"), subnet("fd00:32::/64", addrs("fd00::53", "fd00::54"), "b.test", "not..one"),
		}, Settings{Prefixes: []Prefix{onLink("fd00:31::/64", false), onLink("fd00:32::/64", false)}, DNS: addrs("fd00::53", "fd00::54"), Search: []string{"a.test", "b.test"}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := SettingsOf(c.vlan, c.subnets, us[0], "zone.test")
			if diff := cmp.Diff(c.want, got, values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if err := got.check(); err != nil {
				t.Errorf("what comes of a declaration is refused: %v", err)
			}
		})
	}
}

func TestAServerWithoutAnAddressOfItsOwnNamesNoNameServer(t *testing.T) {
	got := SettingsOf(metal.VLANSpec{RA: metal.RouterAd{Enabled: true}}, []metal.Subnet{subnet("fd00:31::/64", nil)}, netip.Addr{}, "")
	if len(got.DNS) > 0 || len(got.Search) > 0 || len(got.Prefixes) != 1 {
		t.Errorf("got %+v; want the prefix alone", got)
	}
}

func TestSettingsNeverOutgrowAMessage(t *testing.T) {
	var many []metal.Subnet
	for i := range 100 {
		p := netip.PrefixFrom(netip.AddrFrom16([16]byte{0xfd, 0, 0, byte(i)}), 64)
		many = append(many, metal.Subnet{Spec: metal.SubnetSpec{CIDR: p, DNS: []netip.Addr{p.Addr().Next()}, Search: []string{strings.Repeat("x", 60) + ".test"}}})
	}
	s := SettingsOf(metal.VLANSpec{RA: metal.RouterAd{Enabled: true}}, many, netip.Addr{}, "")
	if err := s.check(); err != nil || len(s.Prefixes) < 20 {
		t.Errorf("got %d prefixes, %v; want as many as there is room for", len(s.Prefixes), err)
	}
	if size := len(s.advertisement(mac, DefaultInterval).forgetting(s).Marshal()); size > longestMessage {
		t.Errorf("got %d bytes; want %d at most", size, longestMessage)
	}
}

func TestLifetimesOutlastTwoThatAreLost(t *testing.T) {
	a := Settings{Router: true, DNS: addrs("fd00::53"), Search: []string{"a.test"}}.advertisement(mac, 100*time.Second)
	for what, got := range map[string]time.Duration{"router": a.RouterLifetime, "name servers": a.Resolvers[0].Lifetime, "search list": a.Search[0].Lifetime} {
		if got != 300*time.Second {
			t.Errorf("%s: got %s; want 5m0s", what, got)
		}
	}
}

func TestWhatHostsAreToForget(t *testing.T) {
	slaac := Prefix{Prefix: prefix("fd00:31::/64"), OnLink: true, Autonomous: true, Valid: time.Hour, Preferred: time.Hour}
	plain := Prefix{Prefix: slaac.Prefix, OnLink: true, Valid: time.Hour, Preferred: time.Hour}
	other := Prefix{Prefix: prefix("fd00:32::/64"), OnLink: true, Valid: time.Hour}
	full := Settings{Prefixes: []Prefix{slaac}, DNS: addrs("fd00::53"), Search: []string{"a.test"}}
	ended := Settings{
		Prefixes: []Prefix{{Prefix: slaac.Prefix, OnLink: true, Autonomous: true}}, DNS: addrs("fd00::53"), Search: []string{"a.test"},
	}
	cases := []struct {
		name              string
		before, gone, now Settings
		want              Settings
	}{
		{"nothing", full, Settings{}, full, Settings{}},
		{"everything, when it is disabled", full, Settings{}, Settings{}, ended},
		{"what another took the place of", full, Settings{}, Settings{Prefixes: []Prefix{other}}, ended},
		{"addresses of a prefix that stays", full, Settings{}, Settings{Prefixes: []Prefix{plain}, DNS: full.DNS, Search: full.Search},
			Settings{Prefixes: []Prefix{{Prefix: slaac.Prefix, Autonomous: true}}}},
		{"what was gone before and is not told long enough", Settings{}, ended, Settings{Prefixes: []Prefix{other}}, ended},
		{"not what has come back", Settings{}, ended, full, Settings{}},
		{"each once", full, ended, Settings{}, ended},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, c.before.minus(c.gone, c.now), values); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
