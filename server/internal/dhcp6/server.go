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
	"runtime"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"golang.org/x/net/ipv6"
	"golang.org/x/sync/errgroup"

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
	outbox *udp.Outbox[outgoing]
	cfg    Config
	duid   dhcpv6.DUID
	limits *limiter
	log    *slog.Logger
}

// outgoing is a reply on its way, and the request that it answers.
type outgoing struct {
	p     *Packet
	reply *dhcpv6.Message
}

const (
	// mostWorkers decide at once at most. More than there are processor cores would only hand packets around.
	mostWorkers = 8
	// sendQueue is how many replies may wait for being sent; more are lost, and their clients ask again.
	sendQueue = 4096
)

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
	return &Server{conn: conn, outbox: udp.NewOutbox[outgoing](sendQueue), cfg: cfg, duid: duid, limits: newLimiter(), log: cfg.Log}, nil
}

// Close closes the socket of a server that is not run.
func (s *Server) Close() error { return s.conn.Close() }

// Run answers until ctx ends. Store may call done after it has returned: that reply is not sent.
func (s *Server) Run(ctx context.Context) error {
	seed := maphash.MakeSeed()
	client := func(d udp.Datagram) uint64 { return maphash.Bytes(seed, duidOf(d.Payload)) }
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return udp.ServeBy(ctx, s.conn, min(runtime.NumCPU(), mostWorkers), client, s.handle) })
	g.Go(func() error { return s.outbox.Run(ctx, s.conn.Batch(s.fail), send) })
	g.Go(func() error { return s.report(ctx) })
	return g.Wait()
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
		s.outbox.Add(outgoing{p, a.Reply})
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
	if (err != nil || a.Fault) && !s.mayComplain() {
		return
	}
	reply := "none"
	if a.Reply != nil {
		reply = a.Reply.MessageType.String()
	}
	log("dhcpv6", "duid", p.client(), "message", p.Message.MessageType.String(), "reply", reply, "from", p.From.Addr(), "why", why)
}

// mayComplain says whether one more fault may be logged: a flood of them is not to fill the disk.
func (s *Server) mayComplain() bool {
	shared := []byte{0} // no client's: a DUID is longer
	return s.limits.allow(shared, time.Now())
}

// send leaves the source address to the kernel: relay agents and clients look at none, but one that a packet was sent
// to is taken where it is ours.
func send(o outgoing, batch *udp.Batch) {
	to, by := o.p.Destination(), 0
	if to.Addr().IsLinkLocalUnicast() {
		by = o.p.IfIndex
	}
	batch.Put(to, o.p.To, by, func(memory []byte) []byte { return append(memory, o.p.Wrap(o.reply)...) })
}

// fail logs that a reply could not be sent. Anybody can make up a relay agent that no route leads to.
func (s *Server) fail(to netip.AddrPort, err error) {
	if s.mayComplain() {
		s.log.Error("send a DHCPv6 reply", "to", to, "error", err)
	}
}

// report logs once a minute how many replies were lost in it.
func (s *Server) report(ctx context.Context) error {
	var last uint64
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if now := s.outbox.Lost(); now != last {
			s.log.Warn("DHCPv6 replies were dropped; their clients ask again", "interface", s.cfg.Interface, "sender_behind", now-last)
			last = now
		}
	}
}
