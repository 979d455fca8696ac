package dhcp

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/mdlayher/packet"
	"golang.org/x/net/ipv4"
)

// sendQueue is how many replies may wait for being sent; more are lost, and their clients ask again.
const sendQueue = 4096

// outgoing is a reply on its way, and the request that it answers.
type outgoing struct {
	pkt, reply *dhcpv4.DHCPv4
	why        string
	asker      netip.AddrPort // who asked on port 4011; zero for a client of port 67
}

// sender sends replies in one goroutine, so that whoever made them durable need not wait for system calls.
type sender struct {
	queue   chan outgoing
	batch   *ipv4.PacketConn // of the socket on port 67
	proxied *ipv4.PacketConn // of that on port 4011
	raw     *packet.Conn
	ours    netip.Addr
	source  []byte // control message that makes ours the source address
	log     *slog.Logger
	lines   *limiter // of what goes well
	faults  *limiter // of what does not
	lost    atomic.Uint64
}

func newSender(port67, port4011 *net.UDPConn, raw *packet.Conn, ours netip.Addr, log *slog.Logger) *sender {
	const linesPerSecond, lines = 20, 100
	return &sender{
		queue: make(chan outgoing, sendQueue), batch: ipv4.NewPacketConn(port67), proxied: ipv4.NewPacketConn(port4011), raw: raw, ours: ours,
		source: (&ipv4.ControlMessage{Src: ours.AsSlice()}).Marshal(), log: log,
		lines: newLimiter(1, linesPerSecond, lines), faults: newLimiter(1, linesPerSecond, lines),
	}
}

// add queues a reply. It never waits.
func (s *sender) add(o outgoing) {
	select {
	case s.queue <- o:
	default:
		s.lost.Add(1)
	}
}

// run sends until ctx ends, as many replies with one system call as wait.
func (s *sender) run(ctx context.Context) error {
	const most = 32
	messages := make([]ipv4.Message, 0, most)
	var buffer []byte // all the replies that go out together, one after the other
	for {
		messages, buffer = messages[:0], buffer[:0]
		select {
		case <-ctx.Done():
			return nil
		case o := <-s.queue:
			messages, buffer = s.send(o, messages, buffer)
		}
		for len(messages) < most {
			select {
			case o := <-s.queue:
				messages, buffer = s.send(o, messages, buffer)
				continue
			default:
			}
			break
		}
		s.flush(ctx, messages)
	}
}

// send appends a reply to those that go out together, and its bytes to buffer; or sends it itself where it needs
// another socket.
func (s *sender) send(o outgoing, messages []ipv4.Message, buffer []byte) ([]ipv4.Message, []byte) {
	s.tell(o)
	start := len(buffer)
	buffer = appendReply(buffer, o.reply)
	wire, to := buffer[start:], destinationOf(o.pkt, o.reply)
	var err error
	switch {
	case o.asker.IsValid():
		m := s.message(wire, bootDestination(o.pkt, o.asker, to.To))
		_, err = s.proxied.WriteBatch([]ipv4.Message{m}, 0)
	case to.Hardware != nil:
		frame := packetTo(netip.AddrPortFrom(s.ours, serverPort), to.To, wire)
		_, err = s.raw.WriteTo(frame, &packet.Addr{HardwareAddr: to.Hardware})
	default:
		return append(messages, s.message(wire, to.To)), buffer
	}
	if err != nil {
		s.fail(to.To.String(), err)
	}
	return messages, buffer
}

func (s *sender) message(wire []byte, to netip.AddrPort) ipv4.Message {
	return ipv4.Message{Buffers: [][]byte{wire}, OOB: s.source, Addr: net.UDPAddrFromAddrPort(to)}
}

// flush sends messages. One that cannot be sent, as to a relay agent without a route, does not hold up the others.
func (s *sender) flush(ctx context.Context, messages []ipv4.Message) {
	for len(messages) > 0 {
		n, err := s.batch.WriteBatch(messages, 0)
		if err != nil {
			if ctx.Err() != nil {
				return
			}
			s.fail(messages[0].Addr.String(), err)
			n = 1
		}
		messages = messages[max(n, 1):]
	}
}

// fail logs that a reply could not be sent. Anybody can make up a relay agent that no route leads to.
func (s *sender) fail(to string, err error) {
	if !errors.Is(err, net.ErrClosed) && s.faults.allow(nil, time.Now()) {
		s.log.Error("send a DHCP reply", "to", to, "error", err)
	}
}

// tell logs a reply: at a rate that a person can read as information, the rest for whoever looks for faults.
func (s *sender) tell(o outgoing) {
	level := slog.LevelInfo
	if !s.lines.allow(nil, time.Now()) {
		level = slog.LevelDebug
	}
	if ctx := context.Background(); s.log.Enabled(ctx, level) {
		s.log.Log(ctx, level, "dhcp", "mac", o.pkt.ClientHWAddr.String(), "message", kindOf(o.pkt).String(),
			"reply", kindOf(o.reply).String(), "address", o.reply.YourIPAddr.String(), "why", o.why)
	}
}
