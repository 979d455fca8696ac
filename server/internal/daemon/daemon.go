// Package daemon assembles metald: it reads the configuration, opens the database and every socket, and runs the
// services. It is the only package that knows them all.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/api"
	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/ipmi"
	"github.com/metalform/terraform-provider-metal/server/internal/bmc/redfish"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/bootfile"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/fleet"
	"github.com/metalform/terraform-provider-metal/server/internal/httpapi"
	"github.com/metalform/terraform-provider-metal/server/internal/image"
	"github.com/metalform/terraform-provider-metal/server/internal/lifecycle"
	"github.com/metalform/terraform-provider-metal/server/internal/link"
	"github.com/metalform/terraform-provider-metal/server/internal/seal"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
)

// A service runs until ctx ends. It returns nil then, and an error only for a fault.
type service struct {
	name string
	run  func(ctx context.Context) error
}

// Daemon is metald, assembled: its database and sockets are open.
type Daemon struct {
	cfg       *Config
	log       *slog.Logger
	started   time.Time
	version   string
	ours      netip.Prefix // our address on the machines' interface
	db        *store.DB
	zones     *zones
	site      *site
	links     *link.Watcher
	counters  counters
	images    *image.Store
	bootFiles *bootfile.Store
	engine    *lifecycle.Engine
	fleet     *fleet.Fleet
	api       net.Listener
	boot      net.Listener
	services  []service
	closers   []func() error
	where     map[string]string // what runs on which address
}

// New opens everything, in order. When a later part fails, what was opened before is closed.
func New(ctx context.Context, cfg *Config, version string, log *slog.Logger) (*Daemon, error) {
	d := &Daemon{cfg: cfg, log: log, started: time.Now(), version: version, where: map[string]string{}}
	for _, part := range []func(context.Context) error{
		d.findAddress, d.openStore, d.openLinks, d.openZones, d.listen, d.openEngine, d.openAPI, d.openBoot, d.openTFTP, d.openDHCP, d.openRA, d.openDNS, d.openNTP, d.openNeighbours,
	} {
		if err := part(ctx); err != nil {
			return nil, errors.Join(err, d.Close())
		}
	}
	return d, nil
}

// Close closes what is open, last opened first. Run does it too.
func (d *Daemon) Close() error {
	var all []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		if err := d.closers[i](); err != nil && !errors.Is(err, net.ErrClosed) {
			all = append(all, err)
		}
	}
	d.closers = nil
	return errors.Join(all...)
}

// Where tells what runs on which address.
func (d *Daemon) Where() map[string]string { return d.where }

// Run runs every service until ctx ends or one of them fails, waits for all, and closes everything.
func (d *Daemon) Run(ctx context.Context) error {
	spareProcessor()
	g, ctx := errgroup.WithContext(ctx)
	for _, s := range d.services {
		g.Go(func() error {
			if err := s.run(ctx); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if ctx.Err() == nil {
				return fmt.Errorf("%s: stopped unasked", s.name)
			}
			return nil
		})
	}
	d.log.Info("metald is up", "version", d.version, "in", time.Since(d.started).Round(time.Millisecond), "services", d.where)
	return errors.Join(g.Wait(), d.Close())
}

func (d *Daemon) add(name, where string, run func(context.Context) error) {
	d.services = append(d.services, service{name, run})
	if where != "" {
		d.where[name] = where
	}
}

