package dns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// A Server answers on its sockets and listeners.
type Server struct {
	conns      []*udp.Conn
	listeners  []net.Listener
	zones      Zones
	self       Self
	config     Config
	forwarder  *forwarder
	limiter    *limiter
	updates    *slots
	transfers  *slots
	tcp        chan struct{} // one for each connection that is open
	clients    clients
	counters   counters
	queryLog   sampler
	complaints sampler
	log        *slog.Logger
}

// Config is what a server does besides answering from its zones. The zero value is nothing.
type Config struct {
	Forwarder *Forwarder // that asks others for names that are not ours; nil asks nobody
	Keys      Keys       // that requests are signed with; nil is none
	Updater   Updater    // that DNS UPDATEs are made by; nil makes none
	Limit     RateLimit  // of answers by UDP
	QueryLog  bool       // log each request
}

// New makes a server on conns and listeners, which it closes when it ends. It looks at one moment of zones for each
// request, so that no answer mixes two.
func New(conns []*udp.Conn, listeners []net.Listener, zones Zones, self Self, config Config, log *slog.Logger) *Server {
	return &Server{
		conns: conns, listeners: listeners, zones: zones, self: self, config: config,
		forwarder: config.Forwarder.forServer(self), limiter: newLimiter(config.Limit),
		updates: newSlots(maxUpdates), transfers: newSlots(maxTransfers),
		tcp: make(chan struct{}, maxConnections),
		log: log,
	}
}

// Run answers until ctx ends, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range s.conns {
		group.Go(func() error {
			return udp.Answer(ctx, conn, runtime.NumCPU(), func(ctx context.Context, d udp.Datagram, memory []byte) []byte {
				return s.answerDatagram(ctx, conn, d, memory)
			}, s.unsent)
		})
	}
	for _, listener := range s.listeners {
		group.Go(func() error { return s.serveTCP(ctx, listener) })
	}
	err := group.Wait()
	s.updates.wait()
	s.forwarder.wait()
	return err
}

// answerDatagram appends the answer to a request by UDP to memory; nil for none, or where it takes time: then it is sent
// when it is there.
func (s *Server) answerDatagram(ctx context.Context, conn *udp.Conn, d udp.Datagram, memory []byte) []byte {
	s.counters.udp.Add(1)
	view, recursive := s.zones.Now(), s.forwarder.serves(d.From.Addr())
	wire, ok := quick(memory, d.Payload, view, s.self, recursive, byDatagram)
	if !ok {
		t := s.turn(d.Payload, d.From.Addr(), view, recursive)
		if t.later != nil {
			from := d
			from.Payload = nil // it is reused when this returns
			if t.slots.start(func() { s.sendLate(conn, from, s.datagram(d.From, &t, t.later(ctx), nil)) }) {
				return nil
			}
			t.answer.Rcode = dns.RcodeServerFailure
		}
		wire = s.datagram(d.From, &t, t.answer, memory[:cap(memory)])
	}
	return s.limited(d, wire)
}

// unsent is told of an answer that cannot be sent.
func (s *Server) unsent(to netip.AddrPort, err error) {
	s.log.Debug("DNS answer not sent", "client", to, "error", err)
}
