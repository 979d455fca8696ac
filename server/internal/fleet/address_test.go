package fleet_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

const (
	nicA metal.MAC = "02:00:00:00:00:0a"
	nicB metal.MAC = "02:00:00:00:00:0b"
	nicC metal.MAC = "02:00:00:00:00:0c"
)

func (r *rig) machine(t *testing.T, name string, macs ...metal.MAC) metal.Machine {
	t.Helper()
	m, err := r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: name, MACs: macs}}})
	must(t, err)
	return m
}

// owners returns whose the addresses of a subnet are.
func (r *rig) owners(t *testing.T, subnet string) map[string]string {
	t.Helper()
	got := map[string]string{}
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
		list, err := tx.AssignmentsIn(subnet)
		for _, a := range list {
			got[a.Addr.String()] = a.Owner()
		}
		return err
	}))
	return got
}

func TestWhatCannotBeReservedIsRefusedWithTheReason(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", func(s *metal.SubnetSpec) {
		s.Gateway, s.DNS, s.NTP = addr("10.0.0.1"), []netip.Addr{addr("10.0.0.2")}, []netip.Addr{addr("10.0.0.3")}
		s.DHCP.Ranges = []metal.AddrRange{rng("10.0.0.100", "10.0.0.200")}
	})
	_, err := r.reserve(t, "printer", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.9"), MAC: nicA})
	must(t, err)
	_, err = r.device(t, "switch", metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{MAC: nicB, Subnet: "s", Addr: addr("10.0.0.8")}}})
	must(t, err)
	r.lease(t, "c1", metal.Lease{Subnet: "s", Addr: addr("10.0.0.100"), MAC: nicC, Hostname: "laptop"})
	r.lease(t, "c2", metal.Lease{Subnet: "s", Addr: addr("10.0.0.101"), State: metal.LeaseDeclined})
	r.lease(t, "c3", metal.Lease{Subnet: "s", Addr: addr("10.0.0.102"), MAC: nicC, ExpiresAt: time.Now().Add(-time.Hour)})
	with := func(a string, mac metal.MAC) metal.ReservationSpec {
		spec := metal.ReservationSpec{Subnet: "s", MAC: mac}
		if a != "" {
			spec.Addr = addr(a)
		}
		return spec
	}
	for name, test := range map[string]struct {
		spec metal.ReservationSpec
		code metal.Code
		want string
	}{
		"no subnet":                {metal.ReservationSpec{Subnet: "x"}, metal.Invalid, "make it first"},
		"another network":          {with("10.1.0.1", ""), metal.Invalid, "not in 10.0.0.0/24"},
		"the network's address":    {with("10.0.0.0", ""), metal.Invalid, "no host's address"},
		"the broadcast address":    {with("10.0.0.255", ""), metal.Invalid, "no host's address"},
		"the gateway":              {with("10.0.0.1", ""), metal.Conflict, "is the gateway"},
		"a name server":            {with("10.0.0.2", ""), metal.Conflict, "is a name server"},
		"a time server":            {with("10.0.0.3", ""), metal.Conflict, "is a time server"},
		"another one's":            {with("10.0.0.9", ""), metal.Conflict, "belongs to reservation printer"},
		"a device's":               {with("10.0.0.8", ""), metal.Conflict, "belongs to device switch"},
		"a client's":               {with("10.0.0.100", "02:00:00:00:00:0d"), metal.Conflict, "leased to 02:00:00:00:00:0c (laptop)"},
		"one in quarantine":        {with("10.0.0.101", ""), metal.Conflict, "in quarantine"},
		"a MAC address twice":      {with("", nicA), metal.Conflict, "has reservation printer"},
		"a device's MAC":           {with("", nicB), metal.Conflict, "belongs to device switch, which has 10.0.0.8"},
		"a DUID in IPv4":           {metal.ReservationSpec{Subnet: "s", DUID: "000102030405"}, metal.Invalid, "of IPv4"},
		"a host name that is none": {metal.ReservationSpec{Subnet: "s", Hostname: "a b"}, metal.Invalid, "host name"},
	} {
		_, err := r.reserve(t, "new", test.spec)
		wantRefusal(t, name, err, test.code, test.want)
	}
	for a, spec := range map[string]metal.ReservationSpec{
		"10.0.0.100": with("10.0.0.100", nicC), // the client's own
		"10.0.0.102": with("10.0.0.102", ""),   // leased no more
		"10.0.0.4":   with("", ""),             // the next free one
	} {
		got, err := r.reserve(t, "r-"+a[7:], spec)
		if err != nil || got.Addr != addr(a) {
			t.Errorf("%s: got %s, %v", a, got.Addr, err)
		}
	}
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
		l, err := tx.LeaseAt("s", addr("10.0.0.100"))
		if l != nil {
			t.Errorf("the lease of the client whose own the address is now: got %+v; want none", l)
		}
		return err
	}))
}

