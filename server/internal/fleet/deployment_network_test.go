package fleet_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// cabled is an allocated machine with two NICs, an image, the subnet it boots from and one for storage.
func (r *rig) cabled(t *testing.T) metal.Machine {
	t.Helper()
	for name, spec := range map[string]metal.SubnetSpec{
		"lab":    {CIDR: netip.MustParsePrefix("10.0.1.0/24"), DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative}},
		"backup": {CIDR: netip.MustParsePrefix("10.0.9.0/24")},
	} {
		_, err := r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named(name), Body: spec})
		must(t, err)
	}
	m := r.ready(t, 1, "")
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.SetInventory(m.ID, &metal.Inventory{
			Disks: []metal.Disk{{Name: "vda", Bytes: 100 << 30}},
			NICs:  []metal.NIC{{Name: "eno1", MAC: m.Spec.MACs[0]}, {Name: "eno2", MAC: "52:54:00:99:00:02"}},
		})
	}))
	_, err := r.PutAllocation(t.Context(), claim("c", metal.AllocationSpec{Constraints: metal.Constraints{Machine: m.ID}}))
	must(t, err)
	r.image(t, metal.Image{Name: "whole", State: metal.ImageReady, Digest: "aa", RawBytes: 2 << 30})
	return m
}

func networked(n metal.NetworkSpec) api.DeploymentBody {
	return api.DeploymentBody{DeploymentSpec: metal.DeploymentSpec{Image: "whole", Network: n}}
}

// backupVLAN has an address of the subnet for storage on a tagged network.
func backupVLAN(change ...func(*metal.NetworkVLAN)) metal.NetworkSpec {
	v := metal.NetworkVLAN{NetworkLink: metal.NetworkLink{Name: "bak", Subnets: []string{"backup"}}, ID: 9, Link: "boot0"}
	for _, f := range change {
		f(&v)
	}
	return metal.NetworkSpec{Mode: "static", VLANs: []metal.NetworkVLAN{v}}
}

// resolved is what a machine is told of its network.
func (r *rig) resolved(t *testing.T, machine string, spec metal.NetworkSpec) (out metal.NetworkSpec) {
	t.Helper()
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) error {
		m, err := tx.Machine(machine)
		if err == nil {
			out, err = fleet.Network(tx, m, spec)
		}
		return err
	}))
	return out
}

func (r *rig) held(t *testing.T, machine string) (list []metal.Assignment) {
	t.Helper()
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.Assignments(machine)
		return err
	}))
	return list
}

func TestADeploymentGetsItsAddressesFromTheSubnetsItNames(t *testing.T) {
	r := start(t)
	m := r.cabled(t)
	spec := backupVLAN()
	d, err := r.CreateDeployment(t.Context(), onto(m.ID, networked(spec)))
	must(t, err)
	held := r.held(t, m.ID)
	if len(held) != 2 || held[0].Subnet != "lab" || held[1].Subnet != "backup" || held[1].MAC != "" {
		t.Fatalf("got addresses %+v; want the machine's own on lab first, and one on backup", held)
	}
	got := r.resolved(t, m.ID, spec)
	if want := []string{held[1].Addr.String() + "/24"}; !cmp.Equal(got.VLANs[0].Addresses, want) {
		t.Errorf("got addresses %v on the VLAN; want %v", got.VLANs[0].Addresses, want)
	}
	if spec.VLANs[0].Addresses != nil {
		t.Errorf("got the declaration changed to %v", spec.VLANs[0].Addresses)
	}
	machine, err := r.GetMachine(t.Context(), api.GetMachineRequest{ByID: api.ByID{ID: m.ID}})
	must(t, err)
	if machine.Address != held[0].Addr.String() {
		t.Errorf("got the machine's address %s; want %s, as before", machine.Address, held[0].Addr)
	}
	if want := []string{held[0].Addr.String(), held[1].Addr.String()}; !cmp.Equal(d.Addresses, want) {
		t.Errorf("got the deployment's addresses %v; want %v", d.Addresses, want)
	}
	r.deployed(t, d.ID)
	body := networked(spec)
	body.Hostname = "other"
	_, err = r.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: body})
	must(t, err)
	if again := r.held(t, m.ID); !cmp.Equal(again, held, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })) {
		t.Errorf("got addresses %+v after a change; want %+v", again, held)
	}
	_, err = r.UpdateDeployment(t.Context(), api.UpdateDeploymentRequest{ByID: api.ByID{ID: d.ID}, Body: networked(metal.NetworkSpec{})})
	must(t, err)
	if again := r.held(t, m.ID); len(again) != 2 {
		t.Errorf("got addresses %+v while the system that has them may run; want both", again)
	}
}

