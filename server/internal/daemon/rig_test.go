package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/netns"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// rig is the part of the daemon that DHCP and boot requests reach: a real database, the fleet, and the leases.
type rig struct {
	*leases
	db     *store.DB
	engine *lifecycle.Engine
	log    *netns.Output
	logger *slog.Logger
	ahead  atomic.Int64 // how far the database's clock is ahead of the real one, in nanoseconds
}

var ours = netip.MustParseAddr("172.31.0.1")

func newRig(t testing.TB) *rig {
	t.Helper()
	return newRigIn(t, t.TempDir())
}

// newRigIn has the database in a directory, where another rig may have left it.
func newRigIn(t testing.TB, dir string) *rig {
	t.Helper()
	ctx := t.Context()
	r := &rig{log: &netns.Output{}}
	r.logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }
	sealer, err := seal.LoadOrCreate(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, filepath.Join(dir, "metald.db"), store.Options{Sealer: sealer, Now: now, Log: r.logger})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r.engine, err = lifecycle.New(ctx, lifecycle.Config{DB: db, Dial: map[string]bmc.Dial{}, BaseURL: "http://172.31.0.1:7080", Now: now, Log: r.logger})
	if err != nil {
		t.Fatal(err)
	}
	f, err := fleet.New(ctx, fleet.Config{
		DB: db, Engine: r.engine, Zone: "metal.test", CheckOptions: dhcp.CheckOptions, Own: []netip.Addr{ours}, Log: r.logger, Caller: func(context.Context) string { return "test" },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.EnsureDefaults(ctx); err != nil {
		t.Fatal(err)
	}
	r.db = db
	if r.leases, err = newLeases(ctx, db, f, "http://172.31.0.1:7080", "metal.test", now, r.logger); err != nil {
		t.Fatal(err)
	}
	netns.Keep(t, "the keeper of leases", r.keeper.Run)
	return r
}

// exchange is Exchange, which waits for the answer.
func (r *rig) exchange(q dhcp.Query, decide func(dhcp.View, time.Time) dhcp.Answer) (dhcp.Answer, error) {
	type result struct {
		answer dhcp.Answer
		err    error
	}
	done := make(chan result, 1)
	r.Exchange(q, decide, func(a dhcp.Answer, err error) { done <- result{a, err} })
	got := <-done
	return got.answer, got.err
}

// subnet makes a subnet that serves DHCP, with one dynamic range.
func (r *rig) subnet(t testing.TB, name, cidr, first, last string) {
	t.Helper()
	spec := metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr), DHCP: metal.DHCPSpec{
		Mode: metal.DHCPAuthoritative, Ranges: []metal.AddrRange{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}},
	}}
	if _, err := r.fleet.PutSubnet(t.Context(), api.PutSubnetRequest{ByName: api.ByName{Name: name}, Body: spec}); err != nil {
		t.Fatal(err)
	}
}

// declare makes a machine known.
func (r *rig) declare(t *testing.T, name string, macs ...metal.MAC) metal.Machine {
	t.Helper()
	in := api.CreateMachineRequest{}
	in.Body.MachineSpec = metal.MachineSpec{Name: name, MACs: macs}
	m, err := r.fleet.CreateMachine(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// held lists the leases that have not expired.
func (r *rig) held(t *testing.T) (list []metal.Lease) {
	t.Helper()
	err := r.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.Leases("")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// events lists the events of a kind.
func (r *rig) events(t *testing.T, kind string) (list []metal.Event) {
	t.Helper()
	err := r.db.Read(t.Context(), func(tx *store.Tx) (err error) {
		list, err = tx.Events(0, 10000)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(list, func(e metal.Event) bool { return e.Kind != kind })
}

// serve runs the DHCP server on an interface of a namespace until the test ends.
func (r *rig) serve(t *testing.T, ns netns.Space, iface string, addr netip.Addr) {
	t.Helper()
	var s *dhcp.Server
	ns.Must(t, func() (err error) {
		s, err = dhcp.New(t.Context(), dhcp.Config{Interface: iface, Ours: addr, Store: r.leases, Log: r.logger})
		return err
	})
	netns.Keep(t, "the DHCP server", s.Run)
}