func TestAReservationKeepsItsAddressUntilAnotherIsAskedFor(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24")
	first, err := r.reserve(t, "a", metal.ReservationSpec{Subnet: "s", MAC: nicA, Hostname: "Printer"})
	if err != nil || first.Addr != addr("10.0.0.1") || first.FQDN != "printer.fleet.test" {
		t.Fatalf("got %+v, %v; want the first address and its name", first, err)
	}
	again, err := r.reserve(t, "a", metal.ReservationSpec{Subnet: "s", MAC: nicA, Hostname: "printer"})
	if err != nil || again.Revision != first.Revision {
		t.Errorf("the same again: got revision %d, %v; want %d", again.Revision, err, first.Revision)
	}
	other, err := r.reserve(t, "a", metal.ReservationSpec{Subnet: "s", MAC: nicB})
	if err != nil || other.Addr != first.Addr || other.FQDN != "" {
		t.Errorf("for another client: got %+v, %v; want the same address and no name", other, err)
	}
	moved, err := r.reserve(t, "a", metal.ReservationSpec{Subnet: "s", MAC: nicB, Addr: addr("10.0.0.77")})
	if err != nil || moved.Addr != addr("10.0.0.77") {
		t.Errorf("moved: got %s, %v", moved.Addr, err)
	}
	if got := r.owners(t, "s"); len(got) != 1 || got["10.0.0.77"] != "reservation a" {
		t.Errorf("owners: got %v; want one address", got)
	}
	_, err = r.reserve(t, "b", metal.ReservationSpec{Subnet: "s", MAC: nicA})
	must(t, err)
	r.subnet(t, "t", "10.0.1.0/24")
	_, err = r.reserve(t, "a", metal.ReservationSpec{Subnet: "t", MAC: nicB})
	wantRefusal(t, "into another subnet", err, metal.Conflict, "does not move")
	_, err = r.DeleteReservation(t.Context(), byName("a"))
	must(t, err)
	if got := r.use(t, "s"); got.Assigned != 1 {
		t.Errorf("use afterwards: got %+v; want one assigned", got)
	}
}

func TestAReservationForAMachineIsTheMachinesOwnAddress(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", serves)
	_, err := r.reserve(t, "early", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.50"), MAC: nicA})
	must(t, err)
	m := r.machine(t, "early", nicA)
	if m.Address != "10.0.0.50" || m.FQDN != "early.fleet.test" {
		t.Errorf("reserved before it came: got %s, %s", m.Address, m.FQDN)
	}
	late := r.machine(t, "late", nicB, nicC)
	_, err = r.reserve(t, "late", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.60"), MAC: nicB})
	must(t, err)
	kept, err := r.reserve(t, "second", metal.ReservationSpec{Subnet: "s", MAC: nicC})
	must(t, err)
	now, err := r.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: late.ID}})
	must(t, err)
	if now.Address != "10.0.0.60" {
		t.Errorf("reserved afterwards: got %s; want 10.0.0.60", now.Address)
	}
	want := map[string]string{"10.0.0.50": "machine " + m.ID, "10.0.0.60": "machine " + late.ID, kept.Addr.String(): "reservation second"}
	for a, who := range want {
		if got := r.owners(t, "s"); got[a] != who || len(got) != len(want) {
			t.Errorf("owners: got %v; want %v", got, want)
		}
	}

	// The NIC goes, and the reservation stays.
	_, err = r.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: api.ByID{ID: late.ID}, Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: "late", MACs: []metal.MAC{nicC}}}})
	must(t, err)
	if got := r.owners(t, "s"); got["10.0.0.60"] != "reservation late" {
		t.Errorf("after the NIC went: got %v; want it back with the reservation", got)
	}
	_, err = r.DeleteMachine(t.Context(), api.DeleteMachineRequest{ByID: api.ByID{ID: m.ID}})
	must(t, err)
	if got := r.owners(t, "s"); got["10.0.0.50"] != "reservation early" {
		t.Errorf("after the machine went: got %v; want it back with the reservation", got)
	}
	back := r.machine(t, "early", nicA)
	_, err = r.DeleteReservation(t.Context(), byName("early"))
	must(t, err)
	if got := r.owners(t, "s"); got["10.0.0.50"] != "machine "+back.ID {
		t.Errorf("after the reservation went: got %v; want the machine to keep it", got)
	}
}

