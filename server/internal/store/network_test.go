package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func ip(s string) netip.Addr { return netip.MustParseAddr(s) }

// site makes a network with a machine, a device and a reservation in it.
func (r *rig) site(t *testing.T) {
	t.Helper()
	r.pool(t)
	r.update(t, func(tx *store.Tx) error {
		return errors.Join(
			tx.PutFabric(&metal.Fabric{Name: "paris"}), tx.PutSpace(&metal.Space{Name: "inner"}),
			tx.PutVLAN(&metal.VLAN{Name: "storage", Spec: metal.VLANSpec{Fabric: "paris", VID: 7, Space: "inner"}}),
			tx.PutSubnet(&metal.Subnet{Name: "s", Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.0.0.0/24")}}),
			tx.InsertMachine(machine(1)),
			tx.PutDevice(&metal.Device{Name: "switch", Spec: metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{MAC: mac(2)}, {}}}}),
			tx.PutReservation(&metal.Reservation{Name: "printer", Addr: ip("10.0.0.7"), Spec: metal.ReservationSpec{Subnet: "s"}}),
			tx.Assign(metal.Assignment{Subnet: "s", Addr: ip("10.0.0.5"), MachineID: "m-001", MAC: mac(1)}),
			tx.Assign(metal.Assignment{Subnet: "s", Addr: ip("10.0.0.6"), Device: "switch", MAC: mac(2)}),
			tx.Assign(metal.Assignment{Subnet: "s", Addr: ip("10.0.0.7"), Reservation: "printer", DUID: "000102"}),
		)
	})
}

func TestWhatTheNetworkHoldsTogetherIsAConflict(t *testing.T) {
	r := open(t)
	r.site(t)
	r.update(t, func(tx *store.Tx) error {
		return errors.Join(tx.PutZone(&metal.Zone{Name: "example.com"}), tx.PutRecordSet(&metal.RecordSet{Zone: "example.com", Name: "www", Type: "A"}),
			tx.PutRange(&metal.IPRange{Name: "pool", Spec: metal.IPRangeSpec{Subnet: "s"}}))
	})
	for name, f := range map[string]func(tx *store.Tx) error{
		"a VLAN's id again": func(tx *store.Tx) error {
			return tx.PutVLAN(&metal.VLAN{Name: "x", Spec: metal.VLANSpec{Fabric: "paris", VID: 7}})
		},
		"a VLAN on no fabric": func(tx *store.Tx) error {
			return tx.PutVLAN(&metal.VLAN{Name: "x", Spec: metal.VLANSpec{Fabric: "rome", VID: 7}})
		},
		"a VLAN in no space": func(tx *store.Tx) error {
			return tx.PutVLAN(&metal.VLAN{Name: "x", Spec: metal.VLANSpec{Fabric: "paris", VID: 8, Space: "x"}})
		},
		"a fabric with VLANs":  func(tx *store.Tx) error { return tx.DeleteFabric("paris") },
		"a space with VLANs":   func(tx *store.Tx) error { return tx.DeleteSpace("inner") },
		"a subnet with ranges": func(tx *store.Tx) error { return tx.DeleteSubnet("s") },
		"a zone with records":  func(tx *store.Tx) error { return tx.DeleteZone("example.com") },
		"a record in no zone":  func(tx *store.Tx) error { return tx.PutRecordSet(&metal.RecordSet{Zone: "x", Name: "a", Type: "A"}) },
		"a range in no subnet": func(tx *store.Tx) error {
			return tx.PutRange(&metal.IPRange{Name: "x", Spec: metal.IPRangeSpec{Subnet: "x"}})
		},
		"a device's MAC address": func(tx *store.Tx) error {
			return tx.PutDevice(&metal.Device{Name: "x", Spec: metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{MAC: mac(2)}}}})
		},
		"an address of a device": func(tx *store.Tx) error {
			return tx.Assign(metal.Assignment{Subnet: "s", Addr: ip("10.0.0.6"), Reservation: "printer"})
		},
		"a second address of a reservation": func(tx *store.Tx) error {
			return tx.Assign(metal.Assignment{Subnet: "s", Addr: ip("10.0.0.8"), Reservation: "printer"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			if err := r.Update(t.Context(), f); metal.CodeOf(err) != metal.Conflict {
				t.Errorf("got %v; want a conflict", err)
			}
		})
	}
	err := r.Update(t.Context(), func(tx *store.Tx) error { return tx.Assign(metal.Assignment{Subnet: "s", Addr: ip("10.0.0.9")}) })
	if err == nil {
		t.Error("an address of nobody was stored")
	}
}

