package daemon

import (
	"context"
	"log/slog"
	"net/netip"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// rig is the part of the daemon that DHCP and boot requests reach: a real database, the fleet, and the leases.
type rig struct {
	*leases
	engine *lifecycle.Engine
	log    *output
	logger *slog.Logger
	ahead  atomic.Int64 // how far the database's clock is ahead of the real one, in nanoseconds
}

var ours = netip.MustParseAddr("172.31.0.1")

func newRig(t *testing.T) *rig {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	r := &rig{log: &output{}}
	r.logger = slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	now := func() time.Time { return time.Now().Add(time.Duration(r.ahead.Load())) }
	sealer, err := seal.LoadOrCreate(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(ctx, filepath.Join(dir, "metald.db"), store.Options{Sealer: sealer, Now: now, Log: r.logger, Zone: "metal.test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	r.engine, err = lifecycle.New(ctx, lifecycle.Config{DB: db, Dial: map[string]bmc.Dial{}, BaseURL: "http://172.31.0.1:7080", Now: now, Log: r.logger})
	if err != nil {
		t.Fatal(err)
	}
	f := fleet.New(fleet.Config{
		DB: db, Engine: r.engine, Zone: "metal.test", Own: []netip.Addr{ours}, Log: r.logger, Caller: func(context.Context) string { return "test" },
	})
	if err := f.EnsureDefaults(ctx); err != nil {
		t.Fatal(err)
	}
	r.leases = &leases{db: db, fleet: f, bootURL: "http://172.31.0.1:7080", zone: "metal.test"}
	return r
}

// subnet makes a subnet that serves DHCP, with one dynamic range.
func (r *rig) subnet(t *testing.T, name, cidr, first, last string) {
	t.Helper()
	spec := metal.SubnetSpec{CIDR: netip.MustParsePrefix(cidr), DHCP: metal.DHCPSpec{
		Enabled: true, Ranges: []metal.AddrRange{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}},
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

// serve runs the DHCP server on an interface of a namespace until the test ends.
func (r *rig) serve(t *testing.T, ns, iface string, addr netip.Addr) {
	t.Helper()
	var s *dhcp.Server
	in(t, ns, func() (err error) {
		s, err = dhcp.New(t.Context(), iface, addr, r.leases, r.logger)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the DHCP server ended: got %v; want nothing", err)
		}
	})
}