func TestANewDeploymentGivesBackWhatOnlyAnEarlierOneNamed(t *testing.T) {
	r := start(t)
	m := r.cabled(t)
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.Assign(metal.Assignment{Subnet: "backup", Addr: netip.MustParseAddr("10.0.9.30"), MachineID: m.ID})
	}))
	_, err := r.CreateDeployment(t.Context(), onto(m.ID, networked(metal.NetworkSpec{})))
	must(t, err)
	if held := r.held(t, m.ID); len(held) != 1 || held[0].Subnet != "lab" {
		t.Errorf("got addresses %+v after a deployment that names no subnet; want only the machine's own", held)
	}
}

func TestAnAddressThatIsReservedForAMachineIsItsOwnOnADeclaredElement(t *testing.T) {
	r := start(t)
	m := r.cabled(t)
	want := netip.MustParseAddr("10.0.9.77")
	_, err := r.PutReservation(t.Context(), api.PutReservationRequest{ByName: named("res"), Body: metal.ReservationSpec{Subnet: "backup", MAC: m.Spec.MACs[0], Addr: want}})
	must(t, err)
	_, err = r.CreateDeployment(t.Context(), onto(m.ID, networked(backupVLAN())))
	must(t, err)
	if got := r.resolved(t, m.ID, backupVLAN()).VLANs[0].Addresses; !slices.Contains(got, "10.0.9.77/24") {
		t.Errorf("got %v; want the address that is reserved", got)
	}
}

func TestANetworkThatTheMachineCannotHaveIsRefused(t *testing.T) {
	r := start(t)
	m := r.cabled(t)
	_, err := r.PutDevice(t.Context(), api.PutDeviceRequest{ByName: named("printer"), Body: metal.DeviceSpec{
		Interfaces: []metal.DeviceInterface{{Subnet: "backup", Addr: netip.MustParseAddr("10.0.9.50")}},
	}})
	must(t, err)
	subnets := func(names ...string) func(*metal.NetworkVLAN) {
		return func(v *metal.NetworkVLAN) { v.Subnets = names }
	}
	written := func(texts ...string) func(*metal.NetworkVLAN) {
		return func(v *metal.NetworkVLAN) { v.Subnets, v.Addresses = nil, texts }
	}
	for _, c := range []struct {
		name string
		spec metal.NetworkSpec
		code metal.Code
		says string
	}{
		{"a subnet that is not there", backupVLAN(subnets("attic")), metal.Invalid, "bak is to have an address of subnet attic, and there is no subnet of that name"},
		{"a subnet twice", backupVLAN(subnets("backup", "backup")), metal.Invalid, "network.vlans[0].subnets[1] is backup, as is network.vlans[0].subnets[0]"},
		{"the subnet of its own address", backupVLAN(subnets("lab")), metal.Invalid, "declare bak as primary instead"},
		{"an address of somebody else", backupVLAN(written("10.0.9.50/24")), metal.Conflict, "10.0.9.50/24 of bak belongs to device printer in subnet backup"},
		{"a NIC that it has not", metal.NetworkSpec{Interfaces: []metal.NetworkInterface{{NIC: "eno7"}}}, metal.Invalid, "metal_machine_inventory lists those it has"},
	} {
		body := networked(c.spec)
		_, err := r.PreviewDeployment(t.Context(), api.PreviewDeploymentRequest{Body: onto(m.ID, body).Body})
		if c.code == metal.Invalid {
			wantRefusal(t, c.name+", previewed", err, c.code, c.says)
		}
		_, err = r.CreateDeployment(t.Context(), onto(m.ID, body))
		wantRefusal(t, c.name, err, c.code, c.says)
	}
	if held := r.held(t, m.ID); len(held) != 1 {
		t.Errorf("got addresses %+v after what was refused; want only the machine's own", held)
	}
	_, err = r.CreateDeployment(t.Context(), onto(m.ID, networked(backupVLAN(written("10.0.9.51/24", "203.0.113.7/24")))))
	must(t, err) // nobody's, and of no subnet of ours
}

func TestAFullSubnetRefusesTheDeploymentThatNamesIt(t *testing.T) {
	r := start(t)
	m := r.cabled(t)
	_, err := r.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: named("tiny"), Body: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.8.0/30"), Gateway: netip.MustParseAddr("10.0.8.1")}})
	must(t, err)
	_, err = r.PutDevice(t.Context(), api.PutDeviceRequest{ByName: named("last"), Body: metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: "tiny"}}}})
	must(t, err)
	_, err = r.CreateDeployment(t.Context(), onto(m.ID, networked(backupVLAN(func(v *metal.NetworkVLAN) { v.Subnets = []string{"tiny"} }))))
	wantRefusal(t, "a full subnet", err, metal.Exhausted, "tiny")
}
