package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	dnsserver "github.com/metalform/terraform-provider-metal/server/internal/dns"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

var zoneConfig = zone.Config{Zone: "metal.test", NameServer: "metald.metal.test", Addrs: []netip.Addr{ours}}

// zonesOf makes the zones of a database.
func zonesOf(t testing.TB, db *store.DB, now time.Time) *zones {
	t.Helper()
	z, err := openZones(t.Context(), db, zoneConfig, now, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// openAt opens a database.
func openAt(t testing.TB, path string) *store.DB {
	t.Helper()
	sealer, err := seal.LoadOrCreate(filepath.Join(filepath.Dir(path), "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), path, store.Options{Sealer: sealer, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// answered asks for "name type", and returns the data of the answer's records.
func answered(t testing.TB, z *zones, question string) string {
	t.Helper()
	qname, rrtype, _ := strings.Cut(question, " ")
	q := new(dns.Msg).SetQuestion(qname, dns.StringToType[rrtype])
	var list []string
	for _, rr := range dnsserver.Answer(q, z.Now(), dnsserver.Self{}).Answer {
		list = append(list, strings.TrimPrefix(rr.String(), rr.Header().String()))
	}
	return strings.Join(list, " ")
}

// TestNoAnswerIsStale makes a thing, and asks for its name when the transaction returns, 10,000 times.
func TestNoAnswerIsStale(t *testing.T) {
	const count = 10_000
	db := openAt(t, filepath.Join(t.TempDir(), "metald.db"))
	z := zonesOf(t, db, time.Now())
	update := func(f func(*store.Tx) error) {
		if err := db.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
	}
	update(func(tx *store.Tx) error {
		return errors.Join(
			tx.PutSubnet(&metal.Subnet{Name: "fleet", Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("10.77.0.0/16")}}),
			tx.PutZone(&metal.Zone{Name: "rich.test"}),
		)
	})
	stale := 0
	check := func(question, want string) {
		if got := answered(t, z, question); got != want {
			if stale++; stale < 5 {
				t.Errorf("%s: got %q; want %q", question, got, want)
			}
		}
	}
	for i := range count {
		name := fmt.Sprintf("n%05d", i)
		addr := netip.AddrFrom4([4]byte{10, 77, byte(i >> 8), byte(i)})
		if i%2 == 0 {
			r := &metal.Reservation{Name: name, Spec: metal.ReservationSpec{Subnet: "fleet", Addr: addr, Hostname: name}, Addr: addr}
			update(func(tx *store.Tx) error {
				return errors.Join(tx.PutReservation(r), tx.Assign(metal.Assignment{Subnet: "fleet", Addr: addr, Reservation: name}))
			})
			check(name+".metal.test. A", addr.String())
			check(fmt.Sprintf("%d.%d.77.10.in-addr.arpa. PTR", byte(i), byte(i>>8)), name+".metal.test.")
			continue
		}
		r := &metal.RecordSet{Zone: "rich.test", Name: name, Type: "A", Spec: metal.RecordSetSpec{Values: []string{addr.String()}}}
		update(func(tx *store.Tx) error { return tx.PutRecordSet(r) })
		check(name+".rich.test. A", addr.String())
	}
	if stale > 0 {
		t.Errorf("got %d stale answers in %d pairs; want none", stale, count)
	}
}

func TestNamesFollowTheAPI(t *testing.T) {
	r := newRig(t)
	z := zonesOf(t, r.db, time.Now())
	ctx := t.Context()
	r.subnet(t, "rack", "172.31.0.0/24", "172.31.0.100", "172.31.0.150")
	m := r.declare(t, "node-1", firstMAC)
	reverse, _ := dns.ReverseAddr(m.Address)
	if got := answered(t, z, "node-1.metal.test. A"); got != m.Address {
		t.Errorf("a machine: got %q; want %s", got, m.Address)
	}
	if got := answered(t, z, reverse+" PTR"); got != "node-1.metal.test." {
		t.Errorf("its address: got %q", got)
	}
	spec := m.Spec
	spec.Name = "node-2"
	update := api.UpdateMachineRequest{}
	update.ID = m.ID
	update.Body.MachineSpec = spec
	if _, err := r.fleet.UpdateMachine(ctx, update); err != nil {
		t.Fatal(err)
	}
	if old, now := answered(t, z, "node-1.metal.test. A"), answered(t, z, "node-2.metal.test. A"); old != "" || now != m.Address {
		t.Errorf("a machine that was renamed: got %q and %q; want nothing and %s", old, now, m.Address)
	}
	lease := metal.Lease{
		Subnet: "rack", Addr: netip.MustParseAddr("172.31.0.120"), MAC: "52:54:00:00:00:99", Hostname: "Laptop",
		State: metal.LeaseActive, StartedAt: time.Now(), ExpiresAt: time.Now().Add(time.Hour),
	}
	err := r.db.Update(ctx, func(tx *store.Tx) error { return tx.PutLease("a client", lease) })
	if err != nil {
		t.Fatal(err)
	}
	if got := answered(t, z, "laptop.metal.test. A"); got != "172.31.0.120" {
		t.Errorf("a lease: got %q", got)
	}
	// What is told one by one is what a restart makes.
	if diff := cmp.Diff(contents(zonesOf(t, r.db, time.Now())), contents(z)); diff != "" {
		t.Errorf("(-after a restart +before):\n%s", diff)
	}
	if err := r.db.Update(ctx, func(tx *store.Tx) error { return tx.DeleteLease("rack", lease.Addr) }); err != nil {
		t.Fatal(err)
	}
	if got := answered(t, z, "laptop.metal.test. A"); got != "" {
		t.Errorf("a lease that was released: got %q", got)
	}
}

// contents is all records of all zones, but for the SOA records.
func contents(z *zones) map[string]bool {
	all := map[string]bool{}
	for found := range z.Now().All() {
		_, records := found.Transfer()
		for rr := range records {
			all[found.Name()+" "+rr.String()] = true
		}
	}
	return all
}

func TestNamesOfAllThatIsStored(t *testing.T) {
	db := openAt(t, filepath.Join(t.TempDir(), "metald.db"))
	live := zonesOf(t, db, time.Now())
	must := func(f func(*store.Tx) error) {
		t.Helper()
		if err := db.Update(t.Context(), f); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(contents(zonesOf(t, db, time.Now())), contents(live)); diff != "" {
			t.Errorf("(-after a restart +before):\n%s", diff)
		}
	}
	addr := netip.MustParseAddr
	must(func(tx *store.Tx) error {
		return errors.Join(
			tx.PutSubnet(&metal.Subnet{Name: "rack", Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")}}),
			tx.PutSubnet(&metal.Subnet{Name: "six", Spec: metal.SubnetSpec{CIDR: netip.MustParsePrefix("fd00:31::/64"), Domain: "six.test"}}),
			tx.PutZone(&metal.Zone{Name: "rich.test"}),
			tx.PutRecordSet(&metal.RecordSet{Zone: "rich.test", Name: "@", Type: "MX", Spec: metal.RecordSetSpec{Values: []string{"10 mail"}}}),
			tx.PutDevice(&metal.Device{Name: "switch", Spec: metal.DeviceSpec{Interfaces: []metal.DeviceInterface{{Subnet: "six"}, {Subnet: "rack"}}}}),
			tx.Assign(metal.Assignment{Subnet: "six", Addr: addr("fd00:31::2"), Device: "switch"}),
			tx.Assign(metal.Assignment{Subnet: "rack", Addr: addr("172.31.0.2"), Device: "switch"}),
			tx.PutReservation(&metal.Reservation{Name: "r", Spec: metal.ReservationSpec{Subnet: "rack", Hostname: "printer"}}),
			tx.Assign(metal.Assignment{Subnet: "rack", Addr: addr("172.31.0.3"), Reservation: "r"}),
		)
	})
	for question, want := range map[string]string{
		"switch.six.test. AAAA": "fd00:31::2", "switch.six.test. A": "172.31.0.2", "2.0.31.172.in-addr.arpa. PTR": "switch.six.test.",
		"printer.metal.test. A": "172.31.0.3", "rich.test. MX": "10 mail.rich.test.", "metald.metal.test. A": "172.31.0.1",
	} {
		if got := answered(t, live, question); got != want {
			t.Errorf("%s: got %q; want %q", question, got, want)
		}
	}
	must(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteDevice("switch"), tx.DeleteReservation("r"), tx.DeleteRecordSet("rich.test", "@", "MX"))
	})
	must(func(tx *store.Tx) error {
		return errors.Join(tx.DeleteZone("rich.test"), tx.DeleteSubnet("six"))
	})
	if n := len(slices.Collect(live.Now().All())); n != 2 {
		t.Errorf("got %d zones; want the server's and the reverse one of the subnet that is left", n)
	}
}

func TestSerialNumbersNeverGoBackOverARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metald.db")
	now := time.Unix(1_800_000_000, 0)
	serial := func(z *zones) int64 { return int64(z.serial("metal.test")) }
	first := zonesOf(t, openAt(t, path), now)
	if got := serial(first); got <= now.Unix() || got > now.Unix()+10 {
		t.Errorf("first: got serial %d; want one just above the clock", got)
	}
	second := zonesOf(t, openAt(t, path), now)
	if got := serial(second); got < serial(first)+serialBlock-10 {
		t.Errorf("second: got serial %d; want one above all that the first may have given", got)
	}
	back := zonesOf(t, openAt(t, path), now.AddDate(-1, 0, 0))
	if got := serial(back); got <= serial(second) {
		t.Errorf("with the clock a year back: got serial %d after %d", got, serial(second))
	}
	later := zonesOf(t, openAt(t, path), now.AddDate(1, 0, 0))
	if got := serial(later); got <= now.AddDate(1, 0, 0).Unix() {
		t.Errorf("a year later: got serial %d; want one above the clock", got)
	}
	if got := later.serial("nosuch.test"); got != 0 {
		t.Errorf("a zone that is not there: got serial %d; want 0", got)
	}
}

func TestMoreSerialNumbersAreReservedInTime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "metald.db")
	z := zonesOf(t, openAt(t, path), time.Unix(1_800_000_000, 0))
	limit := z.limit
	if err := z.replenish(t.Context()); err != nil || z.limit != limit {
		t.Errorf("with most of them left: got limit %d, %v; want %d", z.limit, err, limit)
	}
	z.limit = int64(z.Top()) + serialBlock/2 // half of them are used up
	if err := z.replenish(t.Context()); err != nil || z.limit < limit+serialBlock/2 {
		t.Errorf("got limit %d, %v; want a block more than %d", z.limit, err, limit)
	}
	if again := zonesOf(t, openAt(t, path), time.Unix(0, 0)); int64(again.serial("metal.test")) < z.limit {
		t.Errorf("after a restart: got serial %d; want one above %d", again.serial("metal.test"), z.limit)
	}
}

func TestZonesRunUntilTheyAreStopped(t *testing.T) {
	z := zonesOf(t, openAt(t, filepath.Join(t.TempDir(), "metald.db")), time.Now())
	z.Change(func(b *zone.Batch) {
		b.SetSubnet("rack", metal.SubnetSpec{CIDR: netip.MustParsePrefix("172.31.0.0/24")})
		b.SetLease("a", metal.Lease{
			Subnet: "rack", Addr: netip.MustParseAddr("172.31.0.100"), Hostname: "pc", State: metal.LeaseActive, ExpiresAt: time.Now().Add(-time.Minute),
		})
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- z.Run(ctx) }()
	netns.Until(t, "the name goes with its lease", func() bool { return answered(t, z, "pc.metal.test. A") == "" }, func() string { return "" })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("got %v; want nothing", err)
	}
}
