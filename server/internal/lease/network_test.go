package lease

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

var same = cmp.Options{cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{}), cmpopts.EquateEmpty()}

// vlan7 puts a subnet on a VLAN that is declared in shared.
func vlan7(s *metal.SubnetSpec) { s.VLAN = 7 }

// shared is a table with two subnets on one VLAN, of two addresses each, and another subnet elsewhere.
func shared() *Table {
	t := New()
	t.Now(start)
	t.SetVLAN(&metal.VLAN{Name: "seven", Spec: metal.VLANSpec{Fabric: "default", VID: 7, MTU: 9000}})
	t.SetSubnet(subnet("one", "10.0.1.0/24", "10.0.1.100", "10.0.1.101", vlan7))
	t.SetSubnet(subnet("two", "10.0.2.0/24", "10.0.2.100", "10.0.2.101", vlan7))
	t.SetSubnet(subnet("far", "10.0.3.0/24", "10.0.3.100", "10.0.3.101"))
	t.SetSubnet(subnet("farther", "10.0.4.0/24", "10.0.4.100", "10.0.4.101"))
	return t
}

func TestSubnetsOnOneVLANServeItsClients(t *testing.T) {
	machine := &metal.Machine{ID: "m-1", Spec: metal.MachineSpec{Name: "node-1", MACs: []metal.MAC{mac(1)}}}
	leased := func(subnet, addr string, life time.Duration) *metal.Lease {
		return &metal.Lease{Subnet: subnet, Addr: ip(addr), State: metal.LeaseActive, ExpiresAt: start.Add(life)}
	}
	cases := []struct {
		name     string
		setup    func(*Table)
		ask      Ask
		subnet   string
		addr     string // assigned, leased and free, or free
		unplaced string
	}{
		{name: "its own before the other", ask: Ask{Via: ip("10.0.2.1")}, subnet: "two", addr: "10.0.2.100"},
		{name: "the other when its own is full", setup: func(t *Table) {
			t.SetLease("x", leased("two", "10.0.2.100", time.Hour))
			t.SetLease("y", leased("two", "10.0.2.101", time.Hour))
		}, ask: Ask{Via: ip("10.0.2.1")}, subnet: "one", addr: "10.0.1.100"},
		{name: "where the address is that it would like", ask: Ask{Via: ip("10.0.2.1"), Wanted: ip("10.0.1.101")}, subnet: "one", addr: "10.0.1.101"},
		{name: "where it has a lease", setup: func(t *Table) { t.SetLease("a", leased("one", "10.0.1.101", time.Hour)) }, ask: Ask{Via: ip("10.0.2.1")}, subnet: "one", addr: "10.0.1.101"},
		{name: "where it had a lease", setup: func(t *Table) { t.SetLease("a", leased("one", "10.0.1.101", -time.Hour)) }, ask: Ask{Via: ip("10.0.2.1")}, subnet: "one", addr: "10.0.1.101"},
		{name: "where it has a lease before where it had one", setup: func(t *Table) {
			t.SetLease("a", leased("two", "10.0.2.101", -time.Hour))
			t.SetLease("a", leased("one", "10.0.1.101", time.Hour))
		}, ask: Ask{Via: ip("10.0.2.1")}, subnet: "one", addr: "10.0.1.101"},
		{name: "where an address is reserved for it", setup: func(t *Table) {
			t.SetAssignment(metal.Assignment{Subnet: "one", Addr: ip("10.0.1.7"), Reservation: "r", MAC: mac(1)})
		}, ask: Ask{Via: ip("10.0.2.1"), MAC: mac(1)}, subnet: "one", addr: "10.0.1.7"},
		{name: "where its machine has an address", setup: func(t *Table) {
			t.SetMachine(machine)
			t.SetAssignment(metal.Assignment{Subnet: "one", Addr: ip("10.0.1.7"), MachineID: "m-1", MAC: mac(1)})
		}, ask: Ask{Via: ip("10.0.2.1"), MAC: mac(1)}, subnet: "one", addr: "10.0.1.7"},
		{name: "its own for a machine that has an address nowhere", setup: func(t *Table) { t.SetMachine(machine) },
			ask: Ask{Via: ip("10.0.2.1"), MAC: mac(1)}, subnet: "two", addr: "10.0.2.100", unplaced: "m-1"},
		{name: "no other where nobody declared the VLAN", setup: func(t *Table) {
			t.SetLease("a", leased("far", "10.0.3.101", time.Hour))
		}, ask: Ask{Via: ip("10.0.4.1")}, subnet: "farther", addr: "10.0.4.100"},
		{name: "no other when the VLAN is gone", setup: func(t *Table) {
			t.DropVLAN("seven")
			t.SetLease("a", leased("one", "10.0.1.101", time.Hour))
		}, ask: Ask{Via: ip("10.0.2.1")}, subnet: "two", addr: "10.0.2.100"},
		{name: "no other that does not serve", setup: func(t *Table) {
			t.SetSubnet(subnet("one", "10.0.1.0/24", "10.0.1.100", "10.0.1.101", vlan7, func(s *metal.SubnetSpec) { s.DHCP.Mode = metal.DHCPOff }))
			t.SetLease("a", leased("one", "10.0.1.101", time.Hour))
		}, ask: Ask{Via: ip("10.0.2.1")}, subnet: "two", addr: "10.0.2.100"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			table := shared()
			if c.setup != nil {
				c.setup(table)
			}
			c.ask.Client = "a"
			k := table.Look(c.ask, start)
			got := k.Free
			switch {
			case k.Assigned.IsValid():
				got = k.Assigned
			case k.LeaseFree:
				got = k.Lease.Addr
			}
			if k.Subnet.Name != c.subnet || got != ip(c.addr) || k.Unplaced != c.unplaced {
				t.Errorf("got %s on %s, unplaced %q; want %s on %s, %q", got, k.Subnet.Name, k.Unplaced, c.addr, c.subnet, c.unplaced)
			}
		})
	}
}

