package dns

import (
	"context"
	"log/slog"
	"net"
	"runtime"
	"sync"

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
	var sending sync.WaitGroup
	for _, conn := range s.conns {
		out := newOutbox(conn, s.log)
		sending.Go(out.run)
		group.Go(func() error {
			defer out.close()
			return udp.Serve(ctx, conn, runtime.GOMAXPROCS(0), func(ctx context.Context, d udp.Datagram) {
				s.handleDatagram(ctx, conn, out, d)
			})
		})
	}
	for _, listener := range s.listeners {
		group.Go(func() error { return s.serveTCP(ctx, listener) })
	}
	err := group.Wait()
	s.updates.wait()
	s.forwarder.wait()
	sending.Wait()
	return err
}

// handleDatagram answers one request by UDP. What takes time is sent apart from out, which may be closed by then.
func (s *Server) handleDatagram(ctx context.Context, conn *udp.Conn, out *outbox, d udp.Datagram) {
	s.counters.udp.Add(1)
	room := out.take()
	view, recursive := s.zones.Now(), s.forwarder.serves(d.From.Addr())
	wire, ok := quick(room.buffer[:0], d.Payload, view, s.self, recursive, byDatagram)
	if !ok {
		t := s.turn(d.Payload, d.From.Addr(), view, recursive)
		if t.later != nil {
			from := d
			from.Payload = nil // it is reused when this returns
			if t.slots.start(func() { s.sendLate(conn, from, s.datagram(d.From, &t, t.later(ctx), nil)) }) {
				out.drop(room)
				return
			}
			t.answer.Rcode = dns.RcodeServerFailure
		}
		wire = s.datagram(d.From, &t, t.answer, room.buffer[:])
	}
	if wire = s.limited(d, wire); wire == nil {
		out.drop(room)
		return
	}
	out.put(room, wire, d)
}
