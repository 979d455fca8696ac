package dns

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync"

	"github.com/miekg/dns"
	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// A Server answers on its sockets and listeners.
type Server struct {
	conns     []*udp.Conn
	listeners []net.Listener
	view      func() View
	self      Self
	forwarder *forwarder
	buffers   sync.Pool
	tcp       chan struct{} // one for each connection that is open
	log       *slog.Logger
}

// New makes a server on conns and listeners, which it closes when it ends. view is asked once for each request, so
// that one answer never mixes two pictures; it must be as quick as loading a pointer.
func New(conns []*udp.Conn, listeners []net.Listener, view func() View, self Self, forward Forward, log *slog.Logger) *Server {
	return &Server{
		conns: conns, listeners: listeners, view: view, self: self, forwarder: newForwarder(forward),
		buffers: sync.Pool{New: func() any { return new([udp.MaxPayload]byte) }},
		tcp:     make(chan struct{}, maxConnections),
		log:     log,
	}
}

// Run answers until ctx ends, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range s.conns {
		group.Go(func() error {
			return udp.Serve(ctx, conn, runtime.GOMAXPROCS(0), func(ctx context.Context, d udp.Datagram) {
				s.handleDatagram(ctx, conn, d)
			})
		})
	}
	for _, listener := range s.listeners {
		group.Go(func() error { return s.serveTCP(ctx, listener) })
	}
	err := group.Wait()
	s.forwarder.wait()
	return err
}

// handleDatagram answers one request by UDP.
func (s *Server) handleDatagram(ctx context.Context, conn *udp.Conn, d udp.Datagram) {
	q, answer, elsewhere := s.local(d.Payload, d.From.Addr())
	if elsewhere {
		from := d
		from.Payload = nil // it is reused when this returns
		started := s.forwarder.start(func() { s.send(conn, from, s.remote(ctx, q), datagramLimit(q)) })
		if started {
			return
		}
		answer.Rcode = dns.RcodeServerFailure
	}
	if answer != nil {
		s.send(conn, d, answer, datagramLimit(q))
	}
}

// local answers what can be answered at once. Where elsewhere is true, upstreams are to be asked q, and answer is what
// is said when that is not possible but for its code.
func (s *Server) local(request []byte, client netip.Addr) (q, answer *dns.Msg, elsewhere bool) {
	q, complaint, err := parse(request)
	if err != nil {
		return nil, complaint, false
	}
	answer, elsewhere = decide(q, s.view(), s.self)
	if answer == nil || !s.forwarder.serves(client) {
		return q, answer, false
	}
	answer.RecursionAvailable = true
	return q, answer, elsewhere && q.RecursionDesired
}

// remote asks upstreams.
func (s *Server) remote(ctx context.Context, q *dns.Msg) *dns.Msg {
	answer, err := s.forwarder.answer(ctx, q)
	if err != nil && ctx.Err() == nil {
		s.log.Warn("DNS upstream failed", "error", err)
	}
	return answer
}

// send answers the datagram d with m.
func (s *Server) send(conn *udp.Conn, d udp.Datagram, m *dns.Msg, limit int) {
	buf := s.buffers.Get().(*[udp.MaxPayload]byte)
	defer s.buffers.Put(buf)
	wire, err := pack(m, limit, buf[:])
	if err != nil {
		s.log.Warn("DNS answer cannot be written", "client", d.From, "error", err)
		return
	}
	if err := conn.Reply(d, wire); err != nil {
		s.log.Debug("DNS answer not sent", "client", d.From, "error", err)
	}
}
