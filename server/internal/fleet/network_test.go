package fleet_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func rng(first, last string) metal.AddrRange {
	return metal.AddrRange{First: addr(first), Last: addr(last)}
}

func named(name string) api.ByName { return api.ByName{Name: name} }

func byName(name string) api.DeleteByNameRequest {
	return api.DeleteByNameRequest{ByName: named(name)}
}

// subnet makes a subnet that change may change before.
func (r *rig) subnet(t testing.TB, name, cidr string, change ...func(*metal.SubnetSpec)) metal.Subnet {
	t.Helper()
	spec := metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr)}
	for _, c := range change {
		c(&spec)
	}
	s, err := r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named(name), Body: spec})
	must(t, err)
	return s
}

func serves(s *metal.SubnetSpec) { s.DHCP.Mode = metal.DHCPAuthoritative }

func (r *rig) putRange(t testing.TB, name string, spec metal.IPRangeSpec) (metal.IPRange, error) {
	t.Helper()
	return r.PutRange(t.Context(), api.PutRangeRequest{ByName: named(name), Body: spec})
}

func (r *rig) reserve(t testing.TB, name string, spec metal.ReservationSpec) (metal.Reservation, error) {
	t.Helper()
	return r.PutReservation(t.Context(), api.PutReservationRequest{ByName: named(name), Body: spec})
}

func (r *rig) device(t testing.TB, name string, spec metal.DeviceSpec) (metal.Device, error) {
	t.Helper()
	return r.PutDevice(t.Context(), api.PutDeviceRequest{ByName: named(name), Body: spec})
}

func (r *rig) lease(t testing.TB, client string, l metal.Lease) {
	t.Helper()
	if l.State == "" {
		l.State = metal.LeaseActive
	}
	if l.ExpiresAt.IsZero() {
		l.ExpiresAt = time.Now().Add(time.Hour)
	}
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error { return tx.PutLease(client, l) }))
}

// use returns how the addresses of a subnet are used.
func (r *rig) use(t testing.TB, name string) metal.SubnetUse {
	t.Helper()
	s, err := r.GetSubnet(t.Context(), named(name))
	must(t, err)
	if u := s.Use; u.Total != u.Reserved+u.Dynamic+u.Assigned+u.Free {
		t.Errorf("subnet %s: the parts of %+v do not add up", name, u)
	}
	return s.Use
}