func TestAddressesAreReadByOwnerAndByPlace(t *testing.T) {
	r := open(t)
	r.site(t)
	r.update(t, func(tx *store.Tx) error {
		var all []string
		for from := ip("10.0.0.0"); ; {
			part, err := tx.AssignmentsBetween("s", metal.AddrRange{First: from, Last: ip("10.0.0.6")}, 1)
			if err != nil || len(part) == 0 {
				break
			}
			all = append(all, part[0].Addr.String()+" "+part[0].Owner())
			from = part[0].Addr.Next()
		}
		if want := []string{"10.0.0.5 machine m-001", "10.0.0.6 device switch"}; !slices.Equal(all, want) {
			t.Errorf("between: got %v; want %v", all, want)
		}
		d, err := tx.DeviceByMAC(mac(2))
		if err != nil || d == nil || d.Name != "switch" {
			t.Errorf("device by its MAC address: got %+v, %v", d, err)
		}
		if none, err := tx.DeviceByMAC(mac(1)); none != nil || err != nil {
			t.Errorf("device by a machine's: got %+v, %v; want none", none, err)
		}
		if at, err := tx.AssignmentAt("s", ip("10.0.0.7")); err != nil || at == nil || at.Reservation != "printer" || at.DUID != "000102" {
			t.Errorf("at an address: got %+v, %v", at, err)
		}
		in, err := tx.ReservationsIn("s")
		if err != nil || len(in) != 1 || in[0].Revision != 1 || in[0].CreatedAt != r.now {
			t.Errorf("reservations: got %+v, %v", in, err)
		}
		if err := tx.Unassign("s", ip("10.0.0.9")); metal.CodeOf(err) != metal.NotFound {
			t.Errorf("taking an address from nobody: got %v; want not found", err)
		}
		return errors.Join(tx.DeleteMachine("m-001"), tx.DeleteDevice("switch"), tx.DeleteReservation("printer"))
	})
	r.update(t, func(tx *store.Tx) error {
		left, err := tx.AllAssignments()
		if len(left) != 0 {
			t.Errorf("after the owners went: got %+v; want none", left)
		}
		return err
	})
}

func TestLeasesAndSightingsAreReadByPlace(t *testing.T) {
	r := open(t)
	r.update(t, func(tx *store.Tx) error {
		err := errors.Join(tx.PutSubnet(&metal.Subnet{Name: "a"}), tx.PutSubnet(&metal.Subnet{Name: "b"}))
		for i, life := range []time.Duration{time.Hour, -time.Hour, time.Hour} {
			for _, subnet := range []string{"a", "b"} {
				addr := ip(fmt.Sprintf("10.0.0.%d", i+1))
				err = errors.Join(err, tx.PutLease(fmt.Sprint("c", i), metal.Lease{Subnet: subnet, Addr: addr, ExpiresAt: tx.Now.Add(life)}),
					tx.See(metal.Sighting{Subnet: subnet, Addr: addr, MAC: mac(i), SeenAt: tx.Now.Add(life)}))
			}
		}
		return err
	})
	r.update(t, func(tx *store.Tx) error {
		var got []string
		note := func(list []metal.Lease, err error) {
			if err != nil {
				t.Error(err)
			}
			for _, l := range list {
				got = append(got, l.Subnet+l.Addr.String()[7:])
			}
			got = append(got, "|")
		}
		note(tx.LeasesAfter("", "", netip.Addr{}, 3))
		note(tx.LeasesAfter("", "b", ip("10.0.0.1"), 3))
		note(tx.LeasesAfter("b", "", netip.Addr{}, 3))
		note(tx.LeasesAfter("a", "a", ip("10.0.0.3"), 3))
		note(tx.LeasesBetween("a", metal.AddrRange{First: ip("10.0.0.2"), Last: ip("10.0.0.9")}, 3))
		note(tx.LeasesBetween("a", metal.AddrRange{First: ip("10.0.0.1"), Last: ip("10.0.0.9")}, 1))
		if want := []string{"a1", "a3", "b1", "|", "b3", "|", "b1", "b3", "|", "|", "a3", "|", "a1", "|"}; !slices.Equal(clean(got), want) {
			t.Errorf("leases: got %v; want %v", clean(got), want)
		}
		all, err := tx.Sightings("", tx.Now)
		in, err2 := tx.Sightings("a", tx.Now)
		between, err3 := tx.SightingsBetween("a", metal.AddrRange{First: ip("10.0.0.2"), Last: ip("10.0.0.9")}, tx.Now.Add(-2*time.Hour), 9)
		if len(all) != 4 || len(in) != 2 || len(between) != 2 || between[1].MAC != mac(2) || !between[1].SeenAt.Equal(tx.Now.Add(time.Hour)) {
			t.Errorf("sightings: got %d, %d and %+v", len(all), len(in), between)
		}
		err4 := tx.See(metal.Sighting{Subnet: "a", Addr: ip("10.0.0.2"), SeenAt: tx.Now.Add(time.Hour)})
		err5 := tx.ForgetSightings(tx.Now)
		again, err6 := tx.Sightings("", time.Time{})
		if len(again) != 5 {
			t.Errorf("sightings after the old ones are forgotten: got %+v; want five", again)
		}
		return errors.Join(err, err2, err3, err4, err5, err6, tx.DeleteSubnet("a"))
	})
	r.update(t, func(tx *store.Tx) error {
		left, err := tx.Sightings("a", time.Time{})
		if len(left) != 0 {
			t.Errorf("sightings of a subnet that is gone: got %+v", left)
		}
		return err
	})
}

