package ntp

import (
	"context"
	"log/slog"
	"net/netip"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// maxLoops per socket. Each decides and sends by itself; reading takes turns.
const maxLoops = 4

// A Server answers on its sockets.
type Server struct {
	conns   []*udp.Conn
	clock   func(now time.Time) (Clock, error)
	allowed []netip.Prefix
	limiter *limiter
	unknown atomic.Bool // the last time, clock returned an error

	tells     bool // control messages are answered
	upstreams func(now time.Time) []Upstream

	log *slog.Logger
}

// New makes a server on conns, which it closes when it ends. clock says how good the machine's clock is at the time
// given, which has a monotonic reading: Kernel, Poller.Clock, or else what a test wants.
func New(conns []*udp.Conn, clock func(now time.Time) (Clock, error), log *slog.Logger) *Server {
	return &Server{conns: conns, clock: clock, limiter: newLimiter(), log: log}
}

// Allow tells the time to clients in these networks only; others get a kiss of death with DENY now and then. None at
// all, as without Allow, is everybody. It must be called before Run.
func (s *Server) Allow(networks []netip.Prefix) { s.allowed = slices.Clone(networks) }

// Run answers until ctx ends, and then returns nil; earlier only with the error that ended a socket.
func (s *Server) Run(ctx context.Context) error {
	if clock, err := s.clock(time.Now()); err == nil && !clock.Synchronised {
		s.log.Warn("this machine's clock is not known to be synchronised, so clients will not take its time; " +
			"run a daemon such as chrony here, and wait for it, or set a local stratum")
	}
	group, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, func() {
		for _, conn := range s.conns {
			conn.Close()
		}
	})
	defer stop()
	for _, conn := range s.conns {
		for range min(runtime.GOMAXPROCS(0), maxLoops) {
			group.Go(func() error { return s.serve(ctx, conn) })
		}
	}
	return group.Wait()
}

// state is how good the clock is, and nothing good where that is unknown.
func (s *Server) state(now time.Time) Clock {
	clock, err := s.clock(now)
	if err != nil {
		if !s.unknown.Swap(true) { // once, not with each request
			s.log.Warn("clock state unknown, so no client takes our time", "error", err)
		}
		return Clock{}
	}
	if s.unknown.Load() {
		s.unknown.Store(false)
	}
	return clock
}

// decide writes into b what the client from gets for pkt, received at the time received, and says what that is.
func (s *Server) decide(b *[packetSize]byte, pkt []byte, from netip.Addr, received time.Time, clock *Clock) verdict {
	req, ok := requestOf(pkt)
	if !ok {
		return silence
	}
	v := s.limiter.ask(from, within(s.allowed, from), received)
	switch v {
	case answer:
		req.reply(b, received, clock)
	case rate:
		req.kiss(b, codeRate)
	case deny:
		req.kiss(b, codeDeny)
	case silence:
	}
	return v
}

// within says whether one of the networks has client; no networks are all.
func within(networks []netip.Prefix, client netip.Addr) bool {
	if len(networks) == 0 {
		return true
	}
	for _, network := range networks {
		if network.Contains(client) {
			return true
		}
	}
	return false
}
