package fleet_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

func TestManyTakersGetAnAddressEach(t *testing.T) {
	quiet := func(context.Context, metal.Subnet, netip.Addr) (string, bool) { return "", false }
	for name, probe := range map[string]func(context.Context, metal.Subnet, netip.Addr) (string, bool){"unseen": nil, "probed": quiet} {
		t.Run(name, func(t *testing.T) {
			const takers, room = 64, 62
			r := start(t, func(c *fleet.Config) { c.Probe = probe })
			r.subnet(t, "s", "10.0.0.0/26", serves)
			var wg sync.WaitGroup
			var mu sync.Mutex
			got := map[string]int{}
			var left atomic.Int64
			for i := range takers {
				wg.Go(func() {
					var a string
					var err error
					switch i % 3 {
					case 0:
						var x metal.Reservation
						x, err = r.PutReservation(t.Context(), api.PutReservationRequest{ByName: named(fmt.Sprint("r", i)), Body: metal.ReservationSpec{Subnet: "s"}})
						a = x.Addr.String()
					case 1:
						var d metal.Device
						d, err = r.PutDevice(t.Context(), api.PutDeviceRequest{ByName: named(fmt.Sprint("d", i)), Body: metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: "s"}}}})
						if err == nil {
							a = d.Addresses[0].Addr.String()
						}
					default:
						var m metal.Machine
						m, err = r.CreateMachine(t.Context(), api.CreateMachineRequest{Body: api.MachineBody{MachineSpec: metal.MachineSpec{Name: fmt.Sprint("m", i), MACs: []metal.MAC{metal.MACOf([]byte{2, 0, 0, 0, 1, byte(i)})}}}})
						a = m.Address
					}
					switch metal.CodeOf(err) {
					case "":
						mu.Lock()
						got[a]++
						mu.Unlock()
					case metal.Exhausted:
						left.Add(1)
					default:
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(got) != room || left.Load() != takers-room {
				t.Errorf("got %d addresses and %d refusals; want %d and %d", len(got), left.Load(), room, takers-room)
			}
			for a, n := range got {
				if n != 1 || !strings.HasPrefix(a, "10.0.0.") {
					t.Errorf("%s was given %d times", a, n)
				}
			}
			if use := r.use(t, "s"); use.Free != 0 || use.Assigned != room {
				t.Errorf("use: got %+v; want it full", use)
			}
		})
	}
}

// wire answers for addresses, as hosts that nobody told metald of do.
type wire struct {
	mu     sync.Mutex
	hosts  map[netip.Addr]string
	probes []netip.Addr
	then   func(netip.Addr) // runs once, while an address is probed
}

func (w *wire) probe(_ context.Context, _ metal.Subnet, a netip.Addr) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.probes = append(w.probes, a)
	if f := w.then; f != nil {
		w.then = nil
		f(a)
	}
	who, inUse := w.hosts[a]
	return who, inUse
}

