package daemon

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/boot"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp"
	"github.com/metalform/terraform-provider-metal/server/internal/dhcp6"
	"github.com/metalform/terraform-provider-metal/server/internal/link"
	"github.com/metalform/terraform-provider-metal/server/internal/neighbour"
	"github.com/metalform/terraform-provider-metal/server/internal/ra"
	"github.com/metalform/terraform-provider-metal/server/internal/store"
	"github.com/metalform/terraform-provider-metal/server/internal/tftp"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// openLinks finds the interfaces that are served. They are followed from then on: what is served on each begins and
// ends with it.
func (d *Daemon) openLinks(ctx context.Context) (err error) {
	if d.links, err = link.New(append([]string{d.cfg.Interface}, d.cfg.Interfaces...), d.log); err != nil {
		return err
	}
	d.add("links", "", d.links.Run)
	d.site = newSite()
	return d.db.Observe(ctx, d.site)
}

// onEach runs something on every interface that is served, anew when its addresses change. The first try is made at
// once on the machines' interface where that has an address, so that a port that is taken is told at the start. An IPv6
// address may have to wait until its duplicates were looked for.
func (d *Daemon) onEach(name string, try func(link.Link) error, run func(context.Context, link.Link) error) error {
	for _, l := range d.links.Now() {
		if l.Name != d.cfg.Interface || !eitherAddress(l).IsValid() {
			continue
		}
		if err := try(l); err != nil {
			return err
		}
	}
	d.add(name, d.cfg.Interface, func(ctx context.Context) error {
		return link.Each(ctx, d.links, link.Service{Name: name, Run: run, ByAddress: true, Log: d.log})
	})
	return nil
}

