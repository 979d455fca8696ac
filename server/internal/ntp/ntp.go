package ntp

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// workers per socket: an answer takes a microsecond, so one keeps up, and none waits for another.
const workers = 1

// A Server answers on its sockets.
type Server struct {
	conns   []*udp.Conn
	clock   func(now time.Time) (Clock, error)
	limiter *limiter
	log     *slog.Logger
}

// New makes a server on conns, which it closes when it ends. clock says how good the machine's clock is at the time
// given: Kernel, or else what a test wants.
func New(conns []*udp.Conn, clock func(now time.Time) (Clock, error), log *slog.Logger) *Server {
	return &Server{conns: conns, clock: clock, limiter: newLimiter(), log: log}
}

// Run answers until ctx ends, and then returns nil.
func (s *Server) Run(ctx context.Context) error {
	if clock, err := s.clock(time.Now()); err == nil && !clock.Synchronised {
		s.log.Warn("this machine's clock is not synchronised, so clients will not take its time; " +
			"run a daemon such as chrony here, or set a local stratum")
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, conn := range s.conns {
		group.Go(func() error {
			return udp.Serve(ctx, conn, workers, func(_ context.Context, d udp.Datagram) { s.handle(conn, d) })
		})
	}
	return group.Wait()
}

// handle answers one datagram.
func (s *Server) handle(conn *udp.Conn, d udp.Datagram) {
	reply, ok := s.decide(d)
	if !ok {
		return
	}
	if err := conn.Reply(d, reply); err != nil {
		s.log.Debug("NTP answer not sent", "client", d.From, "error", err)
	}
}

// decide asks the limiter and the clock, in that order: the former is cheaper.
func (s *Server) decide(d udp.Datagram) ([]byte, bool) {
	if _, ok := request(d.Payload); !ok {
		return nil, false
	}
	switch s.limiter.ask(d.From.Addr(), d.At) {
	case silence:
		return nil, false
	case rate:
		s.log.Info("NTP client asks too often", "client", d.From.Addr())
		return kiss(d.Payload)
	}
	clock, err := s.clock(d.At)
	if err != nil {
		s.log.Warn("clock state unknown", "error", err)
		clock = Clock{} // not synchronised is what is known
	}
	return Reply(d.Payload, d.At, time.Now(), clock)
}