func TestADeployedMachineKeepsItsAddress(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", serves)
	m := r.machine(t, "n", nicA)
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		now, err := tx.Machine(m.ID)
		if err != nil {
			return err
		}
		now.DeploymentID = "d-1"
		return tx.SaveMachine(now)
	}))
	_, err := r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.60"), MAC: nicA})
	wantRefusal(t, "another address", err, metal.Conflict, "machine n, which is deployed with it")
	got, err := r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", MAC: nicA})
	if err != nil || got.Addr.String() != m.Address {
		t.Errorf("the next one: got %s, %v; want the one that it has, %s", got.Addr, err, m.Address)
	}
	_, err = r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", MAC: nicA, Addr: addr("10.0.0.60")})
	wantRefusal(t, "moving it", err, metal.Conflict, "which is deployed with it")
	if got := r.owners(t, "s"); len(got) != 1 || got[m.Address] != "machine "+m.ID {
		t.Errorf("owners: got %v", got)
	}
}

func TestADeviceKeepsTheAddressesOfItsInterfaces(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", func(s *metal.SubnetSpec) { s.Domain = "lab.test" })
	r.subnet(t, "six", "2001:db8::/64")
	iface := func(mac metal.MAC, subnet, a string) metal.DeviceInterface {
		i := metal.DeviceInterface{MAC: mac, Subnet: subnet}
		if a != "" {
			i.Addr = addr(a)
		}
		return i
	}
	put := func(list ...metal.DeviceInterface) (addrs []string, d metal.Device) {
		t.Helper()
		d, err := r.device(t, "switch", metal.DeviceSpec{Interfaces: list})
		must(t, err)
		for _, a := range d.Addresses {
			addrs = append(addrs, a.Addr.String())
		}
		return addrs, d
	}
	for _, step := range []struct {
		name string
		list []metal.DeviceInterface
		want []string
	}{
		{"the next free ones", []metal.DeviceInterface{iface(nicA, "s", ""), iface(nicB, "s", ""), iface("", "six", "")}, []string{"10.0.0.1", "10.0.0.2", "2001:db8::1"}},
		{"by MAC address, wherever it stands", []metal.DeviceInterface{iface(nicB, "s", ""), iface(nicA, "s", ""), iface("", "six", "")}, []string{"10.0.0.2", "10.0.0.1", "2001:db8::1"}},
		{"one less", []metal.DeviceInterface{iface(nicA, "s", ""), iface(nicC, "", ""), iface("", "six", "")}, []string{"10.0.0.1", "2001:db8::1"}},
		{"another asked for", []metal.DeviceInterface{iface(nicA, "s", "10.0.0.9"), iface("", "six", "2001:db8::9")}, []string{"10.0.0.9", "2001:db8::9"}},
		{"two that change places", []metal.DeviceInterface{iface(nicA, "s", "10.0.0.8"), iface(nicB, "s", "10.0.0.9")}, []string{"10.0.0.8", "10.0.0.9"}},
		{"none", nil, nil},
	} {
		got, d := put(step.list...)
		if !slices.Equal(got, step.want) {
			t.Errorf("%s: got %v; want %v", step.name, got, step.want)
		}
		if want := "switch.lab.test"; len(got) > 0 && d.FQDN != want {
			t.Errorf("%s: got name %s; want %s", step.name, d.FQDN, want)
		}
		if held := len(r.owners(t, "s")) + len(r.owners(t, "six")); held != len(step.want) {
			t.Errorf("%s: got %d addresses held; want %d", step.name, held, len(step.want))
		}
	}
	put(iface(nicA, "s", ""))
	m := r.machine(t, "n", nicC)
	for name, test := range map[string]struct {
		device string
		iface  metal.DeviceInterface
		code   metal.Code
		want   string
	}{
		"an interface of nothing": {"x", metal.DeviceInterface{}, metal.Invalid, "neither a MAC address nor a subnet"},
		"an address of nowhere":   {"x", iface(nicB, "", "10.0.0.7"), metal.Invalid, "name the subnet"},
		"a machine's MAC":         {"x", iface(nicC, "s", ""), metal.Conflict, m.ID},
		"another device's MAC":    {"x", iface(nicA, "s", ""), metal.Conflict, "belongs to device switch"},
		"a name that is none":     {"x.y", iface(nicB, "s", ""), metal.Invalid, "one label"},
		"another's address":       {"x", iface(nicB, "s", "10.0.0.1"), metal.Conflict, "belongs to device switch"},
	} {
		_, err := r.device(t, test.device, metal.DeviceSpec{Interfaces: []metal.DeviceInterface{test.iface}})
		wantRefusal(t, name, err, test.code, test.want)
	}
	_, err := r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: "x", MACs: []metal.MAC{nicA}}}})
	wantRefusal(t, "a machine with the device's MAC", err, metal.Conflict, "belongs to device switch")
	_, err = r.DeleteSubnet(t.Context(), byName("s"))
	wantRefusal(t, "its subnet", err, metal.Conflict, "10.0.0.1 belongs to device switch")
	_, err = r.DeleteDevice(t.Context(), byName("switch"))
	must(t, err)
	if got := r.owners(t, "s"); len(got) != 0 {
		t.Errorf("after it is forgotten: got %v; want none", got)
	}
}

