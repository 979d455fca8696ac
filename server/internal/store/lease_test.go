package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// held is the n-th lease of the subnet "fleet", of the n-th client.
func held(r *rig, n int, life time.Duration) store.HeldLease {
	addr := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	return store.HeldLease{Client: fmt.Sprintf("client %d", n), Lease: metal.Lease{
		Subnet: "fleet", Addr: addr, MAC: mac(n), State: metal.LeaseActive, StartedAt: r.now, ExpiresAt: r.now.Add(life),
	}}
}

// all lists every lease that is kept, by client.
func (r *rig) all(t *testing.T) map[string]metal.Lease {
	t.Helper()
	kept := map[string]metal.Lease{}
	err := r.Read(t.Context(), func(tx *store.Tx) error {
		return tx.HeldLeases(func(h store.HeldLease) { kept[h.Client] = h.Lease })
	})
	if err != nil {
		t.Fatal(err)
	}
	return kept
}

func TestManyLeasesAreStoredAtOnce(t *testing.T) {
	r := open(t)
	r.update(t, func(tx *store.Tx) error { return tx.PutSubnet(&metal.Subnet{Name: "fleet"}) })
	put := func(list ...store.HeldLease) error {
		return r.Update(t.Context(), func(tx *store.Tx) error { return tx.PutLeases(list, tx.Now) })
	}
	var list []store.HeldLease
	for n := range 21 {
		list = append(list, held(r, n, time.Minute))
	}
	if err := put(list...); err != nil || len(r.all(t)) != len(list) {
		t.Fatalf("new ones: got %v and %d stored; want %d", err, len(r.all(t)), len(list))
	}
	for i := range list {
		list[i].ExpiresAt = r.now.Add(time.Hour)
	}
	if err := put(list[:20]...); err != nil || !r.all(t)["client 3"].ExpiresAt.Equal(r.now.Add(time.Hour)) {
		t.Errorf("renewed: got %v and %v; want an end in an hour", err, r.all(t)["client 3"].ExpiresAt)
	}
	// One of them is another client's, and nothing of the transaction is kept.
	taken := held(r, 3, 2*time.Hour)
	taken.Client = "another"
	if err := put(held(r, 30, time.Minute), taken); metal.CodeOf(err) != metal.Conflict || len(r.all(t)) != len(list) {
		t.Errorf("another's: got %v and %d stored; want a conflict and %d", err, len(r.all(t)), len(list))
	}
	// A client has one lease on a subnet.
	second := held(r, 31, time.Hour)
	second.Client = "client 3"
	if err := put(second); metal.CodeOf(err) != metal.Conflict {
		t.Errorf("a second one of a client: got %v; want a conflict", err)
	}
	r.now = r.now.Add(90 * time.Minute)
	taken.ExpiresAt = r.now.Add(time.Minute)
	if err := put(held(r, 30, time.Minute), taken); err != nil || len(r.all(t)) != len(list)+1 || r.all(t)["another"].Addr != taken.Addr {
		t.Errorf("one that ended: got %v and %v", err, r.all(t)["another"])
	}
}

// watcher remembers what it is told of leases.
type watcher struct{ told []string }

func (w *watcher) Load(*store.Tx) error { return nil }

func (w *watcher) Apply(changes []store.Change) {
	for _, c := range changes {
		if c.Lease != nil {
			w.told = append(w.told, fmt.Sprintf("%s %q %t", c.Lease.Addr, c.Client, c.Gone))
		}
	}
}

func TestObserversAreToldOfLeases(t *testing.T) {
	r := open(t)
	r.update(t, func(tx *store.Tx) error { return tx.PutSubnet(&metal.Subnet{Name: "fleet"}) })
	w := &watcher{}
	if err := r.Observe(t.Context(), w); err != nil {
		t.Fatal(err)
	}
	r.update(t, func(tx *store.Tx) error {
		return errors.Join(tx.PutLeases([]store.HeldLease{held(r, 1, time.Minute), held(r, 2, time.Minute)}, tx.Now), tx.DeleteLease("fleet", held(r, 1, 0).Addr))
	})
	r.now = r.now.Add(time.Hour)
	r.update(t, func(tx *store.Tx) error { return tx.ExpireLeases(tx.Now) })
	want := []string{`10.0.0.1 "client 1" false`, `10.0.0.2 "client 2" false`, `10.0.0.1 "" true`, `10.0.0.2 "" true`}
	if diff := cmp.Diff(want, w.told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestEventsOfLeasesKeepTheirOrder(t *testing.T) {
	r := open(t)
	var list []store.LeaseEvent
	for n := range 19 {
		list = append(list, store.LeaseEvent{Subnet: "fleet", Text: fmt.Sprint(n)})
	}
	r.update(t, func(tx *store.Tx) error { return tx.AddLeaseEvents(list) })
	r.update(t, func(tx *store.Tx) error {
		events, err := tx.Events(0, 100)
		for n, e := range events {
			if e.Kind != "lease" || e.Subject != "fleet" || e.Text != fmt.Sprint(n) || !e.At.Equal(r.now) {
				t.Errorf("event %d: got %+v", n, e)
			}
		}
		if len(events) != len(list) {
			t.Errorf("got %d events; want %d", len(events), len(list))
		}
		return err
	})
}

// BenchmarkPutLeases renews leases in no order, which is how clients come.
func BenchmarkPutLeases(b *testing.B) {
	for _, count := range []int{1000, 10_000, 100_000} {
		for _, size := range []int{1, 16, 256} {
			b.Run(fmt.Sprintf("%d of %d", size, count), func(b *testing.B) {
				r := openBench(b)
				put := func(next func() int, size int) {
					err := r.Update(b.Context(), func(tx *store.Tx) error {
						list := make([]store.HeldLease, size)
						for i := range list {
							list[i] = held(r, next(), time.Minute+time.Duration(rand.Int64N(1e9)))
						}
						return tx.PutLeases(list, tx.Now)
					})
					if err != nil {
						b.Fatal(err)
					}
				}
				all := 0
				put(func() int { all++; return all }, count)
				before := written(b)
				for b.Loop() {
					put(func() int { return 1 + rand.IntN(count) }, size)
				}
				leases := float64(b.N * size)
				b.ReportMetric(leases/b.Elapsed().Seconds(), "leases/s")
				b.ReportMetric((written(b)-before)/leases, "B/lease")
			})
		}
	}
}

// written is how many bytes this process has had written.
func written(b *testing.B) float64 {
	text, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	_, after, _ := strings.Cut(string(text), "wchar: ")
	line, _, _ := strings.Cut(after, "\n")
	n, err := strconv.ParseFloat(line, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func openBench(b *testing.B) *rig {
	b.Helper()
	r := &rig{now: start}
	sealer, err := seal.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		b.Fatal(err)
	}
	r.DB, err = store.Open(b.Context(), filepath.Join(b.TempDir(), "metald.db"), store.Options{
		Sealer: sealer, Now: func() time.Time { return r.now }, Log: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { r.Close() })
	if err := r.Update(b.Context(), func(tx *store.Tx) error { return tx.PutSubnet(&metal.Subnet{Name: "fleet"}) }); err != nil {
		b.Fatal(err)
	}
	return r
}
