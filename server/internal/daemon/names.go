package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/server/internal/dns"
	"github.com/metalform/terraform-provider-metal/server/internal/ntp"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

const nameTTL = 60 // seconds that others may remember a name of ours

// openDNS opens the name server.
func (d *Daemon) openDNS(ctx context.Context) error {
	c := d.cfg.DNS
	if !*c.Enabled {
		return nil
	}
	listen := c.Listen
	if listen == "" { // not every address: resolvers of this machine's own have port 53 of loopback
		listen = net.JoinHostPort(d.ours.Addr().String(), "53")
	}
	conns, err := d.listenUDP(ctx, listen)
	if err != nil {
		return err
	}
	ln, err := listenTCP(ctx, listen, "DNS", "dns.listen")
	if err != nil {
		return err
	}
	d.closers = append(d.closers, ln.Close)
	forward, err := d.forwarding()
	if err != nil {
		return err
	}
	names := d.db.Names()
	view := func() dns.View { return names.Now() }
	s := dns.New(conns, []net.Listener{ln}, view, d.nameServer(), forward, d.log)
	d.add("dns", conns[0].LocalAddr().String(), s.Run)
	return nil
}

// nameServer is what our zones say of us.
func (d *Daemon) nameServer() dns.Self {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "metald"
	}
	label, _, _ := strings.Cut(strings.ToLower(host), ".")
	return dns.Self{NS: label + "." + strings.TrimSuffix(d.cfg.Zone, ".") + ".", Addrs: []netip.Addr{d.ours.Addr()}, TTL: nameTTL}
}

// forwarding says who may have other names looked up, by default the clients on the machines' network.
func (d *Daemon) forwarding() (f dns.Forward, err error) {
	for _, text := range d.cfg.DNS.Forward {
		a, err := forwarder(text)
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
	conns, err := d.listenUDP(ctx, c.Listen)
	if err != nil {
		return err
	}
	d.add("ntp", conns[0].LocalAddr().String(), ntp.New(conns, ntp.Kernel(c.LocalStratum), d.log).Run)
	return nil
}

// listenUDP opens an address; without a host, every address of both families that this machine has.
func (d *Daemon) listenUDP(ctx context.Context, addr string) ([]*udp.Conn, error) {
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
			return nil, err
		}
		d.closers = append(d.closers, conn.Close)
		conns = append(conns, conn)
	}
	return conns, nil
}