func TestNamesWithinADomainAreNobodyElses(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", serves)
	r.subnet(t, "lab", "10.0.1.0/24", func(s *metal.SubnetSpec) { s.Domain = "lab.test" })
	m := r.machine(t, "web", nicA)
	_, err := r.device(t, "printer", metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: "s"}}})
	must(t, err)
	_, err = r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", Hostname: "camera"})
	must(t, err)
	device := func(name, subnet, domain string) error {
		_, err := r.device(t, name, metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: subnet}}, Domain: domain})
		return err
	}
	machine := func(name string) error {
		_, err := r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: name, MACs: []metal.MAC{nicB}}}})
		return err
	}
	host := func(name string) error {
		_, err := r.reserve(t, "new", metal.ReservationSpec{Subnet: "s", Hostname: name})
		return err
	}
	wantRefusal(t, "a device with a machine's name", device("web", "s", ""), metal.Conflict, "web.fleet.test belongs to machine web ("+m.ID)
	wantRefusal(t, "a device of another subnet, in the domain", device("web", "lab", "Fleet.Test."), metal.Conflict, "belongs to machine web")
	wantRefusal(t, "a device with a reservation's", device("camera", "s", ""), metal.Conflict, "belongs to reservation r")
	wantRefusal(t, "a machine with a device's", machine("printer"), metal.Conflict, "belongs to device printer")
	wantRefusal(t, "a machine with a reservation's", machine("camera"), metal.Conflict, "belongs to reservation r")
	wantRefusal(t, "a reservation with a machine's", host("web"), metal.Conflict, "belongs to machine web")
	wantRefusal(t, "a reservation with a device's", host("printer"), metal.Conflict, "belongs to device printer")
	_, err = r.UpdateMachine(t.Context(), api.UpdateMachineRequest{ByID: api.ByID{ID: m.ID}, Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: "printer", MACs: []metal.MAC{nicA}}}})
	wantRefusal(t, "a machine renamed to a device's", err, metal.Conflict, "belongs to device printer")
	must(t, device("camera", "lab", ""))

	// A subnet that takes over the domain brings its names along.
	_, err = r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("lab"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.1.0/24")}})
	wantRefusal(t, "a subnet's domain in which a name is another's", err, metal.Conflict, "camera.fleet.test belongs to reservation r")
	_, err = r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("s"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/24"), Domain: "Site.Test.", DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative}}})
	must(t, err)
	now, err := r.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: m.ID}})
	d, err2 := r.GetDevice(t.Context(), named("printer"))
	res, err3 := r.GetReservation(t.Context(), named("r"))
	must(t, errors.Join(err, err2, err3))
	if now.FQDN != "web.site.test" || d.FQDN != "printer.site.test" || res.FQDN != "camera.site.test" {
		t.Errorf("names in the new domain: got %s, %s, %s", now.FQDN, d.FQDN, res.FQDN)
	}
	must(t, host("desk"))
}