func TestFabricsSpacesAndVLANsHoldEachOther(t *testing.T) {
	r := start(t)
	put := func(name string, spec metal.VLANSpec) error {
		_, err := r.PutVLAN(t.Context(), api.PutVLANRequest{ByName: named(name), Body: spec})
		return err
	}
	wantRefusal(t, "a VLAN on no fabric", put("storage", metal.VLANSpec{Fabric: "paris", VID: 7}), metal.Invalid, "no such fabric; make it first")
	_, err := r.PutFabric(t.Context(), api.PutFabricRequest{ByName: named("paris")})
	must(t, err)
	wantRefusal(t, "a VLAN in no space", put("storage", metal.VLANSpec{Fabric: "paris", VID: 7, Space: "inner"}), metal.Invalid, "no such space; make it first")
	_, err = r.PutSpace(t.Context(), api.PutSpaceRequest{ByName: named("inner")})
	must(t, err)
	must(t, put("storage", metal.VLANSpec{Fabric: "paris", VID: 7, Space: "inner"}))
	v, err := r.GetVLAN(t.Context(), named("storage"))
	if err != nil || v.Spec.MTU != 1500 || v.Revision != 1 {
		t.Errorf("stored: got %+v, %v; want the default MTU", v, err)
	}
	must(t, put("storage", metal.VLANSpec{Fabric: "paris", VID: 7, Space: "inner"}))
	if v, err := r.GetVLAN(t.Context(), named("storage")); err != nil || v.Revision != 1 {
		t.Errorf("the same again: got revision %d, %v; want 1", v.Revision, err)
	}
	wantRefusal(t, "its id again", put("other", metal.VLANSpec{Fabric: "paris", VID: 7}), metal.Conflict, "declared as storage")
	must(t, put("other", metal.VLANSpec{Fabric: "default", VID: 7}))
	r.subnet(t, "s", "10.0.0.0/24", func(s *metal.SubnetSpec) { s.Fabric, s.VLAN = "paris", 7 })
	_, err = r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("x"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.1.0/24"), Fabric: "paris", VLAN: 8}})
	wantRefusal(t, "a subnet on no VLAN", err, metal.Invalid, "no such VLAN is declared; make it first")
	_, err = r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("x"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.1.0/24"), Fabric: "rome"}})
	wantRefusal(t, "a subnet on no fabric", err, metal.Invalid, "no such fabric; make it first")
	wantRefusal(t, "another id for a VLAN that is used", put("storage", metal.VLANSpec{Fabric: "paris", VID: 9, Space: "inner"}), metal.Conflict, "subnet s uses it")
	must(t, put("storage", metal.VLANSpec{Fabric: "paris", VID: 7, Space: "inner", MTU: 9000}))

	_, err = r.DeleteFabric(t.Context(), byName("default"))
	wantRefusal(t, "deleting the default fabric", err, metal.Conflict, "cannot be deleted")
	_, err = r.DeleteFabric(t.Context(), byName("paris"))
	wantRefusal(t, "deleting a fabric in use", err, metal.Conflict, "VLAN storage, subnet s use it")
	_, err = r.DeleteSpace(t.Context(), byName("inner"))
	wantRefusal(t, "deleting a space in use", err, metal.Conflict, "VLAN storage uses it")
	_, err = r.DeleteVLAN(t.Context(), byName("storage"))
	wantRefusal(t, "deleting a VLAN in use", err, metal.Conflict, "subnet s uses it")
	for _, remove := range []func() error{
		func() error { _, err := r.DeleteSubnet(t.Context(), byName("s")); return err },
		func() error { _, err := r.DeleteVLAN(t.Context(), byName("storage")); return err },
		func() error { _, err := r.DeleteSpace(t.Context(), byName("inner")); return err },
		func() error { _, err := r.DeleteFabric(t.Context(), byName("paris")); return err },
	} {
		must(t, remove())
	}
	_, err = r.GetFabric(t.Context(), named("paris"))
	wantRefusal(t, "a fabric that is gone", err, metal.NotFound, "there is no fabric paris")
	vlans, err := r.ListVLANs(t.Context(), api.ListByNamesRequest{})
	if err != nil || len(vlans.Items) != 1 || vlans.Items[0].Name != "other" {
		t.Errorf("VLANs left: got %+v, %v; want other", vlans.Items, err)
	}
}

func TestARangeIsWithinItsSubnetAndApartFromOthers(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", func(s *metal.SubnetSpec) {
		s.Gateway = addr("10.0.0.1")
		s.DHCP.Ranges = []metal.AddrRange{rng("10.0.0.200", "10.0.0.210")}
	})
	_, err := r.putRange(t, "low", metal.IPRangeSpec{Subnet: "s", First: addr("10.0.0.10"), Last: addr("10.0.0.19")})
	must(t, err)
	for name, test := range map[string]struct {
		spec metal.IPRangeSpec
		code metal.Code
		want string
	}{
		"no subnet":              {metal.IPRangeSpec{Subnet: "x", First: addr("10.0.0.30"), Last: addr("10.0.0.31")}, metal.Invalid, "does not exist: make it first"},
		"outside":                {metal.IPRangeSpec{Subnet: "s", First: addr("10.0.1.30"), Last: addr("10.0.1.31")}, metal.Invalid, "not within 10.0.0.0/24"},
		"reversed":               {metal.IPRangeSpec{Subnet: "s", First: addr("10.0.0.31"), Last: addr("10.0.0.30")}, metal.Invalid, "reversed"},
		"the broadcast address":  {metal.IPRangeSpec{Subnet: "s", First: addr("10.0.0.250"), Last: addr("10.0.0.255")}, metal.Invalid, "broadcast"},
		"dynamic over gateway":   {metal.IPRangeSpec{Subnet: "s", First: addr("10.0.0.1"), Last: addr("10.0.0.5")}, metal.Invalid, "contains the gateway"},
		"over another":           {metal.IPRangeSpec{Subnet: "s", First: addr("10.0.0.15"), Last: addr("10.0.0.25")}, metal.Conflict, "low (10.0.0.10 to 10.0.0.19)"},
		"over the subnet's own":  {metal.IPRangeSpec{Subnet: "s", Kind: metal.RangeReserved, First: addr("10.0.0.205"), Last: addr("10.0.0.220")}, metal.Conflict, "the subnet's own dhcp range"},
		"an option that is none": {metal.IPRangeSpec{Subnet: "s", First: addr("10.0.0.30"), Last: addr("10.0.0.31"), Options: metal.DHCPOptions{Custom: []metal.DHCPOption{{Code: 53, Type: "uint8", Value: "1"}}}}, metal.Invalid, "the protocol's own"},
	} {
		_, err := r.putRange(t, "new", test.spec)
		wantRefusal(t, name, err, test.code, test.want)
	}
	_, err = r.putRange(t, "infra", metal.IPRangeSpec{Subnet: "s", Kind: metal.RangeReserved, First: addr("10.0.0.1"), Last: addr("10.0.0.5")})
	must(t, err)
	if got, want := r.use(t, "s"), (metal.SubnetUse{Total: 254, Dynamic: 21, Reserved: 5, Free: 228}); got != want {
		t.Errorf("use: got %+v; want %+v", got, want)
	}
	_, err = r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("s"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/24"), DHCP: metal.DHCPSpec{Ranges: []metal.AddrRange{rng("10.0.0.5", "10.0.0.9")}}}})
	wantRefusal(t, "a subnet's range over a declared one", err, metal.Conflict, "10.0.0.5 to 10.0.0.9")
	_, err = r.DeleteSubnet(t.Context(), byName("s"))
	wantRefusal(t, "deleting a subnet with ranges", err, metal.Conflict, "range infra, range low use it")
}

func TestARangeBecomesDynamicOnlyWhereNobodyHasAnAddress(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24")
	for _, a := range []string{"10.0.0.50", "10.0.0.51", "10.0.0.52", "10.0.0.53", "10.0.0.90"} {
		_, err := r.reserve(t, "r-"+a[7:], metal.ReservationSpec{Subnet: "s", Addr: addr(a)})
		must(t, err)
	}
	put := func(name string, kind metal.RangeKind, first, last string) error {
		_, err := r.putRange(t, name, metal.IPRangeSpec{Subnet: "s", Kind: kind, First: addr(first), Last: addr(last)})
		return err
	}
	wantRefusal(t, "over addresses of somebody", put("d", "", "10.0.0.40", "10.0.0.60"), metal.Conflict, "10.0.0.50 belongs to reservation r-50, 10.0.0.51 belongs to reservation r-51, 10.0.0.52 belongs to reservation r-52, 1 more")
	must(t, put("d", "", "10.0.0.60", "10.0.0.80"))
	wantRefusal(t, "growing over one", put("d", "", "10.0.0.60", "10.0.0.95"), metal.Conflict, "10.0.0.90 belongs to reservation r-90")
	must(t, put("d", "", "10.0.0.61", "10.0.0.85"))
	_, err := r.reserve(t, "inside", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.70")})
	must(t, err)
	must(t, put("d", "", "10.0.0.62", "10.0.0.86"))
	must(t, put("k", metal.RangeReserved, "10.0.0.50", "10.0.0.53"))
	wantRefusal(t, "a reserved one made dynamic", put("k", "", "10.0.0.50", "10.0.0.53"), metal.Conflict, "cannot become dynamic")
	if got, want := r.use(t, "s"), (metal.SubnetUse{Total: 254, Dynamic: 25, Reserved: 4, Assigned: 1, Free: 224}); got != want {
		t.Errorf("use: got %+v; want %+v", got, want)
	}
	_, err = r.DeleteRange(t.Context(), byName("d"))
	must(t, err)
	if got, want := r.use(t, "s"), (metal.SubnetUse{Total: 254, Reserved: 4, Assigned: 2, Free: 248}); got != want {
		t.Errorf("use without the range: got %+v; want %+v", got, want)
	}
}

func TestARouteLeadsElsewhereByANeighbour(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24")
	r.subnet(t, "six", "2001:db8::/64")
	put := func(name string, spec metal.StaticRouteSpec) error {
		_, err := r.PutStaticRoute(t.Context(), api.PutStaticRouteRequest{ByName: named(name), Body: spec})
		return err
	}
	to := func(subnet, destination, gateway string) metal.StaticRouteSpec {
		return metal.StaticRouteSpec{Subnet: subnet, Destination: netip.MustParsePrefix(destination), Gateway: addr(gateway)}
	}
	must(t, put("a", to("s", "10.9.0.0/16", "10.0.0.2")))
	must(t, put("default", to("s", "0.0.0.0/0", "10.0.0.2")))
	must(t, put("v6", to("six", "2001:db8:9::/48", "fe80::1")))
	for name, test := range map[string]struct {
		spec metal.StaticRouteSpec
		code metal.Code
		want string
	}{
		"host bits":           {to("s", "10.9.0.1/16", "10.0.0.2"), metal.Invalid, "without host bits"},
		"the other family":    {to("s", "2001:db8:9::/48", "10.0.0.2"), metal.Invalid, "other family"},
		"itself":              {to("s", "10.0.0.0/24", "10.0.0.2"), metal.Invalid, "its hosts are in it"},
		"a far router":        {to("s", "10.8.0.0/16", "10.1.0.2"), metal.Invalid, "cannot be reached"},
		"the broadcast":       {to("s", "10.8.0.0/16", "10.0.0.255"), metal.Invalid, "cannot be reached"},
		"the same as another": {to("s", "10.9.0.0/16", "10.0.0.2"), metal.Conflict, "static route a of subnet s"},
		"no subnet":           {to("x", "10.9.0.0/16", "10.0.0.2"), metal.Invalid, "make it first"},
	} {
		wantRefusal(t, name, put("new", test.spec), test.code, test.want)
	}
	_, err := r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("s"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.1.0.0/24")}})
	wantRefusal(t, "a network that its router is not in", err, metal.Conflict, "its route a would not be right")
	for _, name := range []string{"a", "default", "v6"} {
		_, err := r.DeleteStaticRoute(t.Context(), byName(name))
		must(t, err)
	}
	_, err = r.DeleteSubnet(t.Context(), byName("s"))
	must(t, err)
}

func TestTheAddressesOfASubnetAreListedInRuns(t *testing.T) {
	r := start(t)
	spec := func(s *metal.SubnetSpec) {
		s.Gateway, s.DNS = addr("10.0.0.1"), []netip.Addr{addr("10.0.0.2")}
		s.DHCP.Ranges = []metal.AddrRange{rng("10.0.0.20", "10.0.0.29")}
	}
	r.subnet(t, "s", "10.0.0.0/26", spec)
	_, err := r.putRange(t, "infra", metal.IPRangeSpec{Subnet: "s", Kind: metal.RangeReserved, First: addr("10.0.0.40"), Last: addr("10.0.0.49")})
	must(t, err)
	_, err = r.device(t, "switch", metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{MAC: "02:00:00:00:00:01", Subnet: "s", Addr: addr("10.0.0.5")}}})
	must(t, err)
	r.lease(t, "c", metal.Lease{Subnet: "s", Addr: addr("10.0.0.22"), MAC: "02:00:00:00:00:02", Hostname: "laptop"})
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.See(metal.Sighting{Subnet: "s", Addr: addr("10.0.0.8"), MAC: "02:00:00:00:00:03", SeenAt: tx.Now})
	}))
	type line struct{ First, Last, Use, Who string }
	listed := func(in api.ListAddressesRequest) (lines []line) {
		t.Helper()
		in.Name = "s"
		for {
			l, err := r.ListAddresses(t.Context(), in)
			must(t, err)
			for _, u := range l.Items {
				lines = append(lines, line{u.First.String(), u.Last.String(), u.Use, u.Who})
			}
			if in.After = l.Next; l.Next == "" {
				return lines
			}
		}
	}
	for _, limit := range []int{1, 2, 3, 500} {
		got := listed(api.ListAddressesRequest{Page: api.Page{Limit: limit}})
		for i := range got {
			if got[i].Use == "seen" {
				got[i].Who = ""
			}
		}
		want := []line{
			{"10.0.0.1", "10.0.0.1", "gateway", ""}, {"10.0.0.2", "10.0.0.2", "server", "name server"}, {"10.0.0.3", "10.0.0.4", "free", ""},
			{"10.0.0.5", "10.0.0.5", "assigned", "device switch"}, {"10.0.0.6", "10.0.0.7", "free", ""}, {"10.0.0.8", "10.0.0.8", "seen", ""},
			{"10.0.0.9", "10.0.0.19", "free", ""}, {"10.0.0.20", "10.0.0.21", "dynamic", "subnet s"},
			{"10.0.0.22", "10.0.0.22", "leased", "02:00:00:00:00:02 (laptop)"}, {"10.0.0.23", "10.0.0.29", "dynamic", "subnet s"},
			{"10.0.0.30", "10.0.0.39", "free", ""}, {"10.0.0.40", "10.0.0.49", "reserved", "range infra"}, {"10.0.0.50", "10.0.0.62", "free", ""},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d a page (-want +got):\n%s", limit, diff)
		}
		free := listed(api.ListAddressesRequest{Page: api.Page{Limit: limit}, Free: true})
		if want := []line{{"10.0.0.3", "10.0.0.4", "free", ""}, {"10.0.0.6", "10.0.0.7", "free", ""}, {"10.0.0.9", "10.0.0.19", "free", ""}, {"10.0.0.30", "10.0.0.39", "free", ""}, {"10.0.0.50", "10.0.0.62", "free", ""}}; !cmp.Equal(free, want) {
			t.Errorf("free, %d a page: got %v; want %v", limit, free, want)
		}
	}
	if got, want := r.use(t, "s"), (metal.SubnetUse{Total: 62, Reserved: 13, Dynamic: 10, Assigned: 1, Leased: 1, Free: 38}); got != want {
		t.Errorf("use: got %+v; want %+v", got, want)
	}
	_, err = r.ListAddresses(t.Context(), api.ListAddressesRequest{ByName: named("s"), Page: api.Page{After: "10.1.0.0"}})
	wantRefusal(t, "behind another network's address", err, metal.Invalid, "not an address of 10.0.0.0/26")
	r.subnet(t, "six", "2001:db8::/64")
	l, err := r.ListAddresses(t.Context(), api.ListAddressesRequest{ByName: named("six")})
	if err != nil || len(l.Items) != 1 || l.Items[0].Last != addr("2001:db8::ffff:ffff:ffff:ffff") {
		t.Errorf("a /64: got %+v, %v; want one run", l.Items, err)
	}
}
