package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/internal/dns"
	"github.com/metalform/terraform-provider-metal/server/internal/link"
	"github.com/metalform/terraform-provider-metal/server/internal/ntp"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
	"github.com/metalform/terraform-provider-metal/server/internal/zone"
)

// openDNS opens the name server: on every address of the interfaces that are served, unless the configuration names one.
// It is not on all addresses of the host: resolvers of its own have port 53 of loopback.
func (d *Daemon) openDNS(ctx context.Context) error {
	c := d.cfg.DNS
	if !*c.Enabled {
		return nil
	}
	keys, err := openDNSKeys(ctx, d.db)
	if err != nil {
		return err
	}
	self := dns.Self{NSID: strings.TrimSuffix(d.nameServer(), ".")}
	config, err := d.dnsConfig(keys, self)
	if err != nil {
		return err
	}
	serve := func(ctx context.Context, listen string) (*dns.Server, func() error, error) {
		conns, err := openUDP(ctx, listen)
		if err != nil {
			return nil, nil, err
		}
		ln, err := listenTCP(ctx, listen, "DNS", "dns.listen")
		if err != nil {
			return nil, nil, errors.Join(err, closeAll(conns))
		}
		s := dns.New(conns, []net.Listener{ln}, d.zones, self, config, d.log)
		return s, func() error { return errors.Join(ln.Close(), closeAll(conns)) }, nil
	}
	d.add("dns notify", "", dns.NewNotifier(d.zones, keys, d.ownAddresses(), d.log).Run)
	if c.Listen != "" {
		s, end, err := serve(ctx, c.Listen)
		if err != nil {
			return err
		}
		d.closers = append(d.closers, end)
		d.counters.dns.add(s)
		d.add("dns", c.Listen, s.Run)
		return nil
	}
	at := func(addr netip.Addr) string { return net.JoinHostPort(addr.String(), "53") }
	return d.onEach("dns",
		func(l link.Link) error {
			_, end, err := serve(ctx, at(eitherAddress(l)))
			if err != nil {
				return err
			}
			return end()
		},
		func(ctx context.Context, l link.Link) error {
			return together(ctx, l.Addrs, func(ctx context.Context, addr netip.Addr) error {
				s, end, err := serve(ctx, at(addr))
				if err != nil {
					return err
				}
				defer d.counters.dns.add(s)()
				return errors.Join(s.Run(ctx), closed(end()))
			})
		})
}

// dnsConfig is what the name server does besides answering from our zones.
func (d *Daemon) dnsConfig(keys *dnsKeys, self dns.Self) (dns.Config, error) {
	forward, err := d.forwarding()
	// One for all servers: what was looked up for one network need not be for the next.
	forwarder := dns.NewForwarder(forward, self)
	d.closers = append(d.closers, func() error { forwarder.Close(); return nil })
	c := dns.Config{Forwarder: forwarder, Keys: keys, Updater: dnsUpdater{d.db, d.zones}, QueryLog: d.cfg.DNS.QueryLog}
	if *d.cfg.DNS.RateLimit > 0 {
		c.Limit = dns.RateLimit{Answers: *d.cfg.DNS.RateLimit, Errors: max(*d.cfg.DNS.RateLimit/4, 1), Exempt: forward.Allow}
	}
	return c, err
}

// ownAddresses are where secondary name servers know us.
func (d *Daemon) ownAddresses() []netip.Addr {
	list := []netip.Addr{d.ours.Addr()}
	for _, l := range d.links.Now() {
		for _, p := range l.Addrs {
			if !p.Addr().IsLinkLocalUnicast() {
				list = append(list, p.Addr())
			}
		}
	}
	return list
}

// openZones makes the DNS zones. They are there without a name server too: the API tells their serial numbers.
func (d *Daemon) openZones(ctx context.Context) (err error) {
	d.zones, err = openZones(ctx, d.db, zone.Config{Zone: d.cfg.Zone, NameServer: d.nameServer(), Addrs: []netip.Addr{d.ours.Addr()}}, time.Now(), d.log)
	if err != nil {
		return err
	}
	d.add("zones", "", d.zones.Run)
	return nil
}

// nameServer is our name, as our zones tell it.
func (d *Daemon) nameServer() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "metald"
	}
	label, _, _ := strings.Cut(strings.ToLower(host), ".")
	return label + "." + strings.TrimSuffix(d.cfg.Zone, ".") + "."
}

// forwarding says who may have other names looked up, by default the clients on the machines' network.
func (d *Daemon) forwarding() (f dns.Forward, err error) {
	for _, text := range d.cfg.DNS.Forward {
		a, err := dns.ParseUpstream(text)
		if err != nil {
			return f, err
		}
		f.Upstreams = append(f.Upstreams, a)
	}
	for _, text := range d.cfg.DNS.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return f, err
		}
		f.Allow = append(f.Allow, p)
	}
	if len(f.Allow) == 0 {
		f.Allow = []netip.Prefix{d.ours.Masked()}
	}
	return f, nil
}

// openNTP opens the time server.
func (d *Daemon) openNTP(ctx context.Context) error {
	c := d.cfg.NTP
	if !*c.Enabled {
		return nil
	}
	clock := ntp.Kernel(c.LocalStratum)
	var upstreams func(time.Time) []ntp.Upstream
	if len(c.Servers) > 0 {
		poller, err := ntp.Upstreams(c.Servers, c.LocalStratum, d.log)
		if err != nil {
			return err
		}
		clock, upstreams = poller.Clock, poller.Upstreams
		d.add("ntp upstreams", strings.Join(c.Servers, ", "), func(ctx context.Context) error {
			err := poller.Run(ctx) // ends early where every server has told us to go away
			<-ctx.Done()
			return err
		})
	}
	conns, err := d.listenUDP(ctx, c.Listen)
	if err != nil {
		return err
	}
	var allow []netip.Prefix
	for _, text := range c.Allow {
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return err
		}
		allow = append(allow, p)
	}
	server := ntp.New(conns, clock, d.log)
	server.Allow(allow)
	server.Tell(upstreams)
	d.add("ntp", conns[0].LocalAddr().String(), server.Run)
	return nil
}

// listenUDP opens an address for as long as the daemon runs; without a host, every address of both families that this
// machine has.
func (d *Daemon) listenUDP(ctx context.Context, addr string) ([]*udp.Conn, error) {
	conns, err := openUDP(ctx, addr)
	if err == nil {
		d.closers = append(d.closers, func() error { return closeAll(conns) })
	}
	return conns, err
}

func openUDP(ctx context.Context, addr string) ([]*udp.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	networks := []string{"udp4", "udp6"}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Is4() {
		networks = networks[:1]
	} else if err == nil {
		networks = networks[1:]
	}
	var conns []*udp.Conn
	for _, network := range networks {
		conn, err := udp.Listen(ctx, network, addr, "")
		if errors.Is(err, unix.EAFNOSUPPORT) && len(conns) > 0 { // IPv6 is turned off here
			continue
		}
		if err != nil {
			return nil, errors.Join(err, closeAll(conns))
		}
		conns = append(conns, conn)
	}
	return conns, nil
}

func closeAll(conns []*udp.Conn) error {
	var all error
	for _, conn := range conns {
		all = errors.Join(all, closed(conn.Close()))
	}
	return all
}

// closed leaves out that something was closed before.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