func TestTheNetworksOfAVLAN(t *testing.T) {
	table := shared()
	for via, want := range map[string][]netip.Prefix{
		"10.0.2.9": {netip.MustParsePrefix("10.0.2.0/24"), netip.MustParsePrefix("10.0.1.0/24")},
		"10.0.3.9": {netip.MustParsePrefix("10.0.3.0/24")}, "10.0.9.9": nil, "fd00::1": nil,
	} {
		if diff := cmp.Diff(want, table.Networks(ip(via), netip.Addr{}), same); diff != "" {
			t.Errorf("of %s (-want +got):\n%s", via, diff)
		}
	}
}

func TestARelayAgentIsOfTheFabricThatItSpeaksOver(t *testing.T) {
	in := func(fabric string) func(*metal.SubnetSpec) { return func(s *metal.SubnetSpec) { s.Fabric = fabric } }
	table := New()
	table.Now(start)
	table.SetSubnet(subnet("a-far", "10.0.5.0/24", "10.0.5.100", "10.0.5.101", in("a")))
	table.SetSubnet(subnet("a-here", "10.0.1.0/24", "10.0.1.100", "10.0.1.101", in("a")))
	table.SetSubnet(subnet("b-far", "10.0.5.0/24", "10.0.5.100", "10.0.5.101", in("b")))
	table.SetSubnet(subnet("b-here", "10.0.2.0/24", "10.0.2.100", "10.0.2.101", in("b")))
	table.SetSubnet(subnet("c-here", "10.0.3.0/24", "10.0.3.100", "10.0.3.101", in("c")))
	for _, c := range []struct {
		name string
		here netip.Addr
		want string
	}{
		{"our address on the first fabric", ip("10.0.1.1"), "a-far"},
		{"our address on the second fabric", ip("10.0.2.1"), "b-far"},
		{"our address on a fabric that has no such network", ip("10.0.3.1"), "a-far"},
		{"our address on a network that is not declared", ip("10.9.9.1"), "a-far"},
		{"our address on a network that both have", ip("10.0.5.1"), "a-far"},
		{"no address of ours", netip.Addr{}, "a-far"},
	} {
		k := table.Look(Ask{Via: ip("10.0.5.1"), Here: c.here, Client: "x"}, start)
		if k.Subnet == nil || k.Subnet.Name != c.want {
			t.Errorf("%s: got subnet %+v; want %s", c.name, k.Subnet, c.want)
		}
	}
}