func (d *Daemon) openStore(ctx context.Context) error {
	if err := os.MkdirAll(d.cfg.DataDir, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	sealer, err := seal.LoadOrCreate(filepath.Join(d.cfg.DataDir, "secret.key"))
	if err != nil {
		return err
	}
	d.db, err = store.Open(ctx, filepath.Join(d.cfg.DataDir, "metald.db"), store.Options{Sealer: sealer, Now: time.Now, Log: d.log})
	if err != nil {
		return err
	}
	d.closers = append(d.closers, d.db.Close)
	d.images, err = image.Open(filepath.Join(d.cfg.DataDir, "images"), image.Options{
		AllowedDirs: d.cfg.Images.Directories, MaxBytes: int64(d.cfg.Images.MaxGiB) << 30, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.bootFiles, err = openBootFiles(ctx, d.db, filepath.Join(d.cfg.DataDir, "boot-files"), d.cfg.Images.Directories)
	return err
}

func (d *Daemon) openEngine(ctx context.Context) (err error) {
	d.engine, err = lifecycle.New(ctx, lifecycle.Config{
		DB: d.db, Dial: map[string]bmc.Dial{"ipmi": ipmi.Dial, "redfish": redfish.Dial},
		Seed: seeder(d.cfg.Zone, d.ours.Addr()), Layout: fleet.Layout, Import: importer(d.images), BaseURL: d.bootURL(),
		Limits: limits(d.cfg.Limits), Now: time.Now, Log: d.log,
	})
	if err != nil {
		return err
	}
	d.fleet, err = fleet.New(ctx, fleet.Config{
		DB: d.db, Engine: d.engine, Images: images{d.images, d.cfg.Images.Directories}, BootFiles: d.bootFiles, Zone: d.cfg.Zone, Own: []netip.Addr{d.ours.Addr()},
		Version: d.version, Started: d.started, Services: d.where, Caller: httpapi.Caller, Serial: d.zones.serial, Leases: leaseFiles{}, Probe: d.probe(), CheckOptions: dhcp.CheckOptions, Log: d.log,
	})
	if err != nil {
		return err
	}
	if err := d.fleet.EnsureDefaults(ctx); err != nil {
		return err
	}
	d.add("engine", "", d.engine.Run)
	if *d.cfg.Subnet {
		return d.firstSubnet(ctx)
	}
	return nil
}

// bootURL is the boot server's base URL, as machines reach it.
func (d *Daemon) bootURL() string {
	if d.cfg.Boot.URL != "" {
		return d.cfg.Boot.URL
	}
	_, port, _ := cutLast(d.boot.Addr().String(), ":")
	return "http://" + net.JoinHostPort(d.ours.Addr().String(), port)
}

// firstSubnet makes a subnet of the interface's network, so that the first machine only needs to be plugged in. The
// upper half of the network is for clients that nobody declared. Where there is any subnet already, people have
// decided.
func (d *Daemon) firstSubnet(ctx context.Context) error {
	have, err := d.fleet.ListSubnets(ctx, api.ListByNamesRequest{})
	if err != nil || len(have.Items) > 0 {
		return err
	}
	spec := metal.SubnetSpec{CIDR: d.ours.Masked(), DHCP: metal.DHCPSpec{Mode: metal.DHCPAuthoritative}}
	if bits := d.ours.Bits(); d.ours.Addr().Is4() && bits <= 29 {
		spec.DHCP.Ranges = []metal.AddrRange{upperHalf(d.ours)}
	}
	_, err = d.fleet.PutSubnet(ctx, api.PutSubnetRequest{ByName: api.ByName{Name: "default"}, Body: spec})
	return err
}

// upperHalf returns the upper half of a network without its broadcast address; without ours, where that lies in it.
func upperHalf(p netip.Prefix) metal.AddrRange {
	net4 := p.Masked().Addr().As4()
	size := uint32(1) << (32 - p.Bits())
	base := uint32(net4[0])<<24 | uint32(net4[1])<<16 | uint32(net4[2])<<8 | uint32(net4[3])
	at := func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
	}
	r := metal.AddrRange{First: at(base + size/2), Last: at(base + size - 2)}
	if !p.Addr().Less(r.First) {
		return metal.AddrRange{First: at(base + size/4), Last: at(base + size/2 - 1)}
	}
	return r
}

// openBoot opens the HTTP server that machines boot from and agents speak to.
func (d *Daemon) openBoot(context.Context) error {
	files := boot.Files{Loaders: d.cfg.Boot.Loaders, Env: d.cfg.Boot.Env}
	for _, fault := range files.Missing(d.cfg.Boot.Secure) {
		d.log.Warn("machines will ask for a boot file in vain", "fault", fault)
	}
	d.serveBoot(files)
	return nil
}

// firstToken makes the first admin token, and writes it to a file that only the owner reads.
func (d *Daemon) firstToken(ctx context.Context) error {
	has, err := d.fleet.HasTokens(ctx)
	if err != nil || has {
		return err
	}
	path := filepath.Join(d.cfg.DataDir, "admin-token")
	_, err = d.fleet.MakeToken(ctx, "admin", func(token string) error {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a start that did not come so far
			return err
		}
		if err := os.WriteFile(path, []byte(token+"\n"), 0o600); err != nil {
			return fmt.Errorf("write the first token: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.log.Info("made the first token", "file", path)
	return nil
}
