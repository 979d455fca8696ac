package daemon

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// declared is a site of two VLANs of the default fabric, with a lone subnet on a third that nobody declared.
func declared(t *testing.T) (*rig, *site) {
	t.Helper()
	r := newRig(t)
	for name, vid := range map[string]int{"machines": 0, "people": 20} {
		in := api.PutVLANRequest{ByName: api.ByName{Name: name}, Body: metal.VLANSpec{VID: vid, RA: metal.RouterAd{Enabled: true, Managed: vid == 0}}}
		if _, err := r.fleet.PutVLAN(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	for name, spec := range map[string]metal.SubnetSpec{
		"a-rack":   {CIDR: netip.MustParsePrefix("172.31.0.0/24"), DHCP: between("172.31.0.100", "172.31.0.110")},
		"b-rack":   {CIDR: netip.MustParsePrefix("172.31.1.0/24"), DHCP: metal.DHCPSpec{Mode: metal.DHCPProxy}},
		"rack6":    {CIDR: netip.MustParsePrefix("fd00:31::/64"), DHCP: metal.DHCPSpec{Mode: metal.DHCPOff}},
		"office":   {CIDR: netip.MustParsePrefix("10.20.0.0/24"), VLAN: 20, DHCP: metal.DHCPSpec{Mode: metal.DHCPProxy}},
		"isolated": {CIDR: netip.MustParsePrefix("10.30.0.0/24"), VLAN: 20, Fabric: "other"},
	} {
		if fabric := spec.Fabric; fabric != "" {
			if _, err := r.fleet.PutFabric(t.Context(), api.PutFabricRequest{ByName: api.ByName{Name: fabric}}); err != nil {
				t.Fatal(err)
			}
			vlan := metal.VLANSpec{Fabric: fabric, VID: spec.VLAN}
			if _, err := r.fleet.PutVLAN(t.Context(), api.PutVLANRequest{ByName: api.ByName{Name: "isolated"}, Body: vlan}); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := r.fleet.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: api.ByName{Name: name}, Body: spec}); err != nil {
			t.Fatal(err)
		}
	}
	s := newSite()
	if err := r.db.Observe(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return r, s
}

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

func TestWhatIsAroundAnInterface(t *testing.T) {
	_, s := declared(t)
	for _, c := range []struct {
		name         string
		addrs        []netip.Prefix
		managed      bool
		enabled      bool
		subnets      []string
		serves, six  bool
		inside, away string
	}{
		{name: "every subnet of its VLAN, by any one address", addrs: prefixes("172.31.0.1/24"), enabled: true, managed: true,
			subnets: []string{"a-rack", "b-rack", "rack6"}, serves: true, inside: "172.31.1.9", away: "10.20.0.9"},
		{name: "the same by its IPv6 address, after one of nobody's network", addrs: prefixes("192.0.2.1/24", "fd00:31::1/64"), enabled: true, managed: true,
			subnets: []string{"a-rack", "b-rack", "rack6"}, serves: true, inside: "fd00:31::9", away: "fd00:32::9"},
		{name: "another VLAN, where another server gives the addresses", addrs: prefixes("10.20.0.1/24"), enabled: true, subnets: []string{"office"}, inside: "10.20.0.9", away: "172.31.0.9"},
		{name: "the same id in another fabric", addrs: prefixes("10.30.0.1/24"), subnets: []string{"isolated"}, inside: "10.30.0.9", away: "10.20.0.9"},
		{name: "nothing, where no subnet has its addresses", addrs: prefixes("192.0.2.1/24"), away: "192.0.2.9"},
		{name: "nothing, where it has no address", away: "172.31.0.9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			vlan, subnets := s.around(c.addrs)
			var names []string
			for _, n := range subnets {
				names = append(names, n.Name)
			}
			if diff := cmp.Diff(c.subnets, names); diff != "" || vlan.RA.Enabled != c.enabled || vlan.RA.Managed != c.managed {
				t.Errorf("got router advertisements %+v; want enabled %t, managed %t; subnets (-want +got):\n%s", vlan.RA, c.enabled, c.managed, diff)
			}
			if got, got6 := s.serves(c.addrs, false), s.serves(c.addrs, true); got != c.serves || got6 != c.six {
				t.Errorf("we give addresses: got %t by IPv4, %t by IPv6; want %t and %t", got, got6, c.serves, c.six)
			}
			if n := holding(subnets, netip.MustParseAddr(c.away)); n != nil {
				t.Errorf("%s: got subnet %s; want none", c.away, n.Name)
			}
			if c.inside == "" {
				return
			}
			if n := holding(subnets, netip.MustParseAddr(c.inside)); n == nil || !slices.Contains(c.subnets, n.Name) || !n.Spec.CIDR.Contains(netip.MustParseAddr(c.inside)) {
				t.Errorf("%s: got subnet %+v; want the one that it is of", c.inside, n)
			}
		})
	}
}

func TestWhoWatchesTheSiteIsToldOfChangesOnce(t *testing.T) {
	r, s := declared(t)
	told, end := s.watch()
	silent := func(what string) {
		t.Helper()
		select {
		case <-told:
			t.Errorf("%s: got a word; want none", what)
		default:
		}
	}
	silent("before any change")
	r.declare(t, "node-1", firstMAC)
	silent("after a change of something else")
	for _, managed := range []bool{false, true, false} { // nobody listens meanwhile: the last word counts for all
		in := api.PutVLANRequest{ByName: api.ByName{Name: "machines"}, Body: metal.VLANSpec{RA: metal.RouterAd{Enabled: true, Managed: managed}}}
		if _, err := r.fleet.PutVLAN(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	<-told
	silent("after one word for all changes")
	if vlan, _ := s.around(prefixes("172.31.0.1/24")); vlan.RA.Managed {
		t.Errorf("got %+v; want the last change", vlan.RA)
	}
	if _, err := r.fleet.DeleteSubnet(t.Context(), api.DeleteByNameRequest{ByName: api.ByName{Name: "b-rack"}}); err != nil {
		t.Fatal(err)
	}
	<-told
	if _, subnets := s.around(prefixes("172.31.1.1/24")); len(subnets) != 0 {
		t.Errorf("got %d subnets; want none: that of the interface's address is gone", len(subnets))
	}
	end()
	r.subnet(t, "b-rack", "172.31.1.0/24", "172.31.1.100", "172.31.1.110")
	silent("after the end")
}