func TestWhatAClientIsTold(t *testing.T) {
	table := New()
	table.SetSubnet(subnet("rack", "10.0.0.0/24", "10.0.0.100", "10.0.0.102", vlan7, func(s *metal.SubnetSpec) {
		s.DHCP.Options = metal.DHCPOptions{MTU: 1400, TimeZone: "UTC", Custom: []metal.DHCPOption{{Code: 1, Value: "subnet"}, {Code: 2, Value: "subnet"}}}
	}))
	table.SetVLAN(&metal.VLAN{Name: "seven", Spec: metal.VLANSpec{VID: 7, MTU: 9000}})
	for _, name := range []string{"b", "a", "gone"} {
		r := &metal.StaticRoute{Name: name, Spec: metal.StaticRouteSpec{Subnet: "rack"}}
		if table.SetStaticRoute(r); name == "gone" {
			table.DropStaticRoute(r)
		}
	}
	table.SetRange(&metal.IPRange{Name: "phones", Spec: metal.IPRangeSpec{Subnet: "rack", First: ip("10.0.0.200"), Last: ip("10.0.0.210"), Options: metal.DHCPOptions{
		TimeZone: "Europe/Berlin", BootServer: "10.0.0.2", BootFile: "phone", WPAD: "http://wpad/", Syslog: []netip.Addr{ip("10.0.0.3")},
		Custom: []metal.DHCPOption{{Code: 2, Value: "range"}},
	}}})
	table.SetReservation(&metal.Reservation{Name: "desk", Addr: ip("10.0.0.201"), Spec: metal.ReservationSpec{
		Subnet: "rack", MAC: mac(1), Hostname: "desk", Options: metal.DHCPOptions{MTU: 1300, Custom: []metal.DHCPOption{{Code: 3, Value: "desk"}}},
	}})
	table.SetAssignment(metal.Assignment{Subnet: "rack", Addr: ip("10.0.0.201"), Reservation: "desk", MAC: mac(1)})
	table.SetDevice(&metal.Device{Name: "switch", Spec: metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{MAC: mac(2)}, {}}}})
	phone := metal.DHCPOptions{
		MTU: 1400, TimeZone: "Europe/Berlin", BootServer: "10.0.0.2", BootFile: "phone", WPAD: "http://wpad/", Syslog: []netip.Addr{ip("10.0.0.3")},
		Custom: []metal.DHCPOption{{Code: 1, Value: "subnet"}, {Code: 2, Value: "range"}},
	}
	desk := phone
	desk.MTU, desk.Custom = 1300, append(desk.Custom[:2:2], metal.DHCPOption{Code: 3, Value: "desk"})
	for _, c := range []struct {
		name     string
		ask      Ask
		hostname string
		want     metal.DHCPOptions
	}{
		{"by the subnet", Ask{}, "", metal.DHCPOptions{MTU: 1400, TimeZone: "UTC", Custom: []metal.DHCPOption{{Code: 1, Value: "subnet"}, {Code: 2, Value: "subnet"}}}},
		{"by the range that it gets its address from", Ask{Wanted: ip("10.0.0.205")}, "", phone},
		{"by its reservation", Ask{MAC: mac(1)}, "desk", desk},
		{"by the subnet, a device", Ask{MAC: mac(2)}, "switch", metal.DHCPOptions{MTU: 1400, TimeZone: "UTC", Custom: []metal.DHCPOption{{Code: 1, Value: "subnet"}, {Code: 2, Value: "subnet"}}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.ask.Via, c.ask.Client = ip("10.0.0.1"), "a"
			k := table.Look(c.ask, start)
			if diff := cmp.Diff(c.want, k.Options, same); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if k.Hostname != c.hostname || k.MTU != 9000 || len(k.Routes) != 2 || k.Routes[0].Name != "a" {
				t.Errorf("got hostname %q, MTU %d and routes %v; want %q, 9000, a and b", k.Hostname, k.MTU, k.Routes, c.hostname)
			}
		})
	}
	table.DropReservation("desk")
	table.DropAssignment("rack", ip("10.0.0.201"))
	table.DropDevice("switch")
	for n := 1; n <= 2; n++ {
		if k := table.Look(Ask{Via: ip("10.0.0.1"), Client: "a", MAC: mac(n)}, start); k.Assigned.IsValid() || k.Hostname != "" {
			t.Errorf("client %d after what was declared is gone: got %s and %q; want nothing", n, k.Assigned, k.Hostname)
		}
	}
}

func TestAMachinesAddressIsForTheNICThatItBootsFrom(t *testing.T) {
	set := func(macs ...metal.MAC) *Table {
		table := rack()
		table.SetMachine(&metal.Machine{ID: "m-1", Spec: metal.MachineSpec{Name: "was", MACs: []metal.MAC{mac(9)}}})
		table.SetMachine(&metal.Machine{ID: "m-1", Spec: metal.MachineSpec{Name: "node-1", MACs: macs}})
		table.SetAssignment(metal.Assignment{Subnet: "rack", Addr: ip("10.0.0.7"), MachineID: "m-1", MAC: mac(1)})
		return table
	}
	for _, c := range []struct {
		name  string
		table *Table
		mac   metal.MAC
		want  string
		host  string
	}{
		{"that NIC", set(mac(1), mac(2)), mac(1), "10.0.0.7", "node-1"},
		{"another NIC", set(mac(1), mac(2)), mac(2), "invalid IP", "node-1"},
		{"it boots from another NIC now", set(mac(2), mac(1)), mac(1), "10.0.0.7", "node-1"},
		{"that NIC was replaced", set(mac(3), mac(2)), mac(3), "10.0.0.7", "node-1"},
		{"a NIC that it had", set(mac(1)), mac(9), "invalid IP", ""},
	} {
		k := c.table.Look(Ask{Via: ip("10.0.0.1"), Client: "a", MAC: c.mac}, start)
		if k.Assigned.String() != c.want || k.Hostname != c.host || k.Unplaced != "" {
			t.Errorf("%s: got %s, %q, unplaced %q; want %s, %q", c.name, k.Assigned, k.Hostname, k.Unplaced, c.want, c.host)
		}
	}
	table := set(mac(1))
	table.DropAssignment("rack", ip("10.0.0.7"))
	if k := table.Look(Ask{Via: ip("10.0.0.1"), Client: "a", MAC: mac(1)}, start); k.Unplaced != "m-1" {
		t.Errorf("without an address: got %q unplaced; want m-1", k.Unplaced)
	}
	table.DropMachine("m-1")
	if k := table.Look(Ask{Via: ip("10.0.0.1"), Client: "a", MAC: mac(1)}, start); k.Unplaced != "" || k.Hostname != "" {
		t.Errorf("a machine that is gone: got %q unplaced, %q; want nothing", k.Unplaced, k.Hostname)
	}
}

