package dhcp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// Config is what a Server needs.
type Config struct {
	// Interface is the one to answer on; Ours our own IPv4 address there.
	Interface string
	Ours      netip.Addr
	Store     Store
	// Ignore says whether a client identifier (option 61) is that of a packet which wants no answer: our own search for
	// other servers. Nil for none.
	Ignore func(clientID []byte) bool
	Log    *slog.Logger
}

// Server answers on one interface: DHCP on port 67, and boot server discovery on port 4011.
type Server struct {
	cfg      Config
	dhcp     *udp.Conn
	boot     *udp.Conn
	raw      *packet.Conn
	sender   *sender
	clients  *limiter
	circuits *limiter
	waiting  atomic.Int64  // packets that the store has not answered yet
	overload atomic.Uint64 // packets dropped because too many were
	tooMany  atomic.Uint64 // packets dropped because their client, or its circuit, sends too many
}

const (
	// mostWorkers decide at once at most. More than there are processor cores would only hand packets around.
	mostWorkers = 8
	// mostWaiting bounds the packets that wait for the store: at 10,000 a second, half a second's.
	mostWaiting = 4096
)

// New listens on ports 67 and 4011 of an interface.
func New(ctx context.Context, cfg Config) (*Server, error) {
	ifi, err := net.InterfaceByName(cfg.Interface)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "cannot serve DHCP on interface %s: %w", cfg.Interface, err)
	}
	if !cfg.Ours.Is4() {
		return nil, metal.Errorf(metal.Invalid, "cannot serve DHCP on interface %s: %s is no IPv4 address; give the interface one", cfg.Interface, cfg.Ours)
	}
	s := &Server{cfg: cfg}
	if s.dhcp, err = udp.Listen(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", serverPort), cfg.Interface); err != nil {
		return nil, err
	}
	if s.boot, err = udp.Listen(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", bootPort), cfg.Interface); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	// This socket only sends: its filter lets nothing in.
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.raw, err = packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, &packet.Config{Filter: nothing})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a packet socket on %s for DHCP: %w", cfg.Interface, err), s.Close())
	}
	s.sender = newSender(s.dhcp, s.boot, s.raw, cfg.Ours, cfg.Log)
	// A client needs two packets for a lease, and repeats each a few times. Behind a circuit there may be a whole
	// network: ISC's relay agent names its interface.
	s.clients, s.circuits = newLimiter(1<<16, 5, 20), newLimiter(1<<12, 500, 2000)
	return s, nil
}

// Close closes the sockets of a server that is not run.
func (s *Server) Close() error {
	var all []error
	for _, conn := range []*udp.Conn{s.dhcp, s.boot} {
		if conn != nil {
			all = append(all, conn.Close())
		}
	}
	if s.raw != nil {
		all = append(all, s.raw.Close())
	}
	return errors.Join(all...)
}

// Run answers until ctx ends. Store may call done after it has returned: that reply is not sent.
func (s *Server) Run(ctx context.Context) error {
	defer s.raw.Close()
	seed := maphash.MakeSeed()
	client := func(d udp.Datagram) uint64 { return maphash.Bytes(seed, hardware(d.Payload)) }
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return udp.ServeBy(ctx, s.dhcp, min(runtime.NumCPU(), mostWorkers), client, s.handleDHCP)
	})
	g.Go(func() error { return udp.ServeBy(ctx, s.boot, 1, client, s.handleBoot) })
	g.Go(func() error { return s.sender.run(ctx) })
	g.Go(func() error { return s.report(ctx) })
	return g.Wait()
}

// hardware returns the client's hardware address (RFC 2131, 2): one client's packets are handled in their order.
func hardware(payload []byte) []byte {
	const at, size = 28, 6
	if len(payload) < at+size {
		return nil
	}
	return payload[at : at+size]
}

