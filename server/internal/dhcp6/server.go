package dhcp6

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/net/ipv6"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// Config is what a Server needs.
type Config struct {
	// Interface is the one to answer on; Ours our own address there that is more than link-local, or zero.
	Interface string
	Ours      netip.Addr
	// DUID is who we are to clients (RFC 8415, 11). It must stay the same for as long as leases last.
	DUID  []byte
	Store Store
	// Ignore says whether a DUID is that of a packet which wants no answer: our own search for other servers. Nil for
	// none.
	Ignore func(duid []byte) bool
	Log    *slog.Logger
}

// Server answers on one interface.
type Server struct {
	conn   *udp.Conn
	cfg    Config
	duid   dhcpv6.DUID
	limits *limiter
	log    *slog.Logger
}

const workers = 16

// New listens on port 547 of an interface, for clients and relay agents.
func New(ctx context.Context, cfg Config) (*Server, error) {
	duid, err := dhcpv6.DUIDFromBytes(cfg.DUID)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "cannot serve DHCPv6 on interface %s under the DUID %x: %w", cfg.Interface, cfg.DUID, err)
	}
	ifi, err := net.InterfaceByName(cfg.Interface)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "cannot serve DHCPv6 on interface %s: %w", cfg.Interface, err)
	}
	conn, err := udp.Listen(ctx, "udp6", fmt.Sprintf("[::]:%d", serverPort), cfg.Interface)
	if err != nil {
		return nil, err
	}
	groups := ipv6.NewPacketConn(conn.Socket())
	// All_DHCP_Relay_Agents_and_Servers, and All_DHCP_Servers, which relay agents may send to (RFC 8415, 7.1).
	for _, group := range []string{"ff02::1:2", "ff05::1:3"} {
		if err := groups.JoinGroup(ifi, &net.UDPAddr{IP: net.ParseIP(group)}); err != nil {
			return nil, errors.Join(fmt.Errorf("join %s on %s for DHCPv6: %w", group, cfg.Interface, err), conn.Close())
		}
	}
	return &Server{conn: conn, cfg: cfg, duid: duid, limits: newLimiter(), log: cfg.Log}, nil
}

// Close closes the socket of a server that is not run.
func (s *Server) Close() error { return s.conn.Close() }

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	seed := maphash.MakeSeed()
	return udp.ServeBy(ctx, s.conn, workers, func(d udp.Datagram) uint64 { return maphash.Bytes(seed, duidOf(d.Payload)) }, s.handle)
}

func (s *Server) handle(_ context.Context, d udp.Datagram) {
	duid := duidOf(d.Payload)
	if s.cfg.Ignore != nil && s.cfg.Ignore(duid) {
		return
	}
	// Without a DUID the sender is the client, or the relay agent of many.
	who := duid
	if who == nil {
		who = d.From.Addr().AsSlice()
	}
	if !s.limits.allow(who, d.At) {
		s.log.Debug("a DHCPv6 client that asks too often", "from", d.From, "duid", hex.EncodeToString(duid))
		return
	}
	p, err := Unwrap(d.Payload)
	if err != nil {
		s.log.Debug("a packet that is not DHCPv6", "from", d.From, "error", err)
		return
	}
	p.From, p.To, p.IfIndex = d.From, d.To, d.IfIndex
	s.cfg.Store.Exchange(p.Query(s.cfg.Ours), func(v View, now time.Time) Answer {
		v.DUID = s.duid
		return Respond(&p, v, now)
	}, func(a Answer, err error) { s.done(&p, a, err) })
}

func (s *Server) done(p *Packet, a Answer, err error) {
	if err == nil && a.Reply != nil {
		err = s.send(p, a.Reply)
	}
	log, why := s.log.Debug, a.Why
	switch {
	case err != nil:
		log, why = s.log.Error, "not answered: "+err.Error() // where nothing was stored, nothing is promised
	case a.Fault:
		log = s.log.Warn
	case !s.log.Enabled(context.Background(), slog.LevelDebug):
		return // thousands a second: not even the text is made
	}
	shared := []byte{0} // no client's: a DUID is longer
	if (err != nil || a.Fault) && !s.limits.allow(shared, time.Now()) {
		return // a flood of faults is not to fill the disk
	}
	reply := "none"
	if a.Reply != nil {
		reply = a.Reply.MessageType.String()
	}
	log("dhcpv6", "duid", p.client(), "message", p.Message.MessageType.String(), "reply", reply, "from", p.From.Addr(), "why", why)
}

// send leaves the source address to the kernel: relay agents and clients look at none, but one that a packet was sent
// to is taken where it is ours.
func (s *Server) send(p *Packet, reply *dhcpv6.Message) error {
	to, by := p.Destination(), 0
	if to.Addr().IsLinkLocalUnicast() {
		by = p.IfIndex
	}
	return s.conn.WriteTo(p.Wrap(reply), to, p.To, by)
}