// clean leaves of "a.1" the subnet and the last number.
func clean(list []string) []string {
	for i, s := range list {
		list[i] = string(bytes.ReplaceAll([]byte(s), []byte("."), nil))
	}
	return list
}

func TestRecordSetsAreReadInOrder(t *testing.T) {
	r := open(t)
	r.update(t, func(tx *store.Tx) error {
		err := errors.Join(tx.PutZone(&metal.Zone{Name: "a"}), tx.PutZone(&metal.Zone{Name: "b"}))
		for _, x := range [][3]string{{"b", "@", "A"}, {"a", "www", "TXT"}, {"a", "www", "A"}, {"a", "@", "MX"}} {
			err = errors.Join(err, tx.PutRecordSet(&metal.RecordSet{Zone: x[0], Name: x[1], Type: x[2]}))
		}
		return err
	})
	r.update(t, func(tx *store.Tx) error {
		var got []string
		after := metal.RecordSet{}
		for {
			part, err := tx.RecordSets("", after, 2)
			if err != nil || len(part) == 0 {
				break
			}
			for _, x := range part {
				got = append(got, x.Zone+" "+x.Name+" "+x.Type)
			}
			after = part[len(part)-1]
		}
		if want := []string{"a @ MX", "a www A", "a www TXT", "b @ A"}; !slices.Equal(got, want) {
			t.Errorf("got %v; want %v", got, want)
		}
		at, err := tx.RecordSetsAt("a", "www")
		n, err2 := tx.CountRecordSets("a")
		if len(at) != 2 || n != 3 {
			t.Errorf("at a name: got %d; want 2. In the zone: got %d; want 3", len(at), n)
		}
		if err := tx.DeleteRecordSet("a", "www", "AAAA"); metal.CodeOf(err) != metal.NotFound {
			t.Errorf("deleting what is not there: got %v; want not found", err)
		}
		return errors.Join(err, err2, tx.DeleteRecordSet("b", "@", "A"), tx.DeleteZone("b"))
	})
}

func TestSecretsOfKeysAreSealed(t *testing.T) {
	r := open(t)
	secret := "a secret that nobody may read"
	r.update(t, func(tx *store.Tx) error { return tx.PutDNSKey(&metal.DNSKey{Name: "k"}, metal.NewSecret(secret)) })
	r.update(t, func(tx *store.Tx) error {
		got, err := tx.DNSSecret("k")
		if got.Reveal() != secret {
			t.Error("the secret is not the one that was stored")
		}
		_, missing := tx.DNSSecret("x")
		if metal.CodeOf(missing) != metal.NotFound {
			t.Errorf("of no key: got %v; want not found", missing)
		}
		return err
	})
	files, err := filepath.Glob(r.path + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || bytes.Contains(text, []byte(secret)) {
			t.Errorf("%s: %v, or the secret is in it", f, err)
		}
	}
}

// diary notes what it is told.
type diary struct {
	loaded  int
	changes []string
}

func (d *diary) Load(tx *store.Tx) error {
	list, err := tx.AllAssignments()
	d.loaded = len(list)
	return err
}