func (s *Server) handleDHCP(_ context.Context, d udp.Datagram) {
	if pkt := s.read(d); pkt != nil {
		decide := func(v View, now time.Time) Answer { return Respond(pkt, v, now) }
		s.ask(pkt, queryOf(pkt, d.To, s.cfg.Ours), netip.AddrPort{}, decide)
	}
}

func (s *Server) handleBoot(_ context.Context, d udp.Datagram) {
	if pkt := s.read(d); pkt != nil {
		decide := func(v View, _ time.Time) Answer { return respondBoot(pkt, v) }
		s.ask(pkt, queryOf(pkt, d.To, s.cfg.Ours), d.From, decide)
	}
}

// read returns the packet in a datagram; nil where it is none that may be answered now.
func (s *Server) read(d udp.Datagram) *dhcpv4.DHCPv4 {
	if !s.clients.allow(hardware(d.Payload), d.At) {
		s.tooMany.Add(1)
		return nil
	}
	pkt, err := dhcpv4.FromBytes(d.Payload)
	if err != nil {
		s.cfg.Log.Debug("a packet that is not DHCP", "from", d.From, "error", err)
		return nil
	}
	if why := unfit(pkt, s.cfg.Ours); why != "" {
		s.cfg.Log.Debug("no DHCP reply", "from", d.From, "why", why)
		return nil
	}
	if s.cfg.Ignore != nil && s.cfg.Ignore(pkt.Options[codeClientID]) {
		return nil
	}
	if circuit := agentOption(pkt, agentCircuit); circuit != nil && !s.circuits.allow(append(circuit[:len(circuit):len(circuit)], pkt.GatewayIPAddr...), d.At) {
		s.tooMany.Add(1)
		return nil
	}
	return pkt
}

// ask has the store answer.
func (s *Server) ask(pkt *dhcpv4.DHCPv4, q Query, asker netip.AddrPort, decide func(View, time.Time) Answer) {
	if s.waiting.Add(1) > mostWaiting {
		s.waiting.Add(-1)
		s.overload.Add(1)
		return
	}
	s.cfg.Store.Exchange(q, decide, func(a Answer, err error) {
		s.waiting.Add(-1)
		if err == nil && a.Reply != nil {
			s.sender.outbox.Add(outgoing{pkt: pkt, reply: a.Reply, why: a.Why, asker: asker})
		}
		s.explain(pkt, a, err)
	})
}

// explain logs what a person should know of, at a rate that a person can read, and why there is silence.
func (s *Server) explain(pkt *dhcpv4.DHCPv4, a Answer, err error) {
	log, why := s.cfg.Log.Debug, a.Why
	switch {
	case err != nil: // nothing stored, nothing promised
		log, why = s.cfg.Log.Error, "the lease could not be stored: "+err.Error()
	case a.Fault:
		log = s.cfg.Log.Warn
	case a.Reply != nil || !s.cfg.Log.Enabled(context.Background(), slog.LevelDebug):
		return
	}
	if (err != nil || a.Fault) && !s.sender.faults.allow(nil, time.Now()) {
		return
	}
	log("dhcp", "mac", pkt.ClientHWAddr.String(), "message", kindOf(pkt).String(), "why", why)
}

// dropped counts packets and replies that were dropped since the start, by why.
type dropped struct{ tooMany, overload, lost, queue uint64 }

// report logs once a minute what was dropped in it.
func (s *Server) report(ctx context.Context) error {
	var last dropped
	tick := time.NewTicker(time.Minute)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := dropped{s.tooMany.Load(), s.overload.Load(), s.sender.outbox.Lost(), s.dhcp.Stats().Dropped + s.boot.Stats().Dropped}
		s.logDropped(last, now)
		last = now
	}
}

func (s *Server) logDropped(last, now dropped) {
	if now == last {
		return
	}
	s.cfg.Log.Warn("DHCP packets were dropped; their clients ask again", "interface", s.cfg.Interface,
		"client_sends_too_many", now.tooMany-last.tooMany, "store_behind", now.overload-last.overload,
		"sender_behind", now.lost-last.lost, "server_behind", now.queue-last.queue)
}