func TestAnAddressThatAnswersIsNotGivenAway(t *testing.T) {
	w := &wire{hosts: map[netip.Addr]string{addr("10.0.0.1"): "02:00:00:00:00:99", addr("10.0.0.2"): "", addr("10.0.0.4"): string(nicB), addr("10.0.0.6"): "10.0.0.6"}}
	r := start(t, func(c *fleet.Config) { c.Probe = w.probe })
	r.subnet(t, "s", "10.0.0.0/24", serves)
	m := r.machine(t, "n", nicA)
	if m.Address != "10.0.0.3" {
		t.Errorf("the machine: got %s; want the first one that is quiet", m.Address)
	}
	if got := len(w.probes); got != 3 {
		t.Errorf("got %d probes; want 3", got)
	}
	var seen []metal.Sighting
	var events []metal.Event
	must(t, r.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		if seen, err = tx.Sightings("s", tx.Now.Add(-time.Hour)); err != nil {
			return err
		}
		events, err = tx.Events(0, 100)
		return err
	}))
	if len(seen) != 2 || seen[0].MAC != "02:00:00:00:00:99" || seen[1].MAC != "" {
		t.Errorf("kept: got %+v; want both hosts", seen)
	}
	told := 0
	for _, e := range events {
		if e.Kind == "subnet" && strings.Contains(e.Text, "is in use") {
			told++
		}
	}
	if told != 2 {
		t.Errorf("events: got %+v; want two that tell of hosts", events)
	}
	r.machine(t, "n", nicA) // what is known is not probed
	_, err := r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", MAC: nicA})
	must(t, err)
	if got := len(w.probes); got != 3 {
		t.Errorf("after what gives no address: got %d probes; want 3", got)
	}
	_, err = r.reserve(t, "theirs", metal.ReservationSpec{Subnet: "s", MAC: nicC, Addr: addr("10.0.0.4")})
	wantRefusal(t, "an address that another answers on", err, metal.Conflict, string(nicB)+" answers there")
	_, err = r.reserve(t, "told", metal.ReservationSpec{Subnet: "s", MAC: nicC, Addr: addr("10.0.0.6")})
	wantRefusal(t, "one that answers by its address only", err, metal.Conflict, "10.0.0.6 answers there")
	for name, spec := range map[string]metal.ReservationSpec{
		"its": {Subnet: "s", MAC: nicB, Addr: addr("10.0.0.4")}, // the client itself answers
		"kep": {Subnet: "s", Addr: addr("10.0.0.2")},            // kept for whoever it is
	} {
		if got, err := r.reserve(t, name, spec); err != nil || got.Addr != spec.Addr {
			t.Errorf("%s: got %s, %v; want %s", name, got.Addr, err, spec.Addr)
		}
	}
	if _, err := r.device(t, "switch", metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{MAC: nicC, Subnet: "s", Addr: addr("10.0.0.6")}}}); err != nil {
		t.Errorf("a device that has its address already: got %v", err)
	}
	d, err := r.device(t, "pdu", metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: "s"}, {Subnet: "s"}}})
	if err != nil || d.Addresses[0].Addr != addr("10.0.0.5") || d.Addresses[1].Addr != addr("10.0.0.7") {
		t.Errorf("a device with two: got %+v, %v; want 5 and 7", d.Addresses, err)
	}
	if use := r.use(t, "s"); use.Assigned != 6 || use.Reserved != 1 {
		t.Errorf("use: got %+v; want six assigned, and one that a stranger has", use)
	}
}

func TestANetworkFullOfStrangersIsSaidToBe(t *testing.T) {
	w := &wire{hosts: map[netip.Addr]string{}}
	for a := addr("10.0.0.1"); a != addr("10.0.0.255"); a = a.Next() {
		w.hosts[a] = ""
	}
	r := start(t, func(c *fleet.Config) { c.Probe = w.probe })
	r.subnet(t, "s", "10.0.0.0/24")
	_, err := r.reserve(t, "r", metal.ReservationSpec{Subnet: "s"})
	wantRefusal(t, "eight strangers in a row", err, metal.Conflict, "the next 8 free addresses of subnet s are in use")
	if len(w.probes) != 8 {
		t.Errorf("got %d probes; want 8", len(w.probes))
	}
	r.subnet(t, "tiny", "10.0.1.0/30")
	w.hosts[addr("10.0.1.1")], w.hosts[addr("10.0.1.2")] = "", ""
	_, err = r.reserve(t, "r", metal.ReservationSpec{Subnet: "tiny"})
	wantRefusal(t, "nothing but strangers", err, metal.Exhausted, "no free address left")
}