// address4 is our IPv4 address on a link; zero for none. address6 is the IPv6 one that is more than link-local.
func address4(l link.Link) netip.Addr {
	for _, p := range l.Addrs {
		if p.Addr().Is4() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

func address6(l link.Link) netip.Addr {
	for _, p := range l.Addrs {
		if p.Addr().Is6() && !p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// eitherAddress is our address on a link: address4, or else address6.
func eitherAddress(l link.Link) netip.Addr { return cmp.Or(address4(l), address6(l)) }

// bootURLAt is the boot server's base URL, as machines reach it by one of our addresses.
func (d *Daemon) bootURLAt(ours netip.Addr) string {
	if d.cfg.Boot.URL != "" || !ours.IsValid() {
		return d.bootURL()
	}
	_, port, _ := cutLast(d.boot.Addr().String(), ":")
	return "http://" + net.JoinHostPort(ours.String(), port)
}

// bootURLOf is the boot server's base URL as whoever sent a request has reached it.
func (d *Daemon) bootURLOf(r *http.Request) string {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return d.bootURL()
	}
	addr, err := netip.ParseAddrPort(local.String())
	if err != nil || addr.Addr().IsLinkLocalUnicast() { // which would need a zone
		return d.bootURL()
	}
	return d.bootURLAt(addr.Addr().Unmap())
}

// at is the same store for an interface where machines reach the boot server by another address.
func (l *leases) at(bootURL string) *leases {
	there := *l
	there.bootURL = bootURL
	return &there
}

// openDHCP opens DHCP of both families.
func (d *Daemon) openDHCP(ctx context.Context) error {
	if !*d.cfg.DHCP.Enabled {
		return nil
	}
	held, err := newLeases(ctx, d.db, d.fleet, d.bootURL(), d.cfg.Zone, time.Now, d.log)
	if err != nil {
		return err
	}
	held.secure = d.cfg.Boot.Secure
	d.add("leases", "", held.keeper.Run)
	four := func(ctx context.Context, l link.Link) (*dhcp.Server, error) {
		ours := address4(l)
		return dhcp.New(ctx, dhcp.Config{Interface: l.Name, Ours: ours, Store: held.at(d.bootURLAt(ours)), Ignore: neighbour.IsProbe, Log: d.log})
	}
	err = d.onEach("dhcp",
		func(l link.Link) error {
			if !address4(l).IsValid() {
				return nil
			}
			s, err := four(ctx, l)
			if err != nil {
				return err
			}
			return s.Close()
		},
		func(ctx context.Context, l link.Link) error {
			if !address4(l).IsValid() {
				return nil
			}
			s, err := four(ctx, l)
			if err != nil {
				return err
			}
			return s.Run(ctx)
		})
	if err != nil {
		return err
	}
	return d.openDHCP6(ctx, held)
}

func (d *Daemon) openDHCP6(ctx context.Context, held *leases) error {
	duid, err := d.serverDUID(ctx)
	if err != nil {
		return err
	}
	return d.onEach("dhcpv6", func(link.Link) error { return nil }, func(ctx context.Context, l link.Link) error {
		ours := address6(l)
		s, err := dhcp6.New(ctx, dhcp6.Config{
			Interface: l.Name, Ours: ours, DUID: duid, Store: &leases6{leases: held, bootURL: d.bootURLAt(ours)}, Ignore: neighbour.IsProbe, Log: d.log,
		})
		if err != nil {
			return err
		}
		return s.Run(ctx)
	})
}

// serverDUID is who we are to DHCPv6 clients, for good: made at first start (DUID-UUID, RFC 6355).
func (d *Daemon) serverDUID(ctx context.Context) (duid []byte, err error) {
	const setting = "dhcpv6_duid"
	err = d.db.Update(ctx, func(tx *store.Tx) error {
		if duid, err = tx.Setting(setting); err != nil || duid != nil {
			return err
		}
		duid = newDUID()
		return tx.PutSetting(setting, duid)
	})
	if err != nil {
		return nil, fmt.Errorf("make the server's DHCPv6 identifier: %w", err)
	}
	return duid, nil
}

// openTFTP opens the server that old firmware gets its first boot file from.
func (d *Daemon) openTFTP(ctx context.Context) error {
	if !*d.cfg.TFTP.Enabled {
		return nil
	}
	serve := func(ours netip.Addr) tftp.Open {
		return boot.TFTP{
			Known: bootFacts{d.db, d.engine, d.cfg.Boot.KernelParameters}, Files: boot.Files{Loaders: d.cfg.Boot.Loaders, Env: d.cfg.Boot.Env}, Base: d.bootURLAt(ours), Log: d.log,
		}.Open
	}
	listen := func(ctx context.Context, addr netip.Addr) (*udp.Conn, error) {
		network := "udp4"
		if addr.Is6() {
			network = "udp6"
		}
		return udp.Listen(ctx, network, net.JoinHostPort(addr.String(), "69"), "")
	}
	return d.onEach("tftp",
		func(l link.Link) error {
			conn, err := listen(ctx, eitherAddress(l))
			if err != nil {
				return err
			}
			return conn.Close()
		},
		func(ctx context.Context, l link.Link) error {
			return together(ctx, l.Addrs, func(ctx context.Context, addr netip.Addr) error {
				conn, err := listen(ctx, addr)
				if err != nil {
					return err
				}
				return tftp.New(conn.Socket(), serve(addr), d.log).Run(ctx)
			})
		})
}

// together serves every address of a link that is more than link-local, until ctx ends or one of them fails.
func together(ctx context.Context, addrs []netip.Prefix, serve func(context.Context, netip.Addr) error) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, p := range addrs {
		if !p.Addr().IsLinkLocalUnicast() {
			g.Go(func() error { return serve(ctx, p.Addr()) })
		}
	}
	return g.Wait()
}

// openRA opens the router advertisements: what VLANs declare, and what keeps iPXE from waiting for a router.
func (d *Daemon) openRA(context.Context) error {
	if !*d.cfg.RA.Enabled {
		return nil
	}
	open := func(l link.Link, changed <-chan struct{}) (*ra.Server, error) {
		settings := func() ra.Settings {
			vlan, subnets := d.site.around(l.Addrs)
			return ra.SettingsOf(vlan, subnets, address6(l), d.cfg.Zone)
		}
		return ra.New(l.Name, ra.Config{Settings: settings, Changed: changed}, d.log)
	}
	return d.onEach("router advertisements",
		func(l link.Link) error {
			s, err := open(l, nil)
			if err != nil {
				return err
			}
			return s.Close()
		},
		func(ctx context.Context, l link.Link) error {
			changed, end := d.site.watch()
			defer end()
			s, err := open(l, changed)
			if err != nil {
				return err
			}
			return s.Run(ctx)
		})
}

// findAddress takes an address of the machines' interface as ours.
func (d *Daemon) findAddress(context.Context) error {
	ifi, err := net.InterfaceByName(d.cfg.Interface)
	if err != nil {
		return metal.Errorf(metal.Invalid, "there is no interface %s: ip -br link lists those that are", d.cfg.Interface)
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return fmt.Errorf("read the addresses of %s: %w", d.cfg.Interface, err)
	}
	var list []netip.Prefix
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			list = append(list, p)
		}
	}
	own, ok := ownAddress(list)
	if !ok {
		return metal.Errorf(metal.Invalid, "interface %s has no address: give it one that the machines' network has, of IPv4 or of IPv6 (a link-local one does not do)", d.cfg.Interface)
	}
	d.ours = own
	return nil
}

// ownAddress is the first IPv4 address of an interface, which all firmware can boot from; where there is none, the
// first IPv6 address that is more than link-local.
func ownAddress(list []netip.Prefix) (netip.Prefix, bool) {
	six := netip.Prefix{}
	for _, p := range list {
		if p.Addr().Is4() {
			return p, true
		}
		if !six.IsValid() && !p.Addr().IsLinkLocalUnicast() {
			six = p
		}
	}
	return six, six.IsValid()
}
