// Package ra sends IPv6 router advertisements (RFC 4861), with what a VLAN's declaration says: prefixes, DHCPv6, name
// servers, and a default router where metald's host is one.
//
// Where nothing is declared they make nobody use us as a router. They are there because firmware waits for one: iPXE
// solicits a router as soon as a link is up, and without any answer a boot over IPv4 takes 13 to 16 seconds longer,
// "Configuring (net0 ...)......". An advertisement with a router lifetime of zero and without options of consequence
// ends that wait, and leaves the other hosts of the link as they were.
package ra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
)

// DefaultInterval is between unsolicited advertisements, at most.
const DefaultInterval = 200 * time.Second

// Bounds of Config.Interval (RFC 4861, section 6.2.1, MaxRtrAdvInterval).
const (
	minInterval = 4 * time.Second
	maxInterval = 1800 * time.Second
)

// Config says what is advertised.
type Config struct {
	// Interval is the longest time between unsolicited advertisements; 0 is DefaultInterval.
	Interval time.Duration
	// Settings returns what hosts are told as of now; nil tells them the zero Settings. It must not block.
	Settings func() Settings
	// Changed tells that Settings may return something else. One that comes while another waits may be dropped. Nil:
	// nothing ever changes.
	Changed <-chan struct{}
}

// A Server advertises on one interface.
type Server struct {
	conn   *ipv6.PacketConn
	iface  *net.Interface
	config Config
	told   Settings // what hosts are told now
	log    *slog.Logger
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
	if config.Interval < minInterval || config.Interval > maxInterval {
		return nil, metal.Errorf(metal.Invalid, "advertise IPv6 on %q: interval %s; use %s to %s", iface, config.Interval, minInterval, maxInterval)
	}
	if config.Settings == nil {
		config.Settings = func() Settings { return Settings{} }
	}
	told := config.Settings()
	if err := told.check(); err != nil {
		return nil, metal.Errorf(metal.Invalid, "advertise IPv6 on %q: %w", iface, err)
	}
	link, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, metal.Errorf(metal.NotFound, "advertise IPv6 on %q: there is no such interface; name one that `ip link` shows: %w", iface, err)
	}
	conn, err := open(link)
	if err != nil {
		return nil, err
	}
	return &Server{conn: conn, iface: link, config: config, told: told, log: log.With("interface", iface)}, nil
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

// Close closes the socket of a server that is not run.
func (s *Server) Close() error { return s.conn.Close() }

// Run advertises until ctx ends, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	solicitors := make(chan netip.Addr, unicastBurst)
	var reading sync.WaitGroup
	var failed error
	reading.Go(func() {
		defer cancel()
		failed = s.read(ctx, solicitors)
	})
	s.log.Info("advertising IPv6", "interval", s.config.Interval, "router", s.told.Router, "prefixes", len(s.told.Prefixes))
	s.loop(ctx, solicitors, s.advertise)
	s.conn.Close()
	reading.Wait()
	return failed
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
func (s *Server) advertise(to netip.Addr, a Advertisement) {
	if _, err := s.conn.WriteTo(a.Marshal(), nil, &net.IPAddr{IP: to.AsSlice(), Zone: s.iface.Name}); err != nil {
		s.log.Warn("router advertisement not sent", "to", to, "error", err)
		return
	}
	s.log.Debug("advertised", "to", to)
}