func (d *diary) Apply(changes []store.Change) {
	for _, c := range changes {
		text := map[bool]string{true: "-"}[c.Gone]
		switch {
		case c.Subnet != nil:
			text += "subnet " + c.Subnet.Name
		case c.VLAN != nil:
			text += "VLAN " + c.VLAN.Name
		case c.Range != nil:
			text += "range " + c.Range.Name
		case c.StaticRoute != nil:
			text += "route " + c.StaticRoute.Name
		case c.Reservation != nil:
			text += "reservation " + c.Reservation.Name
		case c.Device != nil:
			text += "device " + c.Device.Name
		case c.Machine != nil:
			text += "machine " + c.Machine.ID
		case c.Assignment != nil:
			text += c.Assignment.Addr.String() + " of " + c.Assignment.Owner()
		case c.Lease != nil:
			text += "lease " + c.Lease.Addr.String() + c.Client
		case c.Sighting != nil:
			text += "sighting " + c.Sighting.Addr.String()
		case c.Zone != nil:
			text += "zone " + c.Zone.Name
		case c.RecordSet != nil:
			text += "record set " + c.RecordSet.Name
		case c.DNSKey != nil:
			text += "key " + c.DNSKey.Name
		}
		d.changes = append(d.changes, text)
	}
}

func TestObserversLearnOfEveryChangeInItsOrder(t *testing.T) {
	r := open(t)
	r.site(t)
	d := &diary{}
	if err := r.Observe(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if d.loaded != 3 {
		t.Errorf("loaded: got %d addresses; want 3", d.loaded)
	}
	step := func(name string, f func(tx *store.Tx) error, want ...string) {
		t.Helper()
		d.changes = nil
		r.update(t, f)
		if diff := cmp.Diff(want, d.changes); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	step("a range, a route and a VLAN", func(tx *store.Tx) error {
		return errors.Join(tx.PutRange(&metal.IPRange{Name: "r", Spec: metal.IPRangeSpec{Subnet: "s"}}), tx.PutStaticRoute(&metal.StaticRoute{Name: "x", Spec: metal.StaticRouteSpec{Subnet: "s"}}),
			tx.DeleteVLAN("storage"))
	}, "range r", "route x", "-VLAN storage")
	step("what goes again", func(tx *store.Tx) error { return errors.Join(tx.DeleteRange("r"), tx.DeleteStaticRoute("x")) }, "-range r", "-route x")
	step("DNS", func(tx *store.Tx) error {
		return errors.Join(tx.PutZone(&metal.Zone{Name: "z"}), tx.PutRecordSet(&metal.RecordSet{Zone: "z", Name: "a", Type: "A"}), tx.PutDNSKey(&metal.DNSKey{Name: "k"}, metal.NewSecret("x")),
			tx.DeleteRecordSet("z", "a", "A"), tx.DeleteDNSKey("k"), tx.DeleteZone("z"))
	}, "zone z", "record set a", "key k", "-record set a", "-key k", "-zone z")
	step("a lease and a sighting", func(tx *store.Tx) error {
		return errors.Join(tx.PutLease(" c", metal.Lease{Subnet: "s", Addr: ip("10.0.0.100"), ExpiresAt: tx.Now.Add(time.Hour)}), tx.See(metal.Sighting{Subnet: "s", Addr: ip("10.0.0.9"), SeenAt: tx.Now}),
			tx.DeleteLease("s", ip("10.0.0.100")))
	}, "lease 10.0.0.100 c", "sighting 10.0.0.9", "-lease 10.0.0.100")
	step("owners that take their addresses along", func(tx *store.Tx) error {
		return errors.Join(tx.DeleteMachine("m-001"), tx.DeleteDevice("switch"), tx.DeleteReservation("printer"))
	}, "-10.0.0.5 of machine m-001", "-machine m-001", "-10.0.0.6 of device switch", "-device switch", "-10.0.0.7 of reservation printer", "-reservation printer")
	step("the subnet", func(tx *store.Tx) error { return tx.DeleteSubnet("s") }, "-subnet s")
	d.changes = nil
	failed := errors.New("changed my mind")
	err := r.Update(t.Context(), func(tx *store.Tx) error {
		return errors.Join(tx.PutSubnet(&metal.Subnet{Name: "never"}), failed)
	})
	if !errors.Is(err, failed) || len(d.changes) != 0 {
		t.Errorf("a transaction that was taken back: got %v and %v; want nothing told", err, d.changes)
	}
}
