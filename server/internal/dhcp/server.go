package dhcp

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/metalform/terraform-provider-metal/internal/metal"
	"github.com/metalform/terraform-provider-metal/server/internal/udp"
)

// Query says whose packet it is, and from which network.
type Query struct {
	MAC    metal.MAC
	Client string
	// Via is an address on the client's network: the relay agent's (giaddr); the client's own where it speaks to us
	// through a router; else our own on the interface that the packet came by.
	Via netip.Addr
	// Relay is the relay agent's address; zero for none. No client may get it.
	Relay netip.Addr
	// Ours is our own address on that interface.
	Ours netip.Addr
	// Wanted is the address the client asks for; zero for none.
	Wanted netip.Addr
}

// Store keeps leases. Exchange shows decide one moment of the facts, and has stored what it answered, durably, when
// it returns.
type Store interface {
	Exchange(ctx context.Context, q Query, decide func(View, time.Time) Answer) (Answer, error)
}

// Server answers on one interface.
type Server struct {
	conn  *udp.Conn
	raw   *packet.Conn
	ours  netip.Addr
	store Store
	log   *slog.Logger
}

const workers = 16

// New listens on port 67 of an interface, whose IPv4 address is ours.
func New(ctx context.Context, iface string, ours netip.Addr, store Store, log *slog.Logger) (*Server, error) {
	ifi, err := net.InterfaceByName(iface)
	if err != nil {
		return nil, metal.Errorf(metal.Invalid, "cannot serve DHCP on interface %s: %w", iface, err)
	}
	conn, err := udp.Listen(ctx, "udp4", fmt.Sprintf("0.0.0.0:%d", serverPort), iface)
	if err != nil {
		return nil, err
	}
	// This socket only sends: its filter lets nothing in.
	nothing, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	raw, err := packet.Listen(ifi, packet.Datagram, unix.ETH_P_IP, &packet.Config{Filter: nothing})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open a packet socket on %s for DHCP: %w", iface, err), conn.Close())
	}
	return &Server{conn: conn, raw: raw, ours: ours, store: store, log: log}, nil
}

// Close closes the sockets of a server that is not run.
func (s *Server) Close() error { return errors.Join(s.conn.Close(), s.raw.Close()) }

// Run answers until ctx ends.
func (s *Server) Run(ctx context.Context) error {
	defer s.raw.Close()
	seed := maphash.MakeSeed()
	return udp.ServeBy(ctx, s.conn, workers, func(d udp.Datagram) uint64 { return maphash.Bytes(seed, hardware(d.Payload)) }, s.handle)
}

// hardware returns the client's hardware address (RFC 2131, 2): one client's packets are handled in their order.
func hardware(payload []byte) []byte {
	const at, size = 28, 6
	if len(payload) < at+size {
		return nil
	}
	return payload[at : at+size]
}

func (s *Server) handle(ctx context.Context, d udp.Datagram) {
	pkt, err := dhcpv4.FromBytes(d.Payload)
	if err != nil {
		s.log.Debug("a packet that is not DHCP", "from", d.From, "error", err)
		return
	}
	// No NIC has a group address or none; an answer to one would go to many hosts.
	if _, err := metal.ParseMAC(pkt.ClientHWAddr.String()); err != nil {
		s.log.Debug("a DHCP client without an Ethernet address", "from", d.From, "error", err)
		return
	}
	a, err := s.store.Exchange(ctx, queryOf(pkt, d.To, s.ours), func(v View, now time.Time) Answer { return Respond(pkt, v, now) })
	log := s.log.With("mac", pkt.ClientHWAddr.String(), "message", pkt.MessageType().String())
	if err != nil {
		log.Error("answer DHCP", "error", err) // nothing stored, nothing promised
		return
	}
	if a.Fault {
		log.Warn("dhcp", "why", a.Why)
	}
	if a.Reply == nil {
		log.Debug("no DHCP reply", "why", a.Why)
		return
	}
	if err := s.send(pkt, a.Reply); err != nil {
		log.Error("send a DHCP reply", "error", err)
		return
	}
	log.Info("dhcp", "reply", a.Reply.MessageType().String(), "address", a.Reply.YourIPAddr.String(), "why", a.Why)
}

// queryOf reads who asks from where out of a packet that was sent to the address to. A client that renews, releases
// or informs itself sends from its own address to ours, past any relay agent: then its address tells its network
// (RFC 2131, 4.3.2). One that broadcasts is on our own network, whatever address it believes to have.
func queryOf(pkt *dhcpv4.DHCPv4, to, ours netip.Addr) Query {
	q := Query{
		MAC: metal.MACOf(pkt.ClientHWAddr), Client: Client(pkt), Via: ours, Ours: ours,
		Relay: address(pkt.GatewayIPAddr), Wanted: address(pkt.RequestedIPAddress()),
	}
	client := address(pkt.ClientIPAddr)
	switch {
	case q.Relay.IsValid():
		q.Via = q.Relay
	case to == ours && client.IsValid():
		q.Via = client
	}
	if !q.Wanted.IsValid() {
		q.Wanted = client
	}
	return q
}

func (s *Server) send(pkt, reply *dhcpv4.DHCPv4) error {
	to := DestinationOf(pkt, reply)
	if to.Hardware == nil {
		return s.conn.WriteTo(reply.ToBytes(), to.To, s.ours, 0)
	}
	frame := packetTo(netip.AddrPortFrom(s.ours, serverPort), to.To, reply.ToBytes())
	_, err := s.raw.WriteTo(frame, &packet.Addr{HardwareAddr: to.Hardware})
	return err
}