// six is a table with an IPv6 subnet that delegates four prefixes, of which the subnet lies in the first.
func six() *Table {
	t := New()
	t.Now(start)
	t.SetSubnet(subnet("six", "fd00::/64", "fd00::100", "fd00::1ff", func(s *metal.SubnetSpec) {
		s.DHCP.Delegation = &metal.PrefixPool{CIDR: netip.MustParsePrefix("fd00::/54"), Length: 56}
	}))
	return t
}

func TestPrefixesAreDelegated(t *testing.T) {
	table := six()
	router := func(name, wanted string) Ask {
		ask := Ask{Kind: Prefix, Via: ip("fd00::1"), Client: name + " prefix"}
		if wanted != "" {
			ask.Wanted = ip(wanted)
		}
		return ask
	}
	for _, c := range []struct{ name, wanted, want string }{
		{"a", "", "fd00:0:0:100::"},
		{"b", "fd00:0:0:300::", "fd00:0:0:300::"},
		{"c", "fd00:0:0:201::", "fd00:0:0:200::"}, // in the middle of one
		{"d", "", "invalid IP"},
	} {
		if got := offer(t, table, router(c.name, c.wanted), start); got.String() != c.want {
			t.Errorf("router %s: got %s; want %s", c.name, got, c.want)
		}
	}
	if got := offer(t, table, Ask{Via: ip("fd00::1"), Client: "a"}, start); got != ip("fd00::100") {
		t.Errorf("an address of the router's own: got %s; want fd00::100", got)
	}
	l := &metal.Lease{Subnet: "six", Addr: ip("fd00:0:0:200::"), Bits: 56, State: metal.LeaseActive, ExpiresAt: start.Add(time.Minute)}
	table.SetLease(router("c", "").Client, l)
	if got := table.Stored(router("c", "").Client, "six", Prefix); got != l {
		t.Errorf("stored: got %v; want it", got)
	}
	// Prefixes of another length leave alone what routers still have.
	table.SetSubnet(subnet("six", "fd00::/64", "fd00::100", "fd00::1ff", func(s *metal.SubnetSpec) {
		s.DHCP.Delegation = &metal.PrefixPool{CIDR: netip.MustParsePrefix("fd00:0:0:200::/55"), Length: 57}
	}))
	if got := offer(t, table, router("e", ""), start); got != ip("fd00:0:0:300::") {
		t.Errorf("after the length changed: got %s; want one behind %s/56", got, l.Addr)
	}
	table.DropLease("six", l.Addr) // of nobody any more: nothing to do
	table.SetSubnet(subnet("six", "fd00::/64", "fd00::100", "fd00::1ff"))
	if k := table.Look(router("e", ""), start); k.Free.IsValid() || k.Lease != nil {
		t.Errorf("without a pool: got %s and %v; want nothing", k.Free, k.Lease)
	}
}

func TestADUIDHasItsAddress(t *testing.T) {
	table := six()
	table.SetAssignment(metal.Assignment{Subnet: "six", Addr: ip("fd00::7"), Reservation: "r", DUID: "000100"})
	if k := table.Look(Ask{Via: ip("fd00::1"), Client: "a", DUID: "000100"}, start); k.Assigned != ip("fd00::7") {
		t.Errorf("got %s; want fd00::7", k.Assigned)
	}
	if k := table.Look(Ask{Via: ip("fd00::1"), Client: "a", DUID: ""}, start); k.Assigned.IsValid() {
		t.Errorf("a client without one: got %s; want nothing", k.Assigned)
	}
}