func TestAnAddressThatIsTakenWhileItIsProbedIsNotGivenTwice(t *testing.T) {
	w := &wire{}
	r := start(t, func(c *fleet.Config) { c.Probe = w.probe })
	r.subnet(t, "s", "10.0.0.0/24")
	take := func(name string) func(netip.Addr) {
		return func(a netip.Addr) {
			must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
				x := &metal.Reservation{Name: name, Addr: a, Spec: metal.ReservationSpec{Subnet: "s"}}
				if err := tx.PutReservation(x); err != nil {
					return err
				}
				return tx.Assign(metal.Assignment{Subnet: "s", Addr: a, Reservation: name})
			}))
		}
	}
	w.then = take("quicker")
	got, err := r.reserve(t, "slower", metal.ReservationSpec{Subnet: "s"})
	if err != nil || got.Addr != addr("10.0.0.2") {
		t.Errorf("the next one: got %s, %v; want 10.0.0.2", got.Addr, err)
	}
	w.then = take("again")
	_, err = r.reserve(t, "asks", metal.ReservationSpec{Subnet: "s", Addr: addr("10.0.0.9"), MAC: nicA})
	wantRefusal(t, "one that was asked for", err, metal.Conflict, "belongs to reservation again")
	// A host that gave up waiting leaves nothing behind.
	ctx, cancel := context.WithCancel(t.Context())
	w.then = func(netip.Addr) { cancel() }
	if _, err := r.PutReservation(ctx, api.PutReservationRequest{ByName: named("gone"), Body: metal.ReservationSpec{Subnet: "s"}}); err == nil {
		t.Error("a caller that went away got an address")
	}
	if got, err := r.reserve(t, "next", metal.ReservationSpec{Subnet: "s"}); err != nil || got.Addr != addr("10.0.0.3") {
		t.Errorf("after a caller that went away: got %s, %v; want 10.0.0.3", got.Addr, err)
	}
}

func TestTheLedgerIsReadAgainAtAStart(t *testing.T) {
	r := start(t)
	r.subnet(t, "s", "10.0.0.0/24", serves, func(s *metal.SubnetSpec) { s.DHCP.Ranges = []metal.AddrRange{rng("10.0.0.100", "10.0.0.109")} })
	_, err := r.putRange(t, "infra", metal.IPRangeSpec{Subnet: "s", Kind: metal.RangeReserved, First: addr("10.0.0.1"), Last: addr("10.0.0.9")})
	must(t, err)
	r.machine(t, "n", nicA)
	_, err = r.reserve(t, "r", metal.ReservationSpec{Subnet: "s", MAC: nicB, Hostname: "camera"})
	must(t, err)
	r.lease(t, "c", metal.Lease{Subnet: "s", Addr: addr("10.0.0.100"), MAC: nicC})
	must(t, r.db.Update(t.Context(), func(tx *store.Tx) error {
		return tx.See(metal.Sighting{Subnet: "s", Addr: addr("10.0.0.12"), SeenAt: tx.Now})
	}))
	want := r.use(t, "s")
	if want != (metal.SubnetUse{Total: 254, Reserved: 10, Dynamic: 10, Assigned: 2, Leased: 1, Free: 232}) {
		t.Errorf("use: got %+v", want)
	}
	again := &rig{db: r.db}
	again.Fleet, err = fleet.New(t.Context(), fleet.Config{DB: r.db, Zone: "fleet.test", CheckOptions: tellable})
	must(t, err)
	if got := again.use(t, "s"); got != want {
		t.Errorf("use after a start: got %+v; want %+v", got, want)
	}
	_, err = again.reserve(t, "x", metal.ReservationSpec{Subnet: "s", MAC: nicB})
	wantRefusal(t, "a client that has a reservation", err, metal.Conflict, "has reservation r")
	_, err = again.reserve(t, "x", metal.ReservationSpec{Subnet: "s", Hostname: "camera"})
	wantRefusal(t, "a name that is taken", err, metal.Conflict, "belongs to reservation r")
	got, err := again.reserve(t, "x", metal.ReservationSpec{Subnet: "s"})
	if err != nil || got.Addr != addr("10.0.0.13") {
		t.Errorf("the next free one: got %s, %v; want 10.0.0.13", got.Addr, err)
	}
}
