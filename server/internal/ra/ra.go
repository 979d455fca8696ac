// Package ra sends IPv6 router advertisements that make nobody use us as a router. They are there because firmware
// waits for one: iPXE solicits a router as soon as a link is up, and without any answer a boot over IPv4 takes 13 to 16
// seconds longer, "Configuring (net0 ...)......". An advertisement with a router lifetime of zero and without options
// of consequence ends that wait, and leaves the other hosts of the link as they were.
package ra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// DefaultInterval is between unsolicited advertisements.
const DefaultInterval = 200 * time.Second

// Bounds of Config.Interval (RFC 4861, section 6.2.1, MaxRtrAdvInterval).
const (
	minInterval = 4 * time.Second
	maxInterval = 1800 * time.Second
)

// Config is what is advertised. The zero value is the least that ends iPXE's wait, and changes nothing on other hosts.
// The router lifetime is always zero: this server routes nothing. An interface whose machine is also a router of that
// link, and runs a daemon for it, must not be served: hosts know a router by its address, and would take our zero as
// the word of the other daemon.
type Config struct {
	Interval time.Duration // between unsolicited advertisements; 0 is DefaultInterval
	Managed  bool          // tell hosts to ask DHCPv6 for addresses
	Other    bool          // tell hosts to ask DHCPv6 for the rest
	MTU      uint32        // the link's, told to hosts; 0 tells nothing
	Prefixes []Prefix      // none by default: hosts make themselves no address
}

// A Server advertises on one interface.
type Server struct {
	conn    *ipv6.PacketConn
	iface   *net.Interface
	message []byte
	config  Config
	log     *slog.Logger
}

var (
	allNodes   = netip.MustParseAddr("ff02::1")
	allRouters = netip.MustParseAddr("ff02::2")
)

// New opens a raw ICMPv6 socket on the interface; it needs CAP_NET_RAW. A Config that no host would accept is
// metal.Invalid, an interface that does not exist metal.NotFound.
func New(iface string, config Config, log *slog.Logger) (*Server, error) {
	if config.Interval == 0 {
		config.Interval = DefaultInterval
	}
	if err := config.check(iface); err != nil {
		return nil, err
	}
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, metal.Errorf(metal.NotFound, "advertise IPv6 on %q: there is no such interface; name one that `ip link` shows: %w", iface, err)
	}
	conn, err := open(link)
	if err != nil {
		return nil, err
	}
	return &Server{
		conn:    conn,
		iface:   link,
		message: config.advertisement(link.HardwareAddr).Marshal(),
		config:  config,
		log:     log.With("interface", iface),
	}, nil
}

// advertisement is what the configuration says, from a router with the hardware address mac.
func (c Config) advertisement(mac net.HardwareAddr) Advertisement {
	return Advertisement{Managed: c.Managed, Other: c.Other, MTU: c.MTU, SourceLinkLayer: mac, Prefixes: c.Prefixes}
}

// check refuses what hosts would ignore, or what RFC 4861, section 6.2.1 forbids.
func (c Config) check(iface string) error {
	if c.Interval < minInterval || c.Interval > maxInterval {
		return metal.Errorf(metal.Invalid, "advertise IPv6 on %q: interval %s; use %s to %s", iface, c.Interval, minInterval, maxInterval)
	}
	if c.MTU != 0 && c.MTU < 1280 {
		return metal.Errorf(metal.Invalid, "advertise IPv6 on %q: MTU %d; IPv6 needs 1280 at least", iface, c.MTU)
	}
	for _, p := range c.Prefixes {
		switch {
		case !p.Prefix.IsValid() || !p.Prefix.Addr().Is6() || p.Prefix.Addr().Is4In6() || p.Prefix.Addr().IsLinkLocalUnicast() || p.Prefix.Addr().IsMulticast():
			return metal.Errorf(metal.Invalid, "advertise IPv6 on %q: prefix %s; use a unicast IPv6 prefix", iface, p.Prefix)
		case p.Autonomous && p.Prefix.Bits() != 64:
			return metal.Errorf(metal.Invalid, "advertise IPv6 on %q: autonomous prefix %s; hosts make addresses of a /64 only", iface, p.Prefix)
		case p.Preferred > p.Valid:
			return metal.Errorf(metal.Invalid, "advertise IPv6 on %q: prefix %s is preferred for %s and valid for %s; make valid the longer", iface, p.Prefix, p.Preferred, p.Valid)
		}
	}
	return nil
}

// open makes a socket that receives the link's router solicitations and nothing else, and sends with hop limit 255,
// below which hosts ignore an advertisement.
func open(link *net.Interface) (*ipv6.PacketConn, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		var failed error
		if err := raw.Control(func(fd uintptr) { failed = unix.BindToDevice(int(fd), link.Name) }); err != nil {
			return err
		}
		return failed
	}}
	socket, err := config.ListenPacket(context.Background(), "ip6:ipv6-icmp", "::")
	if err != nil {
		if errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) {
			return nil, metal.Errorf(metal.Forbidden, "advertise IPv6 on %q: not allowed; run as root or give CAP_NET_RAW: %w", link.Name, err)
		}
		return nil, fmt.Errorf("open ICMPv6 socket on %q: %w", link.Name, err)
	}
	conn := ipv6.NewPacketConn(socket)
	var filter ipv6.ICMPFilter
	filter.SetAll(true)
	filter.Accept(ipv6.ICMPTypeRouterSolicitation)
	for _, step := range []struct {
		what string
		err  error
	}{
		{"set ICMP6_FILTER", conn.SetICMPFilter(&filter)},
		{"set IPV6_UNICAST_HOPS", conn.SetHopLimit(255)},
		{"set IPV6_MULTICAST_HOPS", conn.SetMulticastHopLimit(255)},
		{"set IPV6_MULTICAST_IF", conn.SetMulticastInterface(link)},
		{"set IPV6_MULTICAST_LOOP", conn.SetMulticastLoopback(false)},
		{"set IPV6_RECVHOPLIMIT", conn.SetControlMessage(ipv6.FlagHopLimit, true)},
		{"join " + allRouters.String(), conn.JoinGroup(link, &net.IPAddr{IP: allRouters.AsSlice()})},
	} {
		if step.err != nil {
			return nil, errors.Join(fmt.Errorf("prepare ICMPv6 socket on %q: %s: %w", link.Name, step.what, step.err), conn.Close())
		}
	}
	return conn, nil
}

// Run advertises until ctx ends, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()

	solicitors := make(chan netip.Addr, unicastBurst)
	var reading sync.WaitGroup
	var failed error
	reading.Go(func() {
		defer cancel()
		failed = s.read(ctx, solicitors)
	})
	s.log.Info("advertising IPv6 without being a router", "interval", s.config.Interval, "prefixes", len(s.config.Prefixes))
	s.send(ctx, solicitors)
	reading.Wait()
	return failed
}

// send answers solicitors and sends what is due, until ctx ends.
func (s *Server) send(ctx context.Context, solicitors <-chan netip.Addr) {
	pace := newPace(time.Now(), s.config.Interval)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case source := <-solicitors:
			if pace.solicited(source, time.Now()) {
				s.advertise(ctx, source)
			}
		case <-timer.C:
			s.advertise(ctx, allNodes)
			pace.multicast(time.Now(), rand.Float64())
		}
		timer.Reset(time.Until(pace.next))
	}
}

// read passes on who solicits, until the socket is closed. When nobody takes them, the excess is dropped: hosts ask
// again.
func (s *Server) read(ctx context.Context, solicitors chan<- netip.Addr) error {
	buffer := make([]byte, 1500)
	for {
		n, control, from, err := s.conn.ReadFrom(buffer)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("read router solicitations on %q: %w", s.iface.Name, err)
		}
		address, ok := from.(*net.IPAddr)
		if !ok || control == nil {
			continue
		}
		source, _ := netip.AddrFromSlice(address.IP)
		if _, err := ParseSolicitation(buffer[:n], source, control.HopLimit); err != nil {
			s.log.Debug("router solicitation ignored", "from", source, "error", err)
			continue
		}
		select {
		case solicitors <- source:
		default:
		}
	}
}

// advertise sends one advertisement. A link that is down, or whose link-local address is not ready, costs the hosts
// this one, not the server its life.
func (s *Server) advertise(ctx context.Context, to netip.Addr) {
	_, err := s.conn.WriteTo(s.message, nil, &net.IPAddr{IP: to.AsSlice(), Zone: s.iface.Name})
	if err == nil {
		s.log.Debug("advertised", "to", to)
		return
	}
	if ctx.Err() == nil {
		s.log.Warn("router advertisement not sent", "to", to, "error", err)
	}
}
